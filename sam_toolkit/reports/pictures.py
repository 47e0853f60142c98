"""Photographs with their maps over them, as small images."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

FULL, SMALL = 224, 112
"""Largest side of a picture in pixels: of a few, and of a gallery."""
SATURATION = 99
"""Percentile of |map| at which its colour is full: a gradient's few peaks would hide the rest."""
POSITIVE, NEGATIVE = (208, 52, 16), (26, 92, 196)
_RAMP = ((252, 196, 60), (222, 73, 46), (84, 10, 84))
"""Colours of an unsigned map from weak to strong."""
_OPAQUE = 0.92
"""How much of the photograph's grey the strongest colour replaces."""

Pixels = NDArray[np.float64]


def photograph(photo: Tensor, size: int = FULL) -> Image.Image:
    """Return the photograph `[C, H, W]` in [0, 1] as an RGB image with sides of at most `size`."""
    return _image(_rgb(photo), size)


def overlay(photo: Tensor, saliency: Tensor, signed: bool, size: int = FULL) -> Image.Image:
    """Return the map `[H, W]` in colour over the pale grey photograph `[C, H, W]`.

    Signed maps are red for evidence and blue against it; unsigned ones go from yellow to purple.
    """
    grey = 0.5 + 0.48 * _rgb(photo).mean(axis=-1, keepdims=True)
    values = np.nan_to_num(saliency.detach().cpu().double().numpy())
    strength = np.clip(np.abs(values) / _peak(values), 0, 1)
    colour = _diverging(values) if signed else _sequential(strength)
    alpha = _OPAQUE * strength[..., None]
    return _image((1 - alpha) * grey + alpha * colour, size)


def webp(image: Image.Image) -> str:
    """Return the image as a `data:` address."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _rgb(photo: Tensor) -> Pixels:
    pixels: Pixels = np.nan_to_num(photo.detach().cpu().double().numpy()).clip(0, 1).transpose(1, 2, 0)
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1)


def _peak(values: Pixels) -> float:
    """Return the |value| that has full colour: the percentile, or the maximum of a map that is nearly all zero."""
    magnitude = np.abs(values)
    return float(np.percentile(magnitude, SATURATION)) or float(magnitude.max()) or 1.0


def _diverging(values: Pixels) -> Pixels:
    positive, negative = np.array(POSITIVE) / 255, np.array(NEGATIVE) / 255
    return np.where(values[..., None] >= 0, positive, negative)


def _sequential(strength: Pixels) -> Pixels:
    stops = np.linspace(0, 1, len(_RAMP))
    ramp = np.array(_RAMP) / 255
    return np.stack([np.interp(strength, stops, ramp[:, channel]) for channel in range(3)], axis=-1)


def _image(pixels: Pixels, size: int) -> Image.Image:
    array: NDArray[Any] = (pixels.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    image = Image.fromarray(array)
    longest = max(image.size)
    if longest < size // 2:
        factor = size // longest
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image
