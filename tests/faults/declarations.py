"""Methods that compute as they should, with one fault each in what they say of themselves."""

from __future__ import annotations

from faults.methods import Smooth

from sam_toolkit.component import Method
from sam_toolkit.types import Params


class NamedBadly(Smooth):
    """The name is not kebab-case."""

    name = "Smooth_Grad"


class WithoutReference(Smooth):
    """Nobody knows where it is from."""

    reference = ""


class UnexplainedParams(Params):
    samples: int = 4


class Unexplained(Smooth, Method[UnexplainedParams]):
    """A hyperparameter has no help."""
