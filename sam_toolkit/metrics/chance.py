"""What unrelated maps would score, beside what two maps do."""

from __future__ import annotations

import torch
from torch import Tensor

from sam_toolkit.component import PairScores


def with_chance(values: Tensor, chance: Tensor | float, **extras: Tensor) -> PairScores:
    """Return the values with their `chance` level, with `corrected` = (value - chance) / (1 - chance), and `extras`.

    Corrected is 0 at the chance level and 1 for equal maps; NaN where chance alone reaches 1.
    """
    level = torch.as_tensor(chance, dtype=values.dtype, device=values.device).expand(values.shape)
    corrected = ((values - level) / (1 - level)).masked_fill(level >= 1, torch.nan)
    # A value that is undefined has no level beside it.
    level = level.masked_fill(values.isnan(), torch.nan)
    return PairScores(values, {"chance": level, "corrected": corrected, **extras})
