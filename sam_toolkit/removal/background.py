"""Photographs that stand for what is removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import model_validator

from sam_toolkit.errors import ImageError
from sam_toolkit.images import Photo
from sam_toolkit.model import Model
from sam_toolkit.removal.removals import Marginal, Nearest
from sam_toolkit.sources.image_folder import ImageFolder
from sam_toolkit.types import Params, digest, field


class BackgroundParams(Params):
    """A background set of photographs."""

    folder: Path = field(help="folder of image files")
    images: int = field(16, ge=1, help="how many of its images, the first by name")
    nearest: int | None = field(
        None, ge=1, help="how many of them count, those nearest in what is shown (conditional); default: all (marginal)"
    )
    content: str = field("", help="digest of the images, filled in by itself: other files give other maps")

    @model_validator(mode="before")
    @classmethod
    def _digested(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("folder"), str | Path):
            try:
                photos = _photos(Path(given["folder"]), int(given.get("images", 16)))
            except ImageError as error:
                raise ValueError(str(error)) from None
            return {**given, "content": digest(*(photo.digest for photo in photos))}
        return given

    @model_validator(mode="after")
    def _enough(self) -> BackgroundParams:
        there = len(_photos(self.folder, self.images))
        if there < self.images:
            raise ValueError(f"{self.folder} has {there} images, not {self.images}")
        if self.nearest is not None and self.nearest > self.images:
            raise ValueError(f"nearest is at most the number of images, {self.images}; got {self.nearest}")
        return self

    @property
    def draws(self) -> int:
        """Return over how many images a prediction is averaged."""
        return self.nearest or self.images

    def removal(self, model: Model) -> Marginal | Nearest:
        """Return what removes players; raises ImageError where an image cannot be read."""
        images = torch.stack([model.image(photo) for photo in _photos(self.folder, self.images)])
        return Marginal(images) if self.nearest is None else Nearest(images, self.nearest)


def _photos(folder: Path, count: int) -> tuple[Photo, ...]:
    return tuple(ImageFolder(folder=folder).photos()[:count])
