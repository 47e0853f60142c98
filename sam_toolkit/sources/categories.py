"""Names of classes."""

from __future__ import annotations

from pathlib import Path

from sam_toolkit.errors import ModelError


def imagenet_categories() -> tuple[str, ...]:
    """Return the 1,000 ImageNet class names in the usual order, or none if torchvision is not installed."""
    try:
        from torchvision.models import ResNet18_Weights  # noqa: PLC0415 - slow to import
    except ImportError:
        return ()
    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def read_categories(given: tuple[str, ...] | Path, classes: int) -> tuple[str, ...]:
    """Return class names from a list, or from a text file, one a line.

    Raises ModelError where the file cannot be read, or gives other than `classes` names.
    """
    if isinstance(given, Path):
        try:
            names = tuple(given.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(
                f"Class names cannot be read from {given} ({error}). Give a text file, one name a line."
            ) from error
    else:
        names = given
    if names and len(names) != classes:
        raise ModelError(f"There are {len(names)} class names for {classes} classes; give one a class, in order.")
    return names
