"""Photographs become network inputs: geometry, colour, orientation, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from sam_toolkit.errors import ImageError
from sam_toolkit.images import Photo, PhotoOrigin, Preprocessing, stored_size
from sam_toolkit.types import digest, tensor_digest


def _photo(folder: Path, picture: Image.Image, name: str = "photo.png", **options: Any) -> Photo:
    path = folder / name
    picture.save(path, **options)
    return Photo.of_file(path)


def _noise(height: int, width: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (257, 257), (64, 91), (1000, 233)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), ((256, 256), 224), ((40, 61), 33), (63, 40)])
def test_geometry_is_that_of_torchvision(
    tmp_path: Path, size: tuple[int, int], interpolation: str, resize: int | tuple[int, int], crop: int
) -> None:
    picture = _noise(*size)
    expected = transforms.Compose(
        [
            transforms.Resize(resize, InterpolationMode(interpolation), antialias=True),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
        ]
    )(picture)
    image = Preprocessing(crop, resize, interpolation).image(_photo(tmp_path, picture))  # type: ignore[arg-type]
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert torch.equal(image, expected)


def test_without_resizing_only_the_centre_is_cut_out(tmp_path: Path) -> None:
    picture = _noise(51, 40)
    image = Preprocessing(crop=20, resize=None).image(_photo(tmp_path, picture))
    assert torch.equal(image, transforms.CenterCrop(20)(transforms.ToTensor()(picture)))


def test_the_same_file_gives_the_same_bits(tmp_path: Path) -> None:
    photo = _photo(tmp_path, _noise(90, 70), "photo.jpg")
    first, second = (Preprocessing(32, 40).image(photo) for _ in range(2))
    assert torch.equal(first, second)


def test_the_number_of_channels_follows_the_mean(tmp_path: Path) -> None:
    picture = _noise(30, 30)
    grey = Preprocessing(30, None, mean=(0.5,), std=(0.5,)).image(_photo(tmp_path, picture))
    assert grey.shape == (1, 30, 30)
    assert torch.equal(grey, transforms.ToTensor()(picture.convert("L")))
    doubled = Preprocessing(30, None).image(_photo(tmp_path, picture.convert("L"), "grey.png"))
    assert torch.equal(doubled, grey.expand(3, 30, 30))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 8, 16))
    image = Preprocessing(16, None).image(_photo(tmp_path, picture.convert(mode)))
    assert torch.equal(image[:, :, :8], torch.ones(3, 16, 8))
    assert torch.equal(image[:, :, 8:], torch.zeros(3, 16, 8))


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    image = Preprocessing(16, None).image(_photo(tmp_path, Image.fromarray(values)))
    assert image.numpy() == pytest.approx(np.broadcast_to(values / 65535, (3, 16, 16)), abs=1 / 255)


def test_other_colour_models_become_rgb(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16, 16), (200, 60, 20)).convert("CMYK")
    image = Preprocessing(16, None).image(_photo(tmp_path, picture, "photo.jpg", quality=95))
    assert image[:, 8, 8].mul(255).tolist() == pytest.approx([200, 60, 20], abs=4)


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Return pixels as a viewer shows them, by where the EXIF standard puts the file's row 0 and column 0."""
    return {
        1: values,
        2: values[:, ::-1],
        3: values[::-1, ::-1],
        4: values[::-1],
        5: values.transpose(1, 0, 2),
        6: np.rot90(values, -1),
        7: values[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(values),
    }[orientation]


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_and_boxes_are_turned_upright(tmp_path: Path, orientation: int, name: str) -> None:
    values = np.zeros((40, 60, 3), np.uint8)
    values[4:20, 10:16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = _photo(tmp_path, Image.fromarray(values), name, exif=exif)
    photo = Photo(stored.name, stored.source, stored.digest, boxes=((4, 10, 20, 16),))
    preprocessing = Preprocessing(40, None)
    image = preprocessing.image(photo)
    shown = transforms.ToTensor()(_turned(values, orientation).copy())
    assert torch.equal(image > 0.5, transforms.CenterCrop(40)(shown) > 0.5)
    assert _painted(preprocessing.boxes(photo), 40).equal(image[0] > 0.5)


def _painted(boxes: list[tuple[int, int, int, int]], size: int) -> Tensor:
    painted = torch.zeros(size, size, dtype=torch.bool)
    for y0, x0, y1, x1 in boxes:
        painted[y0:y1, x0:x1] = True
    return painted


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("resize", [64, (72, 72), None])
def test_boxes_move_as_a_mask_sent_through_the_same_geometry_does(
    tmp_path: Path, seed: int, resize: int | tuple[int, int] | None
) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(60, 300, 2))
    y0, x0 = int(rng.integers(0, height - 8)), int(rng.integers(0, width - 8))
    y1, x1 = int(rng.integers(y0 + 8, height + 1)), int(rng.integers(x0 + 8, width + 1))
    mask = np.zeros((height, width, 3), np.uint8)
    mask[y0:y1, x0:x1] = 255
    stored = _photo(tmp_path, Image.fromarray(mask))
    photo = Photo(stored.name, stored.source, stored.digest, boxes=((y0, x0, y1, x1),))
    preprocessing = Preprocessing(56, resize)
    covered = preprocessing.image(photo)[0] > 0.5
    rows, columns = (torch.nonzero(covered.any(axis))[:, 0].tolist() for axis in (1, 0))
    extent = [(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)] if rows else []
    boxes = preprocessing.boxes(photo)
    assert len(boxes) == len(extent)
    # An edge that falls on the middle of a pixel may be rounded either way.
    assert all(abs(a - b) <= 1 for box, seen in zip(boxes, extent, strict=True) for a, b in zip(box, seen, strict=True))


def test_boxes_outside_the_crop_are_left_out_and_others_clipped(tmp_path: Path) -> None:
    stored = _photo(tmp_path, _noise(100, 200))
    boxes = ((0, 0, 100, 40), (10, 40, 60, 170), (0, 150, 100, 200))
    photo = Photo(stored.name, stored.source, stored.digest, boxes=boxes)
    assert Preprocessing(50, 50).boxes(photo) == [(5, 0, 30, 50)]


def test_tensors_are_returned_as_they_are() -> None:
    image = torch.rand(3, 8, 8)
    photo = Photo("tensor", image, tensor_digest(image), boxes=((2, -3, 20, 4),))
    assert Preprocessing(8).image(photo) is image
    assert Preprocessing(8).boxes(photo) == [(2, 0, 8, 4)]


def test_a_model_without_preprocessing_takes_any_finite_tensor() -> None:
    image = torch.randn(2, 5, 7)
    assert Preprocessing(mean=(), std=()).image(Photo("tensor", image, "")) is image


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (torch.rand(3, 8, 9), r"\[3, 8, 8\]; got \[3, 8, 9\]"),
        (torch.rand(1, 8, 8), r"\[3, 8, 8\]; got \[1, 8, 8\]"),
        (torch.rand(3, 8, 8).double(), "float32"),
        (torch.rand(1, 3, 8, 8), r"\[C, H, W\]"),
        (torch.full((3, 8, 8), torch.nan), "not finite"),
        (torch.full((3, 8, 8), 1.5), r"\[0, 1\].*from 1.5 to 1.5"),
        (torch.full((3, 8, 8), -0.5), "from -0.5"),
    ],
)
def test_a_tensor_that_is_no_image_is_refused(image: Tensor, said: str) -> None:
    with pytest.raises(ImageError, match=f"'tensor'.*{said}"):
        Preprocessing(8).image(Photo("tensor", image, ""))


