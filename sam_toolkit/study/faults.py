"""What a component does wrong, told by its name."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sam_toolkit.errors import ComponentError, SamError
from sam_toolkit.study.results import Failure


@contextmanager
def blamed(who: str) -> Iterator[None]:
    """Raise ComponentError that names a component where its code raises anything that is no message to a user."""
    try:
        yield
    except SamError:
        raise
    except Exception as error:
        raise ComponentError(f"{who} raised {fault(error)}") from error


def fault(error: Exception) -> str:
    """Return what a user reads of an error: its message where it is made for users, else its type and place too."""
    if isinstance(error, SamError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (at {Path(where.filename).name}:{where.lineno}, in {where.name})"


def check_shape(values: Tensor, expected: tuple[int, ...], who: str) -> None:
    """Raise ComponentError where a component returned another shape than its contract says."""
    if tuple(values.shape) != expected:
        raise ComponentError(f"{who} returned {list(values.shape)} where {list(expected)} is due.")


def merged(failures: Iterable[Failure]) -> list[Failure]:
    """Return the failures, those that differ in the image alone as one."""
    found: dict[Failure, list[str]] = {}
    for failure in failures:
        found.setdefault(replace(failure, image=""), []).append(failure.image)
    return [replace(failure, image=", ".join(images)) for failure, images in found.items()]
