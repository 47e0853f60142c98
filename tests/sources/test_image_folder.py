"""Photographs of a folder with labels and boxes from files, and every way in which these can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam_toolkit.errors import ComponentError, ImageError
from sam_toolkit.sources import ImageFolder

SHARED = Path(__file__).parents[2] / "../shared/images"
README_BOXES = {
    "ILSVRC2012_val_00002056": (500, 381, (259, 25, 492, 328)),
    "ILSVRC2012_val_00010007": (500, 473, (129, 92, 370, 425)),
    "ILSVRC2012_val_00012420": (500, 400, (220, 43, 459, 200)),
    "ILSVRC2012_val_00019184": (500, 433, (110, 47, 335, 433)),
    "ILSVRC2012_val_00020735": (1600, 1200, (544, 193, 1041, 968)),
    "ILSVRC2012_val_00028460": (500, 500, (107, 81, 371, 373)),
    "ILSVRC2012_val_00031649": (500, 381, (52, 87, 431, 313)),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with four images of 30 x 20 pixels, one of them deeper, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("b.png", "a.JPG", "with space.png", "deep/c.png")):
        Image.fromarray(np.full((20, 30, 3), 40 * number, np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("none of the images")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder.parent / name
    path.write_text(text, encoding="utf-8")
    return path


def test_images_are_sorted_by_name_and_addressed_by_content(folder: Path) -> None:
    photos = ImageFolder(folder=folder).photos()
    assert [photo.name for photo in photos] == ["a.JPG", "b.png", "with space.png"]
    assert len({photo.digest for photo in photos}) == 3
    assert all(photo.label is None and photo.boxes == () for photo in photos)


def test_folders_in_the_folder_are_asked_for(folder: Path) -> None:
    names = [photo.name for photo in ImageFolder(folder=folder, recursive=True).photos()]
    assert names == ["a.JPG", "b.png", "deep/c.png", "with space.png"]


def test_endings_choose_the_files(folder: Path) -> None:
    assert [photo.name for photo in ImageFolder(folder=folder, endings=(".jpg",)).photos()] == ["a.JPG"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "a.JPG,7\nwith space.png,0\n"),
        ("labels.csv", "file,class-index\na,7\n\nwith space,0\n"),
        ("labels.csv", "\ufefffile,class\n./a.JPG, 7\nwith space.png, 0"),
        ("labels.json", json.dumps({"a.JPG": 7, "with space.png": 0})),
        ("labels.txt", "a.JPG 7\nwith space.png\t0\n"),
    ],
)
def test_labels_are_read_from_each_form(folder: Path, name: str, text: str) -> None:
    photos = ImageFolder(folder=folder, labels=_write(folder, name, text)).photos()
    assert [photo.label for photo in photos] == [7, None, 0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("boxes.csv", "file,x0,y0,x1,y1\na.JPG,1,2,10,12\nb.png,0,0,30,20\na.JPG,5,6,7,8\n"),
        ("boxes.csv", "y1,x1,y0,x0,note,file\n12,10,2,1,cat,a\n20,30,0,0,,b\n8,7,6,5,,a\n"),
        ("boxes.json", json.dumps({"a.JPG": [[1, 2, 10, 12], [5, 6, 7, 8]], "b.png": [[0, 0, 30, 20]]})),
    ],
)
def test_boxes_are_read_from_each_form(folder: Path, name: str, text: str) -> None:
    photos = ImageFolder(folder=folder, boxes=_write(folder, name, text)).photos()
    assert [photo.boxes for photo in photos] == [((2, 1, 12, 10), (6, 5, 8, 7)), ((0, 0, 20, 30),), ()]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.csv", "a.JPG,1\nmissing.png,2\n", r"labels\.csv, line 2: there is no image 'missing\.png'"),
        ("labels.csv", "a.JPG,1\nwith spce.png,2\n", r"line 2.*Did you mean 'with space\.png'"),
        ("labels.csv", "a.JPG,1\nb.png,2\na,3\n", r"line 3: 'a\.JPG' is labelled already, in .*line 1"),
        (
            "labels.csv",
            "a.JPG,1\nb.png,cat\n",
            r"line 2: the class of 'b\.png' must be a whole number; got 'cat'",
        ),
        ("labels.csv", "a.JPG,1\nb.png,1.5\n", r"line 2.*whole number; got '1\.5'"),
        ("labels.csv", "a.JPG,1\nb.png,-2\n", "line 2.*0 or more; got -2"),
        ("labels.csv", "a.JPG,1\nb.png\n", "line 2: a label needs two columns"),
        ("labels.json", '{"a.JPG": 1,\n "b.png": }', r"labels\.json, line 2"),
        ("labels.json", '{"a.JPG": 1, "a.JPG": 2}', r"'a\.JPG' stands there more than once"),
        ("labels.json", '{"a.JPG": true}', "whole number; got True"),
        ("labels.json", "[1, 2]", "must hold an object.*got a list"),
        ("labels.txt", "a.JPG 1\nb.png\n", "line 2"),
        ("labels.txt", "a.JPG 1\n\nb.png x\n", "line 3.*whole number; got 'x'"),
    ],
)
def test_a_wrong_label_is_named_with_its_line(folder: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        ImageFolder(folder=folder, labels=_write(folder, name, text)).photos()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "boxes.csv",
            "a.JPG,1,2,3,4\n",
            "must begin with a line that names its columns.*file, x0, y0, x1, y1 is missing",
        ),
        ("boxes.csv", "", "must begin with a line that names its columns"),
        ("boxes.csv", "file,x0,y0,x1\n", "y1 is missing"),
        (
            "boxes.csv",
            "file,x0,y0,x1,y1\na.JPG,1,2,31,4\n",
            r"boxes\.csv, line 2.*x1 <= 30 .*y1 <= 20.*x1=31",
        ),
        ("boxes.csv", "file,x0,y0,x1,y1\na.JPG,-1,2,3,4\n", "line 2.*x0=-1"),
        ("boxes.csv", "file,x0,y0,x1,y1\na.JPG,3,2,3,4\n", "line 2.*x0=3, y0=2, x1=3"),
        ("boxes.csv", "file,x0,y0,x1,y1\na.JPG,1,2,3\n", "line 2: 4 cells under 5 columns"),
        ("boxes.csv", "file,x0,y0,x1,y1\na.JPG,1,2,3,z\n", "line 2: y1 must be a whole number; got 'z'"),
        ("boxes.csv", "file,x0,y0,x1,y1\na,1,2,3,4\nz,1,2,3,4\n", "line 3: there is no image 'z'"),
        (
            "boxes.csv",
            "file,x0,y0,x1,y1\na,1,2,3,4\na.JPG,1,2,3,4\n",
            r"line 3: this box of 'a\.JPG' .* line 2",
        ),
        ("boxes.json", '{"a.JPG": [1, 2, 3, 4]}', r"a list of \[x0, y0, x1, y1\]"),
        ("boxes.json", '{"a.JPG": [[1, 2, 3, 4.5]]}', r"y1 must be a whole number; got 4\.5"),
    ],
)
def test_a_wrong_box_is_named_with_its_line(folder: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        ImageFolder(folder=folder, boxes=_write(folder, name, text)).photos()


def test_a_name_that_means_two_images_is_refused(folder: Path) -> None:
    Image.new("RGB", (9, 9)).save(folder / "deep/b.png")
    labels = _write(folder, "labels.csv", "deep/b.png,1\nb,2\n")
    with pytest.raises(ImageError, match=r"line 2: 'b' may be b\.png or deep/b\.png"):
        ImageFolder(folder=folder, recursive=True, labels=labels).photos()


def test_missing_folders_and_files_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"photo does not exist.*Did you mean 'photos'"):
        ImageFolder(folder=tmp_path / "photo").photos()
    with pytest.raises(ImageError, match="is a file"):
        ImageFolder(folder=folder / "b.png").photos()
    with pytest.raises(ImageError, match=r"labels\.csv cannot be read"):
        ImageFolder(folder=folder, labels=tmp_path / "labels.csv").photos()
    with pytest.raises(ComponentError, match="folder: Field required"):
        ImageFolder()


def test_a_folder_without_images_says_where_they_are(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"photos has no file that ends in \.webp\.$"):
        ImageFolder(folder=folder, endings=(".webp",)).photos()
    with pytest.raises(ImageError, match="say `recursive: true`"):
        ImageFolder(folder=tmp_path).photos()


def test_a_file_that_is_no_image_is_refused_before_any_work(folder: Path) -> None:
    (folder / "z.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"z\.png cannot be read"):
        ImageFolder(folder=folder).photos()


def _xml(size: tuple[int, int], *boxes: tuple[float, float, float, float]) -> str:
    """Return an annotation as ImageNet writes it, the corners in another order than usual."""
    objects = "".join(
        f"<object><name>n01518878</name><bndbox><ymax>{y1}</ymax><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax></bndbox></object>"
        for x0, y0, x1, y1 in boxes
    )
    return f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{objects}</annotation>"


@pytest.mark.parametrize("scale", [1, 2])
def test_xml_boxes_are_those_of_the_table_at_any_annotated_size(tmp_path: Path, scale: int) -> None:
    if not SHARED.is_dir():
        pytest.skip("needs the ImageNet photographs")
    for name, (width, height, box) in README_BOXES.items():
        x0, y0, x1, y1 = (side * scale for side in box)
        (tmp_path / f"{name}.xml").write_text(_xml((width * scale, height * scale), (x0, y0, x1, y1)))
    (tmp_path / "ILSVRC2012_val_99999999.xml").write_text("of another photograph, never read")
    photos = ImageFolder(folder=SHARED, boxes=tmp_path).photos()
    assert len(photos) == 7
    for photo in photos:
        x0, y0, x1, y1 = README_BOXES[Path(photo.name).stem][2]
        assert photo.boxes == ((y0, x0, y1, x1),)


def test_xml_files_hold_several_objects_and_are_clipped_to_the_image(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(_xml((30, 20), (1, 2, 10, 12), (-1, 5, 32, 21)))
    (tmp_path / "b.xml").write_text("<annotation/>")
    photos = ImageFolder(folder=folder, boxes=tmp_path).photos()
    assert [photo.boxes for photo in photos] == [((2, 1, 12, 10), (5, 0, 20, 30)), (), ()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotation>", r"a\.xml cannot be read"),
        (_xml((30, 20), (1, 2, 3, 4), (40, 2, 50, 4)), r"a\.xml, object 2: a box must"),
        (
            "<annotation><object><bndbox/></object></annotation>",
            r"object 1: <bndbox><xmin> must hold a number; got None",
        ),
        (_xml((30, 20), ("x", 2, 3, 4)), "must hold a number; got 'x'"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_xml_file_is_named(folder: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ImageError, match=said):
        ImageFolder(folder=folder, boxes=tmp_path).photos()


def test_a_folder_of_xml_for_other_images_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text(_xml((30, 20)))
    with pytest.raises(ImageError, match=r"has no \.xml file with the name of an image"):
        ImageFolder(folder=folder, boxes=tmp_path).photos()