def test_a_file_needs_a_model_with_preprocessing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no preprocessing"):
        Preprocessing(mean=(), std=()).image(_photo(tmp_path, _noise(9, 9)))


def test_an_image_smaller_than_the_crop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"20 x 30 pixels .* crop of 24.*`resize`"):
        Preprocessing(24, None).image(_photo(tmp_path, _noise(20, 30)))


def test_floating_point_files_are_refused(tmp_path: Path) -> None:
    photo = _photo(tmp_path, Image.fromarray(np.ones((9, 9), np.float32)), "photo.tif")
    with pytest.raises(ImageError, match="32 bits a pixel"):
        Preprocessing(9, None).image(photo)


def _bytes(kind: str) -> bytes:
    buffer = io.BytesIO()
    _noise(80, 80).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"not an image at all", "no image format"),
        (_bytes("JPEG")[:1500], "cut short"),
        (_bytes("PNG")[:9000], "cut short"),
        (_bytes("BMP")[:-4000], "cut short"),
    ],
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "damaged.img"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"damaged\.img cannot be read.*{said}.*Replace"):
        Preprocessing(32, 40).image(Photo("damaged", path, ""))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_files_with_flipped_bytes_give_an_image_or_an_image_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    whole = np.frombuffer(_bytes(kind), np.uint8)
    path = tmp_path / "flipped.img"
    refused = []
    for _ in range(60):
        content = whole.copy()
        content[rng.integers(0, min(len(content), 400), 6)] = rng.integers(0, 256, 6)
        path.write_bytes(content.tobytes())
        try:
            image = Preprocessing(32, (40, 40)).image(Photo("flipped", path, ""))
        except ImageError as error:
            refused.append(str(error))
        else:
            assert image.shape == (3, 32, 32)
    assert refused
    assert all("flipped.img" in message for message in refused)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png does not exist"):
        Photo.of_file(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="cannot be read"):
        Preprocessing().image(Photo("folder", tmp_path, ""))


