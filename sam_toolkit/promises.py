"""What methods promise of their maps and of their cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MapFacts:
    """What a method promises of its maps: scaling and SSIM's data range follow from it.

    Attributes:
        signed: whether evidence against the target is negative.
        value_range: bounds that hold by construction, or None.
    """

    signed: bool = True
    value_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Work:
    """What a method's network rows cost on a model.

    Attributes:
        share: of the multiply-adds of as many whole rows.
        how: in words, where there is more to say than that every row is a whole one.
    """

    share: float = 1.0
    how: str = ""
