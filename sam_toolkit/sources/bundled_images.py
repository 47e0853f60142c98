"""Photographs that installed packages carry: a study with nothing to download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import field_validator

from sam_toolkit.component import ImageSource
from sam_toolkit.errors import ImageError, near
from sam_toolkit.images import Box, Photo
from sam_toolkit.types import Params, field


@dataclass(frozen=True)
class _Picture:
    """A file of a package, the ImageNet class that it plainly shows, if any, and boxes (y0, x0, y1, x1)."""

    file: str
    rights: str
    label: int | None = None
    boxes: tuple[Box, ...] = ()


_PACKAGES = {"skimage": "scikit-image", "matplotlib": "matplotlib"}
_PICTURES = {
    "coffee": _Picture("skimage/data/coffee.png", "Rachel Michetti, CC0", 967, ((17, 173, 306, 406),)),
    "camera": _Picture("skimage/data/camera.png", "Lav Varshney, CC0", 872, ((189, 230, 512, 407),)),
    "chelsea": _Picture("skimage/data/chelsea.png", "Stefan van der Walt, CC0", 282, ((0, 28, 300, 396),)),
    "motorcycle": _Picture(
        "skimage/data/motorcycle_left.png",
        "Scharstein et al., Middlebury stereo data set 2014; no licence stated",
        665,
        ((15, 92, 450, 684),),
    ),
    "rocket": _Picture("skimage/data/rocket.jpg", "SpaceX, public domain", 657, ((126, 310, 407, 335),)),
    "astronaut": _Picture("skimage/data/astronaut.png", "NASA, public domain"),
    "grace-hopper": _Picture("matplotlib/mpl-data/sample_data/grace_hopper.jpg", "United States Navy, public domain"),
    "clock": _Picture("skimage/data/clock_motion.png", "Stefan van der Walt, public domain"),
    "coins": _Picture("skimage/data/coins.png", "Brooklyn Museum, no known copyright restrictions"),
    "hubble": _Picture("skimage/data/hubble_deep_field.jpg", "NASA, public domain"),
}


class BundledImagesParams(Params):
    """Which of the bundled photographs."""

    bundled: str | tuple[str, ...] = field("all", help=f"all, or some of {', '.join(_PICTURES)}")

    @field_validator("bundled")
    @classmethod
    def _known(cls, bundled: str | tuple[str, ...]) -> str | tuple[str, ...]:
        names = (bundled,) if isinstance(bundled, str) else bundled
        unknown = [name for name in names if name not in _PICTURES and bundled != "all"]
        if unknown or not names or len(set(names)) < len(names):
            known = ", ".join(_PICTURES)
            hint = near(unknown[0], _PICTURES) if unknown else ""
            raise ValueError(f"give all, or at least one of {known}, each once.{hint}")
        return bundled


class BundledImages(ImageSource[BundledImagesParams]):
    """Photographs in scikit-image and matplotlib; half of them with an ImageNet class and a hand-made box."""

    name = "bundled"

    def photos(self) -> Sequence[Photo]:
        """Return the photographs in the order asked for; raises ImageError if a package is not installed."""
        asked = self.params.bundled
        names = (asked,) if isinstance(asked, str) else asked
        return [_photo(name, _PICTURES[name]) for name in (_PICTURES if asked == "all" else names)]


def _photo(name: str, picture: _Picture) -> Photo:
    package, _, file = picture.file.partition("/")
    # Found by path: importing the packages is slow, and their readers may download.
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImageError(f"Image {name!r} comes with {_PACKAGES[package]}: pip install {_PACKAGES[package]}")
    return Photo.of_file(Path(found.submodule_search_locations[0]) / file, name, picture.label, picture.boxes)
