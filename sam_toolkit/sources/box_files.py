"""Boxes around objects, from a table, from JSON, or from the XML files of ImageNet and Pascal VOC."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePath
from xml.etree import ElementTree

from sam_toolkit.errors import ImageError
from sam_toolkit.images import Box, stored_size
from sam_toolkit.sources.annotations import Names, read_object, read_rows, whole

_CORNERS = ("x0", "y0", "x1", "y1")
_XML_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_Found = tuple[str, str, Box]
"""Where it was read, the image, and (y0, x0, y1, x1) in pixels of the file as stored."""


def read_boxes(path: Path, names: Names, chosen: Collection[str]) -> dict[str, tuple[Box, ...]]:
    """Return the boxes (y0, x0, y1, x1) of each `chosen` image that has any, in pixels of its file as stored.

    `path` is a .csv file with the columns file, x0, y0, x1, y1; a .json file {file: [[x0, y0, x1, y1], ...]};
    or a folder with an XML file an image. Ends are exclusive. Raises ImageError with file and line of a box
    that is malformed, repeated or outside its image.
    """
    if path.is_dir():
        found = _xml(path, names.folder, chosen)
    elif path.suffix.lower() == ".json":
        found = _json(path, names)
    else:
        found = _csv(path, names)
    boxes: dict[str, dict[Box, str]] = defaultdict(dict)
    for where, name, box in found:
        if name not in chosen:
            continue
        if box in boxes[name]:
            raise ImageError(f"{where}: this box of {name!r} stands already in {boxes[name][box]}.")
        _require_inside(where, box, stored_size(names.folder / name))
        boxes[name][box] = where
    return {name: tuple(own) for name, own in boxes.items()}


def _require_inside(where: str, box: Box, size: tuple[int, int]) -> None:
    y0, x0, y1, x1 = box
    height, width = size
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ImageError(
            f"{where}: a box must have 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}, its image; "
            f"got x0={x0}, y0={y0}, x1={x1}, y1={y1}."
        )


def _box(corners: Sequence[object], where: str) -> Box:
    x0, y0, x1, y1 = (whole(value, f"{where}: {corner}") for corner, value in zip(_CORNERS, corners, strict=True))
    return y0, x0, y1, x1


def _csv(path: Path, names: Names) -> Iterator[_Found]:
    rows = read_rows(path)
    header = next(rows, ("", []))[1]
    missing = [column for column in ("file", *_CORNERS) if column not in header]
    if missing:
        raise ImageError(
            f"{path} must begin with a line that names its columns file,x0,y0,x1,y1; "
            f"{', '.join(missing)} is missing in {header}."
        )
    for where, cells in rows:
        if len(cells) != len(header):
            raise ImageError(f"{where}: {len(cells)} cells under {len(header)} columns.")
        row = dict(zip(header, cells, strict=True))
        yield where, names.find(row["file"], where), _box([row[corner] for corner in _CORNERS], where)


def _json(path: Path, names: Names) -> Iterator[_Found]:
    for file, boxes in read_object(path).items():
        where = f"{path}, {file!r}"
        name = names.find(file, where)
        if not isinstance(boxes, list) or not all(isinstance(box, list) and len(box) == 4 for box in boxes):
            raise ImageError(f"{where}: boxes are a list of [x0, y0, x1, y1]; got {boxes!r}.")
        yield from ((where, name, _box(box, where)) for box in boxes)


def _xml(folder: Path, images: Path, chosen: Collection[str]) -> Iterator[_Found]:
    """Yield the boxes of XML files; other files of a whole data set's annotations are passed over."""
    found = False
    for name in chosen:
        relative = PurePath(name).with_suffix(".xml")
        path = next((folder / file for file in (relative, relative.name) if (folder / file).is_file()), None)
        if path is not None:
            found = True
            yield from ((where, name, box) for where, box in _xml_boxes(path, stored_size(images / name)))
    if not found:
        raise ImageError(f"{folder} has no .xml file with the name of an image in {images}.")


def _xml_boxes(path: Path, size: tuple[int, int]) -> Iterator[tuple[str, Box]]:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise ImageError(f"Annotations {path} cannot be read ({error}).") from error
    annotated = [_number(root, f"size/{side}", str(path), size[axis]) for axis, side in enumerate(("height", "width"))]
    scale = [actual / given if given > 0 else 1.0 for actual, given in zip(size, annotated, strict=True)]
    for count, item in enumerate(root.iterfind("object"), start=1):
        where = f"{path}, object {count}"
        x0, y0, x1, y1 = (_number(item, f"bndbox/{corner}", where) for corner in _XML_CORNERS)
        # Annotators drew a pixel or two over the border; a box that is wholly outside is still refused.
        box = (
            max(y0 * scale[0], 0),
            max(x0 * scale[1], 0),
            min(y1 * scale[0], size[0]),
            min(x1 * scale[1], size[1]),
        )
        yield where, (round(box[0]), round(box[1]), round(box[2]), round(box[3]))


def _number(element: ElementTree.Element, path: str, where: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and default is not None:
        return default
    try:
        return float(text or "")
    except ValueError:
        raise ImageError(f"{where}: <{path.replace('/', '><')}> must hold a number; got {text!r}.") from None
