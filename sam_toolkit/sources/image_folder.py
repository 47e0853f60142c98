"""Photographs in a folder, with labels and boxes from files beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from sam_toolkit.component import ImageSource
from sam_toolkit.errors import ImageError, near
from sam_toolkit.images import Photo
from sam_toolkit.sources.annotations import Names, read_labels
from sam_toolkit.sources.box_files import read_boxes
from sam_toolkit.sources.selection import SelectParams, selected
from sam_toolkit.types import Params, field


class ImageFolderParams(Params):
    """Which files of a folder are photographs, and what is known of them."""

    folder: Path = field(help="folder of image files")
    labels: Path | None = field(
        None, help=".csv (file,class), .json ({file: class}) or text (file class); classes count from 0"
    )
    boxes: Path | None = field(
        None,
        help=".csv (file,x0,y0,x1,y1), .json ({file: [[x0,y0,x1,y1]]}) or folder of ImageNet/VOC .xml files",
    )
    select: SelectParams = field(
        SelectParams(), help="which of the images: a list of names, those that models get right, a draw; default: all"
    )
    endings: tuple[str, ...] = field(
        (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"),
        help="of image files, in small letters",
        min_length=1,
    )
    recursive: bool = field(False, help="whether to look into folders in the folder")

    @model_validator(mode="after")
    def _labels_to_judge_by(self) -> Self:
        if self.select.judges and self.labels is None:
            raise ValueError("select compares predictions with labels, so it needs `labels`.")
        return self


class ImageFolder(ImageSource[ImageFolderParams]):
    """The image files of a folder, sorted by name, or a selection of them."""

    name = "folder"

    def photos(self) -> Sequence[Photo]:
        """Return the photographs, sorted by path or as selected; raises ImageError if a file is unusable."""
        folder = self.params.folder
        names = Names(folder, self._names())
        labels = {} if self.params.labels is None else read_labels(self.params.labels, names)
        chosen = selected(self.params.select, names, labels)
        boxes = {} if self.params.boxes is None else read_boxes(self.params.boxes, names, dict.fromkeys(chosen))
        return [Photo.of_file(folder / name, name, labels.get(name), boxes.get(name, ())) for name in chosen]

    def _names(self) -> list[str]:
        """Return the paths of image files relative to the folder, sorted."""
        folder = self.params.folder
        if not folder.is_dir():
            beside = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
            what = "is a file" if folder.exists() else "does not exist"
            raise ImageError(f"Image folder {folder} {what} (looked from {Path.cwd()}).{near(folder.name, beside)}")
        names = sorted(path.relative_to(folder).as_posix() for path in self._files(recursive=self.params.recursive))
        if not names:
            deeper = self.params.recursive or not any(True for _ in self._files(recursive=True))
            hint = "" if deeper else " Folders in it have some: say `recursive: true`."
            raise ImageError(f"Image folder {folder} has no file that ends in {', '.join(self.params.endings)}.{hint}")
        return names

    def _files(self, *, recursive: bool) -> list[Path]:
        pattern = "**/*" if recursive else "*"
        files = [path for path in self.params.folder.glob(pattern) if path.name.lower().endswith(self.params.endings)]
        return [path for path in files if path.is_file() and not path.name.startswith(".")]
