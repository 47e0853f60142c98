"""A small network, images and maps to check components with; none of them touches a global random state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

_RNG = Rng(0, ("sam_toolkit.testing",))


def small_model(smooth: bool = False) -> Model:
    """Return a classifier of RGB images of any size into 10 classes, with the same weights every time.

    It has batch normalisation, dropout and in-place ReLUs: what components trip over in real networks. A smooth one has
    softplus and mean pooling in their place, and is in float64: what derivatives are checked on.
    """
    activations = (nn.Softplus(), nn.Softplus()) if smooth else (nn.ReLU(inplace=True), nn.ReLU(inplace=True))
    with torch.device("meta"):
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            activations[0],
            nn.AvgPool2d(2) if smooth else nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            activations[1],
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(256, 10),
        )
    net = net.to_empty(device="cpu").to(torch.float64 if smooth else torch.float32)
    for name, value in net.state_dict().items():
        _fill(name, value)
    preprocessing = Preprocessing(crop=48, resize=None, mean=(0.48, 0.46, 0.41), std=(0.23, 0.22, 0.225))
    model = Model(net.eval(), "small", preprocessing=preprocessing)
    # Its rows round alike in every chunk, so that what differs is the component's doing.
    model.faster = False
    return model


def _fill(name: str, value: Tensor) -> None:
    if value.is_floating_point():
        drawn = _RNG.child("weights").normal(name, 0, value.shape)
        # Weights: He initialisation. Biases, scales and running statistics: positive, near 1.
        fan_in = value[0].numel() if value.dim() > 1 else 0
        value.copy_(drawn * (2 / fan_in) ** 0.5 if fan_in else 1 + 0.2 * drawn.clamp(-2, 2))
    else:
        value.zero_()


def small_batch(size: tuple[int, int] = (48, 48)) -> Batch:
    """Return three RGB images of `size` (H, W) in [0, 1], with different targets, one or two boxes each."""
    images = torch.stack([_field(f"image {index}", 3, size) for index in range(3)])
    images -= images.amin(dim=(1, 2, 3), keepdim=True)
    images /= images.amax(dim=(1, 2, 3), keepdim=True)
    height, width = size
    upper = [0, 0, height // 2, width // 2]
    boxes = [
        [0, *upper],
        [1, height // 4, width // 4, height, width],
        [2, *upper],
        [2, height // 2, 0, height, width // 3],
    ]
    batch = Batch.of(images, [1, 4, 7])
    return Batch(batch.images, batch.targets, batch.ids, torch.tensor(boxes))


def batch_of(images: Batch | Tensor | None, model: Model) -> Batch:
    """Return a batch of the images, with predicted targets for a tensor; `small_batch` without any."""
    if images is None:
        return small_batch()
    return images if isinstance(images, Batch) else Batch.of(images, model.predict(images))


def small_maps(count: int, batch: Batch) -> Tensor:
    """Return `count` signed maps an image, `[count, N, H, W]`, in [-1, 1]; the first two are alike."""
    height, width = batch.images.shape[-2:]
    names = [[f"map {index} of {image_id}" for image_id in batch.ids] for index in range(count)]
    maps = torch.stack([torch.cat([_field(name, 1, (height, width)) for name in row]) for row in names])
    if count > 1:
        maps[1] = maps[0] + 0.1 * maps[1]
    return maps / maps.abs().amax(dim=(-2, -1), keepdim=True)


def _field(name: str, channels: int, size: tuple[int, int]) -> Tensor:
    """Return a random field `[channels, H, W]`: large soft patches with some noise."""
    coarse = _RNG.normal(name, 0, (1, channels, 6, 6))
    smooth = interpolate(coarse, size=size, mode="bilinear", align_corners=False)[0]
    return smooth + 0.2 * _RNG.normal(name, 1, (channels, *size))
