"""Photographs as their sources describe them, and how they become network inputs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from sam_toolkit.errors import ImageError
from sam_toolkit.types import digest

Box = tuple[int, int, int, int]
"""(y0, x0, y1, x1) in pixels, ends exclusive."""

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
_ROUNDING = 1e-4
"""What a level of 8 bits can lose on its way through float32."""

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow's readers raise on files that are cut short, damaged or absurdly large."""


@dataclass(frozen=True)
class Photo:
    """One image with what is known of it; cheap to copy to a worker, which opens it there.

    Attributes:
        name: what reports call it, unique within a study.
        source: the file, or a tensor `[C, H, W]` in [0, 1] that is at network size already.
        digest: content digest of the file's bytes (or of the tensor); random draws are addressed by it.
        label: the class, where known.
        boxes: (y0, x0, y1, x1) in pixels of the file as stored, ends exclusive.
    """

    name: str
    source: Path | Tensor
    digest: str
    label: int | None = None
    boxes: tuple[Box, ...] = ()

    @classmethod
    def of_file(cls, path: Path, name: str = "", label: int | None = None, boxes: tuple[Box, ...] = ()) -> Self:
        """Describe an image file, after reading its header; raises ImageError where it cannot be read."""
        stored_size(path)
        return cls(name or path.name, path, digest(path.read_bytes()), label, boxes)


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes the `[C, crop, crop]` image of a `Batch`, and how the model normalises that.

    Files are turned upright by their EXIF orientation, what is transparent becomes white, and 16-bit grey
    loses its low byte.

    Attributes:
        crop: side of the square network input.
        resize: short side before the centre crop; or (height, width), which does not keep the aspect
            ratio; or None.
        interpolation: of the resizing, antialiased.
        mean: per channel, in [0, 1] units; its length is the number of channels (3: RGB, 1: grey; none:
            the model takes tensors as they are).
        std: per channel.
        clamp: whether the model clamps images to [0, 1] first, as those of the robustness library do.
    """

    crop: int = 224
    resize: int | tuple[int, int] | None = 256
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    clamp: bool = False

    def statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation, `[C, 1, 1]` each."""
        mean, std = (torch.tensor(values, device=device).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return mean, std

    def normalised(self, images: Tensor) -> Tensor:
        """Return images `[..., C, H, W]` as the network takes them."""
        mean, std = self.statistics(images.device)
        return (images - mean) / std

    def clamped(self, inputs: Tensor) -> Tensor:
        """Return inputs `[N, C, H, W]` of images within [0, 1], where the network takes no others."""
        if not self.clamp:
            return inputs
        mean, std = self.statistics(inputs.device)
        return torch.maximum(torch.minimum(inputs, (1 - mean) / std), -mean / std)

    def image(self, photo: Photo) -> Tensor:
        """Return the photograph as float32 `[C, crop, crop]` in [0, 1]; raises ImageError if unreadable."""
        if isinstance(photo.source, Tensor):
            return self._checked(photo.name, photo.source)
        return self._fitted(photo.name, self._picture(photo.name, photo.source))

    def boxes(self, photo: Photo) -> list[Box]:
        """Return its boxes (y0, x0, y1, x1) in pixels of the network input, clipped, if inside at all."""
        if not photo.boxes:
            return []
        if isinstance(photo.source, Tensor):
            return _clipped(photo.boxes, (photo.source.shape[-2], photo.source.shape[-1]))
        with _opened(photo.source) as picture:
            stored, orientation = _header(picture)
        upright = [_turned(box, stored, orientation) for box in photo.boxes]
        size = _upright_size(stored, orientation)
        down, right = self._scale(size)
        top, left = self._corner(photo.name, self._resized(size))
        moved = [(y0 * down - top, x0 * right - left, y1 * down - top, x1 * right - left) for y0, x0, y1, x1 in upright]
        return _clipped(moved, (self.crop, self.crop))

    def _picture(self, name: str, path: Path) -> Image.Image:
        """Return the file's picture, upright, with the model's channels."""
        if len(self.mean) not in (1, 3):
            raise ImageError(
                f"Image {name!r} is a file, but the model has no preprocessing to make an input of it. "
                "Give it: Model(module, preprocessing=Preprocessing(...))."
            )
        return _upright(path, len(self.mean))

    def _fitted(self, name: str, picture: Image.Image) -> Tensor:
        """Return a picture resized and cropped to the network's size."""
        height, width = self._resized((picture.height, picture.width))
        top, left = self._corner(name, (height, width))
        picture = picture.resize((width, height), _RESAMPLING[self.interpolation])
        return _values(picture.crop((left, top, left + self.crop, top + self.crop)))

    def _scale(self, size: tuple[int, int]) -> tuple[float, float]:
        height, width = self._resized(size)
        return height / size[0], width / size[1]

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) after resizing, the long side rounded down as torchvision does."""
        if self.resize is None:
            return size
        if isinstance(self.resize, tuple):
            return self.resize
        height, width = size
        short = min(size)
        return self.resize * height // short, self.resize * width // short

    def _corner(self, name: str, size: tuple[int, int]) -> tuple[int, int]:
        if min(size) < self.crop:
            raise ImageError(
                f"Image {name!r} has {size[0]} x {size[1]} pixels (height x width) before the crop of "
                f"{self.crop}. Let the preprocessing resize it: `resize` of at least {self.crop}."
            )
        return round((size[0] - self.crop) / 2), round((size[1] - self.crop) / 2)

    def _checked(self, name: str, image: Tensor) -> Tensor:
        if image.dim() != 3 or image.dtype != torch.float32:
            raise ImageError(
                f"Image {name!r} must be a float32 tensor [C, H, W]; got {image.dtype} {list(image.shape)}."
            )
        if not bool(torch.isfinite(image).all()):
            raise ImageError(f"Image {name!r} has values that are not finite (NaN or infinite).")
        if not self.mean:
            return image
        shape = [len(self.mean), self.crop, self.crop]
        if list(image.shape) != shape:
            raise ImageError(
                f"Image {name!r} must be at network size, {shape}; got {list(image.shape)}. "
                "Resize it, or set `crop` of the model's preprocessing."
            )
        low, high = float(image.min()), float(image.max())
        if low < 0 or high > 1:
            raise ImageError(
                f"Image {name!r} must be in [0, 1], for the model normalises it; "
                f"got values from {low:.4g} to {high:.4g}."
            )
        return image


@dataclass(frozen=True)
class PhotoOrigin:
    """The picture of a photograph at its own size, read when it is used; that of a tensor is the image itself."""

    photo: Photo
    preprocessing: Preprocessing

    @property
    def scale(self) -> tuple[float, float]:
        """Return how many pixels of the image one of the picture becomes, down and across."""
        if isinstance(self.photo.source, Tensor):
            return 1.0, 1.0
        with _opened(self.photo.source) as picture:
            return self.preprocessing._scale(_upright_size(*_header(picture)))

    def picture(self) -> Tensor:
        """Return the picture, float32 `[C, h, w]` in [0, 1]."""
        source = self.photo.source
        if isinstance(source, Tensor):
            return source
        return _values(self.preprocessing._picture(self.photo.name, source))

    def image(self, picture: Tensor) -> Tensor:
        """Return the image `[C, H, W]` of a picture of that size, which is cut down to the 8 bits that files have."""
        if isinstance(self.photo.source, Tensor):
            return picture
        levels = (picture.clamp(0, 1).double() * 255 + _ROUNDING).to(torch.uint8).permute(1, 2, 0)
        drawn = Image.fromarray(levels.squeeze(2).numpy() if levels.shape[2] == 1 else levels.numpy())
        return self.preprocessing._fitted(self.photo.name, drawn)


def _values(picture: Image.Image) -> Tensor:
    """Return a picture's values, float32 `[C, h, w]` in [0, 1]."""
    values = torch.from_numpy(np.array(picture)).reshape(picture.height, picture.width, -1)
    return values.permute(2, 0, 1).contiguous().float().div_(255)


