"""The largest change of an attribution that a search finds."""

from __future__ import annotations

import torch


def climbed(operator, lengths, seed):
    """Return the largest |A u| that alternating ascent finds with |u_S| <= lengths_S."""
    matrix = operator.matrix * lengths
    direction = torch.randn(200, len(matrix), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for _ in range(30):
        direction = torch.sign(direction @ matrix) @ matrix.T
    return float(direction.norm(dim=1).max())
