"""Files that say what photographs show: which image a line speaks of, and the class of each."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from sam_toolkit.errors import ImageError, near


class Names:
    """The images of a folder, found by path, by file name or by file name without its ending."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Index `names`, paths relative to `folder`."""
        self.folder = folder
        self.names = tuple(names)
        self._paths = frozenset(self.names)
        self._found: dict[str, set[str]] = defaultdict(set)
        for name in self.names:
            path = PurePath(name)
            for key in (name, path.name, path.stem, path.with_suffix("").as_posix()):
                self._found[key].add(name)

    def find(self, given: str, where: str) -> str:
        """Return the image that `given` means; raises ImageError where there is none, or more than one."""
        key = PurePath(given.strip()).as_posix()
        found = {key} if key in self._paths else self._found.get(key, set())
        if len(found) == 1:
            return next(iter(found))
        if found:
            raise ImageError(f"{where}: {given!r} may be {' or '.join(sorted(found))} in {self.folder}; give its path.")
        raise ImageError(f"{where}: there is no image {given!r} in {self.folder}.{near(key, self.names)}")


def read_labels(path: Path, names: Names) -> dict[str, int]:
    """Return the class of each labelled image, from a .csv (file,class), .json ({file: class}) or text file.

    Raises ImageError with the line where an image does not exist, is labelled twice, or has no class >= 0.
    """
    labels: dict[str, int] = {}
    lines: dict[str, str] = {}
    for where, file, value in _label_rows(path):
        label = whole(value, f"{where}: the class of {file!r}")
        if label < 0:
            raise ImageError(f"{where}: the class of {file!r} must be 0 or more; got {label}.")
        name = names.find(file, where)
        if name in labels:
            raise ImageError(f"{where}: {name!r} is labelled already, in {lines[name]}.")
        labels[name], lines[name] = label, where
    return labels


def read_text(path: Path) -> str:
    """Return the text of a file of annotations; raises ImageError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"Annotations {path} cannot be read ({error}).") from error


def read_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (file and line, cells) of the rows of a .csv file that are not blank."""
    reader = csv.reader(read_text(path).splitlines())
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield f"{path}, line {reader.line_num}", [cell.strip() for cell in cells]


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a .json file; raises ImageError where it is malformed or names an image twice."""
    try:
        content = json.loads(read_text(path), object_pairs_hook=_unique(path))
    except json.JSONDecodeError as error:
        raise ImageError(f"{path}, line {error.lineno}: {error.msg}.") from None
    if not isinstance(content, dict):
        raise ImageError(f"{path} must hold an object with a file name for each key; got a {type(content).__name__}.")
    return content


def whole(value: object, what: str) -> int:
    """Return a whole number given as a number or as text; raises ImageError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().removeprefix("-").isdecimal():
        return int(value)
    raise ImageError(f"{what} must be a whole number; got {value!r}.")


def _label_rows(path: Path) -> Iterator[tuple[str, str, object]]:
    if path.suffix.lower() == ".json":
        yield from ((f"{path}, {file!r}", file, value) for file, value in read_object(path).items())
    elif path.suffix.lower() == ".csv":
        yield from _csv_labels(path)
    else:
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            if line.strip():
                file, _, value = line.strip().replace("\t", " ").rpartition(" ")
                yield f"{path}, line {number}", file.strip(), value


def _csv_labels(path: Path) -> Iterator[tuple[str, str, object]]:
    for number, (where, cells) in enumerate(read_rows(path)):
        if len(cells) < 2:
            raise ImageError(f"{where}: a label needs two columns, the file and its class; got {cells}.")
        if number > 0 or cells[1].isdecimal():
            yield where, cells[0], cells[1]


def _unique(path: Path) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise ImageError(f"{path}: {repeated!r} stands there more than once.")
        return content

    return build