def test_a_file_is_addressed_by_its_bytes(tmp_path: Path) -> None:
    photo = _photo(tmp_path, _noise(20, 30))
    copied = tmp_path / "copy.png"
    copied.write_bytes(Path(str(photo.source)).read_bytes())
    assert photo.digest == Photo.of_file(copied, "other").digest == digest(copied.read_bytes())
    assert stored_size(copied) == (20, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mean", [(0.5,), (0.5, 0.5, 0.5)])
def test_an_origin_gives_the_picture_and_makes_the_same_image_of_it(
    tmp_path: Path, orientation: int, mean: tuple[float, ...]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = _photo(tmp_path, _noise(90, 60), exif=exif)
    how = Preprocessing(20, (30, 45), mean=mean, std=mean)
    origin = PhotoOrigin(photo, how)
    height, width = (60, 90) if orientation > 4 else (90, 60)
    assert origin.picture().shape == (len(mean), height, width)
    assert origin.scale == (30 / height, 45 / width)
    assert torch.equal(origin.image(origin.picture()), how.image(photo))


def test_a_changed_picture_is_cut_to_8_bits_and_resized(tmp_path: Path) -> None:
    origin = PhotoOrigin(_photo(tmp_path, _noise(50, 40)), Preprocessing(20, 30))
    picture = (torch.randint(-40, 300, (3, 50, 40), generator=torch.Generator().manual_seed(0)) + 0.9) / 255
    stored = (picture.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).numpy()
    changed = _photo(tmp_path, Image.fromarray(stored), "changed.png")
    assert torch.equal(origin.image(picture), Preprocessing(20, 30).image(changed))


def test_the_origin_of_a_tensor_is_itself() -> None:
    image = torch.rand(3, 20, 20)
    origin = PhotoOrigin(Photo("drawn", image, tensor_digest(image)), Preprocessing(20, 30))
    assert origin.scale == (1.0, 1.0)
    assert origin.picture() is image
    assert torch.equal(origin.image(image * 2), image * 2)
