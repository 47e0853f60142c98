"""What a bound rests on, in words that stand beside its number."""

from __future__ import annotations

from enum import StrEnum


class Origin(StrEnum):
    """Who proved a bound."""

    PAPER = "Lin, Covert and Lee (NeurIPS 2023)"
    OURS = "derived for this package, not in the paper"


class Assumption(StrEnum):
    """What must hold for a bound to hold."""

    SAME_MAP = "before and after, attributions are one linear map of values: same players, subsets, weights and target"
    LAYERS = "the constant is a product over layers in evaluation mode, in exact arithmetic"
    CHANCE = "spectral norms of convolutions come from a random start; each is too low with a chance of at most 1e-9"
    GIVEN = "the score is Lipschitz with the constant given everywhere, at imputed inputs far from the data too"
    ESTIMATE = "the constant is the largest slope found at some inputs: it may be too low, so this is no certificate"
    PAIR_SLOPE = (
        "the constant is the steepest slope between these two inputs over the evaluated subsets, and holds there"
    )
    FIXED = "what stands in for removed players does not depend on the input: a fixed baseline or background set"
    IMPUTATION = "imputed inputs depend on the input with the Lipschitz constant given"
    CONDITIONAL = "what stands in for removed players is drawn given the players shown, from the same law each time"
    VARIATION = "that law moves with the players shown no faster than by the constants given"
    GAUSSIAN = "inputs are Gaussian with the covariance given"
    SUPREMUM = "no score exceeds B in size"
    OSCILLATION = "the largest and the smallest score lie no further apart than given, 1 for probabilities"
    SAME_LAW = "what stands in for removed players does not depend on the model"
    EVERYWHERE = "the models differ by at most the distance given at every input, far from the data too"
    ON_DOMAIN = (
        "the models differ by at most the distance given on a domain that holds the given share of imputed inputs"
    )