def stored_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image file as stored, from its header; raises ImageError if unreadable."""
    with _opened(path) as picture:
        return _header(picture)[0]


def _upright_size(stored: tuple[int, int], orientation: int) -> tuple[int, int]:
    return stored[::-1] if orientation in _SWAPPED else stored


def _header(picture: Image.Image) -> tuple[tuple[int, int], int]:
    """Return (height, width) as stored, and the EXIF orientation."""
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    size = (picture.height, picture.width)
    # Pillow says of a TIFF file, before it is read, what size it has upright.
    return (size[::-1] if picture.format == "TIFF" and orientation in _SWAPPED else size), orientation


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError:
        raise ImageError(f"Image {path} does not exist.") from None
    except UnidentifiedImageError:
        what = "it is empty" if path.stat().st_size == 0 else "its content is no image format that Pillow knows"
        raise ImageError(
            f"Image {path} cannot be read: {what}. Replace the file, or take it out of the study."
        ) from None
    except _DAMAGED as error:
        raise ImageError(
            f"Image {path} cannot be read ({error}); it may be damaged or cut short. "
            "Replace the file, or take it out of the study."
        ) from error


def _upright(path: Path, channels: int) -> Image.Image:
    with _opened(path) as picture:
        if picture.mode in ("I", "F"):
            raise ImageError(
                f"Image {path} has 32 bits a pixel, whose range is unknown. "
                "Save it with 8 or 16 bits, from black to white."
            )
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return upright.convert("RGB" if channels == 3 else "L")


_FLIPPED_X = (2, 3, 7, 8)
_FLIPPED_Y = (3, 4, 6, 7)
_SWAPPED = (5, 6, 7, 8)
"""EXIF orientations: mirrored along x, mirrored along y, and then x and y change places."""


def _turned(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Return a box of the stored image of `size` (H, W) in the upright one."""
    y0, x0, y1, x1 = box
    if orientation in _FLIPPED_X:
        x0, x1 = size[1] - x1, size[1] - x0
    if orientation in _FLIPPED_Y:
        y0, y1 = size[0] - y1, size[0] - y0
    return (x0, y0, x1, y1) if orientation in _SWAPPED else (y0, x0, y1, x1)


def _clipped(boxes: list[tuple[float, float, float, float]] | tuple[Box, ...], size: tuple[int, int]) -> list[Box]:
    """Return boxes rounded and clipped to `size` (H, W), without those of which nothing is left."""
    height, width = size
    clipped = [
        (max(round(y0), 0), max(round(x0), 0), min(round(y1), height), min(round(x1), width))
        for y0, x0, y1, x1 in boxes
    ]
    return [(y0, x0, y1, x1) for y0, x0, y1, x1 in clipped if y0 < y1 and x0 < x1]
