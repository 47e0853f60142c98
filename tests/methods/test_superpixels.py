"""Superpixels against scikit-image and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import colour_batch
from skimage.data import astronaut
from skimage.segmentation import quickshift, slic
from torch import Tensor

from sam_toolkit.errors import ComponentError
from sam_toolkit.methods.superpixels import Grid, Quickshift, Slic, Superpixels, cut, mean_colours

PICTURE = np.ascontiguousarray(astronaut()[40:140:2, 150:290:2])
"""Bytes `[50, 70, 3]`."""
IMAGE = torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float() / 255
WAYS = [Slic(20, 30.0, 3.0), Quickshift(4.0, 200.0, 0.2), Grid(20)]
EXPECTED = {
    Slic(20, 30.0, 3.0): slic(PICTURE, n_segments=20, compactness=30, sigma=3, start_label=0),
    Slic(60, 5.0, 0.0): slic(PICTURE, n_segments=60, compactness=5, sigma=0, start_label=0),
    Quickshift(4.0, 200.0, 0.2): quickshift(PICTURE, kernel_size=4, max_dist=200, ratio=0.2, rng=42),
    Quickshift(2.0, 6.0, 0.8): quickshift(PICTURE, kernel_size=2, max_dist=6, ratio=0.8, rng=42),
}


@pytest.mark.parametrize("way", EXPECTED, ids=str)
def test_images_are_cut_as_scikit_image_cuts_their_bytes(way: Superpixels) -> None:
    found = cut(way, IMAGE)[0]
    assert found.dtype == torch.int64
    assert found.max() > 1
    assert same_pieces(found, torch.from_numpy(EXPECTED[way]))


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_less_than_half_a_byte_makes_no_difference(way: Superpixels) -> None:
    inside = IMAGE.clamp(2 / 255, 253 / 255)
    for offset in (-0.4 / 255, 0.4 / 255):
        assert torch.equal(cut(way, inside + offset), cut(way, inside))


def same_pieces(one: Tensor, other: Tensor) -> bool:
    """Return whether two labellings differ in the names of the pieces at most."""
    pairs = torch.stack([one.flatten(), other.flatten()], dim=1).unique(dim=0)
    return len(pairs) == len(one.unique()) == len(other.unique())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_labels_count_from_zero_without_gaps(way: Superpixels) -> None:
    for labels in cut(way, colour_batch(2, size=(26, 37)).images):
        assert labels.unique().tolist() == list(range(int(labels.max()) + 1))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_image_is_cut_by_itself_and_again_alike(way: Superpixels) -> None:
    images = torch.cat([IMAGE, IMAGE.flip(-1)])
    together = cut(way, images)
    assert torch.equal(together, torch.cat([cut(way, image[None]) for image in images]))
    assert torch.equal(together.flip(0), cut(way, images.flip(0)))


@pytest.mark.parametrize(
    ("segments", "size", "grid"),
    [(50, (224, 224), (7, 7)), (6, (20, 30), (2, 3)), (1, (9, 9), (1, 1)), (2, (4, 90), (1, 2)), (500, (4, 5), (4, 5))],
)
def test_a_grid_has_about_as_many_squares_as_asked(segments: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    labels = cut(Grid(segments), torch.rand(1, 3, *size))[0]
    down, across = grid
    assert labels.max() + 1 == down * across
    expected = [
        [(y * down // size[0]) * across + x * across // size[1] for x in range(size[1])] for y in range(size[0])
    ]
    assert labels.tolist() == expected


def test_a_grid_takes_any_number_of_channels_and_no_notice_of_colours() -> None:
    assert torch.equal(cut(Grid(9), torch.rand(1, 5, 12, 12)), cut(Grid(9), torch.zeros(1, 1, 12, 12)))


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_grey_images_are_cut_like_colour_images_that_are_grey(way: Superpixels) -> None:
    assert torch.equal(cut(way, IMAGE[:, :1]), cut(way, IMAGE[:, :1].expand(1, 3, -1, -1)))


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_other_numbers_of_channels_are_refused(way: Superpixels) -> None:
    with pytest.raises(ComponentError, match=r"1 or 3 channels; got 4\. Set segmentation to grid"):
        cut(way, torch.rand(1, 4, 12, 12))


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_values_outside_the_range_of_images_are_stretched_into_it(way: Superpixels) -> None:
    wide = 4 * IMAGE - 2
    scaled = (wide - wide.min()) / (wide.max() - wide.min())
    assert torch.equal(cut(way, wide), cut(way, scaled))
    assert cut(way, wide).max() > 1


@pytest.mark.parametrize("way", [*WAYS, Slic(1, 30.0, 3.0), Slic(5000, 30.0, 3.0)], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8)])
@pytest.mark.parametrize("level", [0.0, 0.3, None])
def test_tiny_and_constant_images_are_cut_into_some_pieces(
    way: Superpixels, size: tuple[int, int], level: float | None
) -> None:
    image = torch.rand(1, 3, *size) if level is None else torch.full((1, 3, *size), level)
    labels = cut(way, image)
    assert labels.shape == (1, *size)
    assert labels.unique().tolist() == list(range(int(labels.max()) + 1))


def test_mean_colours_are_the_means_of_each_superpixel() -> None:
    images = colour_batch(2, size=(26, 37)).images
    labels = cut(Slic(6, 30.0, 1.0), images)
    expected = images.clone()
    for image, own in zip(expected, labels, strict=True):
        for label in own.unique():
            image[:, own == label] = image[:, own == label].mean(dim=1, keepdim=True)
    torch.testing.assert_close(mean_colours(images, labels), expected)
