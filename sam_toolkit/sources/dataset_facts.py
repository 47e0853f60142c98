"""What is known of the small data sets: their images, their classes and where their files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sam_toolkit.images import Preprocessing

DatasetName = Literal["mnist", "fashion-mnist", "cifar10"]


@dataclass(frozen=True)
class DatasetFacts:
    """A data set of small images.

    Attributes:
        side: of its square images, in pixels.
        mean: per channel, by which networks for it normalise.
        std: per channel.
        categories: names of its classes.
        home: folder where an installed package keeps its files, where one does.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    categories: tuple[str, ...]
    home: Path | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """Return how its images become inputs: as they are, then normalised."""
        return Preprocessing(self.side, None, mean=self.mean, std=self.std)


_GREY = (0.25,), (0.3,)
"""Close to the mean and the deviation of both sets of grey images."""

DATASETS: dict[DatasetName, DatasetFacts] = {
    "mnist": DatasetFacts(28, *_GREY, tuple("0123456789")),
    "fashion-mnist": DatasetFacts(
        28,
        *_GREY,
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
        Path("/usr/share/datasets/fashion-mnist"),
    ),
    "cifar10": DatasetFacts(
        32,
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}
"""By the name that study files say; the package of Fashion-MNIST is Debian's `dataset-fashion-mnist`."""
