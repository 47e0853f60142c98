"""Frozen values that components exchange: hyperparameters and batches of images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from sam_toolkit.errors import ComponentError, near


class Params(BaseModel):
    """The hyperparameters of a component: types, ranges, defaults and help in one place; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    conventions: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """By the name of a study's `compat`: values of fields, unless an entry says others; its `compat` takes the name."""

    def varied(self, **changes: Any) -> Self:
        """Return a validated copy with `changes`; raises pydantic's ValidationError where one breaks a rule."""
        return type(self)(**{**self.model_dump(), **changes})

    def canonical(self) -> str:
        """Return the parameters as JSON with sorted keys: equal settings give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def without(self, names: frozenset[str]) -> str:
        """Return `canonical` text of all fields but `names`: settings that agree in it share one computation."""
        values = {key: value for key, value in self.model_dump(mode="json").items() if key not in names}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))


def field(default: Any = ..., *, help: str, **rules: Any) -> Any:
    """Declare a hyperparameter: its default, one line of help, and pydantic rules such as `ge=1`."""
    return Field(default, description=help, **rules)


P = TypeVar("P", bound=Params)


def grouped(settings: Iterable[P], shares: Callable[[P], frozenset[str]]) -> list[tuple[P, ...]]:
    """Return the different settings in groups that agree in every field but those that `shares` names of them."""
    found: dict[tuple[tuple[str, ...], str], list[P]] = {}
    for setting in dict.fromkeys(settings):
        fields = shares(setting)
        found.setdefault((tuple(sorted(fields)), setting.without(fields)), []).append(setting)
    return [tuple(group) for group in found.values()]


def problems(error: ValidationError, params: type[Params]) -> list[str]:
    """Return what is wrong with values for `params`: the field, the rule and the value, near names for unknown ones."""
    found = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            known = ", ".join(params.model_fields)
            found.append(f"no hyperparameter {path!r} (it has: {known}).{near(path, params.model_fields)}")
        else:
            found.append(f"{path}: {item['msg']}; got {item['input']!r}.")
    return found


def digest(*parts: bytes | str) -> str:
    """Return the 32 hexadecimal digits of a BLAKE2b hash of `parts`, each length-prefixed."""
    return next(digests(parts, [()]))


def digests(first: Iterable[bytes | str], rests: Iterable[Iterable[bytes | str]]) -> Iterator[str]:
    """Yield the digest of the parts `first` and those of each of `rests`; what is common is hashed once."""
    common = hashlib.blake2b(digest_size=16)
    _hash(common, first)
    for rest in rests:
        state = common.copy()
        _hash(state, rest)
        yield state.hexdigest()


def _hash(state: hashlib.blake2b, parts: Iterable[bytes | str]) -> None:
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)


def tensor_digest(tensor: Tensor) -> str:
    """Return the content digest of a tensor: its dtype, shape and bytes."""
    values = tensor.detach().cpu().contiguous()
    return digest(str(values.dtype), str(tuple(values.shape)), values.reshape(-1).view(torch.uint8).numpy().tobytes())


class Origin(Protocol):
    """The picture that an image was made from, at its own size."""

    @property
    def scale(self) -> tuple[float, float]:
        """Return how many pixels of the image one of the picture becomes, down and across."""

    def picture(self) -> Tensor:
        """Return the picture, float32 `[C, h, w]` in [0, 1]."""

    def image(self, picture: Tensor) -> Tensor:
        """Return the image `[C, H, W]` that becomes of a picture of that size."""


@dataclass(frozen=True)
class Batch:
    """Images of one size with what is asked about them.

    Attributes:
        images: float32 `[N, C, H, W]`, RGB (or grey) in [0, 1] at network size; what a bare module takes as it is.
        targets: int64 `[N]`, the class whose score is explained.
        ids: one content digest an image; random draws are addressed by it.
        boxes: int64 `[B, 5]` of (image, y0, x0, y1, x1), ends exclusive, or None where objects are not annotated.
        origins: what each image was made from, or None where images are all there is.
    """

    images: Tensor
    targets: Tensor
    ids: tuple[str, ...]
    boxes: Tensor | None = None
    origins: tuple[Origin, ...] | None = None

    @classmethod
    def of(cls, images: Tensor, targets: Tensor | Sequence[int] | int, ids: Sequence[str] | None = None) -> Self:
        """Build a batch from tensors; ids default to content digests. Raises ComponentError on wrong shapes."""
        if images.dim() != 4 or not images.is_floating_point():
            raise ComponentError(
                f"images must be a floating-point tensor [N, C, H, W]; got {images.dtype} {list(images.shape)}."
            )
        if not len(images):
            raise ComponentError("images must hold at least one image; got none.")
        wanted = torch.as_tensor(targets, dtype=torch.int64, device=images.device).reshape(-1)
        if wanted.numel() == 1:
            wanted = wanted.expand(len(images))
        if wanted.numel() != len(images):
            raise ComponentError(
                f"targets must give one class an image: got {wanted.numel()} for {len(images)} images."
            )
        return cls(images.detach().float(), wanted, tuple(ids or (tensor_digest(image) for image in images)))

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    def select(self, indices: Sequence[int]) -> Self:
        """Return the batch of the images at `indices`, with their boxes renumbered."""
        rows = torch.tensor(list(indices), dtype=torch.int64)
        boxes = None
        if self.boxes is not None:
            kept = [
                torch.cat([torch.full((len(own), 1), new), own[:, 1:]], dim=1)
                for new, old in enumerate(indices)
                if len(own := self.boxes[self.boxes[:, 0] == old])
            ]
            boxes = torch.cat(kept) if kept else self.boxes[:0]
        where = rows.to(self.images.device)
        return replace(
            self,
            images=self.images[where],
            targets=self.targets[where],
            ids=tuple(self.ids[i] for i in indices),
            boxes=boxes,
            origins=self.origins and tuple(self.origins[i] for i in indices),
        )

    def with_images(self, images: Tensor) -> Self:
        """Return the same batch (ids, targets, boxes, origins) with other images, such as noisy ones."""
        return replace(self, images=images)
