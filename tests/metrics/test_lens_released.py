"""The deviations of LENS's released code, against a restatement of what it does with flat lists of pixels."""

from __future__ import annotations

import pytest
import torch
from metrics import lens_by_hand as hand
from metrics.lens_examples import EXAMPLES
from torch import Tensor

from sam_toolkit import LensPrecision, LensRecall, TopKIntersection

FLOWER_ROWS = (-4, -2, -1, 0, 1, 2, 4)


class ReleasedCode:
    """What the released scripts compute for two maps, by flat indices; ties go to the lower index here."""

    def __init__(self, a: Tensor, b: Tensor, k: int, w: int, pool: int | None = None) -> None:
        self.pixels, self.width, self.w = a.numel(), a.shape[1], w
        self.rows = FLOWER_ROWS if tuple(a.shape) == (128, 128) and w == 3 else range(-w, w + 1)
        self.k, self.pool = k, pool or self.pixels
        self.orders = [sorted(range(self.pixels), key=lambda i, m=m: (-float(m.flatten()[i]), i)) for m in (a, b)]

    def window(self, pixels: list[int]) -> set[int]:
        shifted = {p + row * self.width + column for p in pixels for row in self.rows for column in self.columns}
        return {pixel for pixel in shifted if 0 < pixel < self.pixels}

    @property
    def columns(self) -> range:
        return range(-self.w, self.w + 1)

    def diverse(self, order: list[int]) -> set[int]:
        """Raises IndexError where the list runs out."""
        left = order[: self.pool]
        picked = [left[0]]
        left = [pixel for pixel in left if pixel not in self.window([left[0]])]
        for _ in range(self.k - 1):
            gone = self.window([left[0]])
            left = [pixel for pixel in left if pixel not in gone and pixel > 0]
            picked.append(left[0])
        return {pixel for pixel in picked if pixel > 0}

    def scores(self, diverse: bool) -> list[float]:
        first, second = (self.diverse(order) if diverse else set(order[: self.k]) for order in self.orders)
        around_first, around_second = self.window(list(first)), self.window(list(second))
        hits = (first & second, around_first & second, first & around_second)
        return [len(each) / self.k for each in hits]


def ours(a: Tensor, b: Tensor, k: int, w: int, diverse: bool, compat: object = "lens-2024") -> list[float]:
    fields = {"k": k, "w": w, "diverse": diverse, "compat": compat}
    return [float(metric(**fields)(a, b)) for metric in (TopKIntersection, LensRecall, LensPrecision)]


def test_the_worked_examples():
    a, b = EXAMPLES["border"].a, EXAMPLES["border"].b
    assert ours(a, b, 3, 1, False)[1:] == [3 / 3, 2 / 3]
    assert ours(a, b, 3, 1, True) == [0, 2 / 3, 2 / 3]
    assert LensRecall(k=3, compat="lens-2024").scores(a, b).extras["chance"] == 18 / 36
    assert LensPrecision(k=3, compat="lens-2024").scores(a, b).extras["chance"] == 20 / 36
    found = LensRecall(k=3, diverse=True, compat="lens-2024").scores(a, b).extras
    assert (found["found_first"], found["found_second"]) == (2, 3)
    a, b = EXAMPLES["permutation"].a, EXAMPLES["permutation"].b
    assert ours(a, b, 5, 1, False)[1] == 4 / 5
    assert LensRecall(k=5, compat="lens-2024").scores(a, b).extras["chance"] == 21 / 25
    assert all(value != value for value in ours(a, b, 5, 1, True))  # noqa: PLR0124 - NaN, where the code ends


@pytest.mark.parametrize("w", [1, 2, 3])
@pytest.mark.parametrize("number", range(40))
def test_random_maps_score_as_in_the_released_code(number, w):
    generator = torch.Generator().manual_seed(number)
    height, width = (int(side) for side in torch.randint(3, 13, (2,), generator=generator))
    a, b = torch.randint(0, [3, 1000][number % 2], (2, height, width), generator=generator).float()
    if number % 4 == 0:
        a[0, 0] = b[0, 0] = 2000  # the first pixel first, or next
        b[1, 1] = 3000
    for k in (1, 2, 5):
        code = ReleasedCode(a, b, k, w)
        assert ours(a, b, k, w, False) == code.scores(False)
        try:
            expected = code.scores(True)
        except IndexError:
            assert all(value != value for value in ours(a, b, k, w, True))  # noqa: PLR0124
        else:
            assert ours(a, b, k, w, True) == expected


@pytest.mark.parametrize(("size", "w", "pool"), [((28, 28), 1, 600), ((128, 128), 3, 6000)])
def test_maps_of_the_papers_sizes_have_their_pools_and_windows(size, w, pool):
    a = torch.rand(size, generator=torch.Generator().manual_seed(0))
    b = 0.5 * a + 0.5 * torch.rand(size, generator=torch.Generator().manual_seed(1))
    code = ReleasedCode(a, b, 80, w, pool)
    assert ours(a, b, 80, w, False) == code.scores(False)
    assert ours(a, b, 80, w, True) == code.scores(True)
    assert ours(a, b, 80, w, True) != ours(a, b, 80, w, True, None)


def test_a_pool_that_runs_out_has_no_value_and_larger_windows_larger_pools():
    a, b = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    assert all(value != value for value in ours(a, b, 100, 3, True, "pool"))  # noqa: PLR0124
    assert ours(a, b, 30, 1, True, "pool") == ours(a, b, 30, 1, True, None)


def test_each_deviation_can_be_had_by_itself():
    a, b = torch.rand(2, 9, 7, generator=torch.Generator().manual_seed(3))
    a[4, 6], b[5, 0], a[0, 0], b[0, 0] = 9, 9, 8, 8
    none = ours(a, b, 4, 1, False, None)
    assert none == [float(f) for f in (hand.intersection(hand.as_rows(a), hand.as_rows(b), 4),
                                       hand.recall(hand.as_rows(a), hand.as_rows(b), 4, 1),
                                       hand.precision(hand.as_rows(a), hand.as_rows(b), 4, 1))]  # fmt: skip
    assert ours(a, b, 4, 1, False, "row-wrap")[1] == none[1] + 1 / 4
    assert ours(a, b, 4, 1, False, "pixel-zero")[1] == none[1] - 1 / 4
    whole = ours(a, b, 63, 2, True, None)
    assert ours(a, b, 63, 2, True, "nominal-k")[1] < whole[1]
    picks = LensRecall(k=3, diverse=True, compat="second-pick").scores(a, b).extras["found_first"]
    assert picks == 3
    assert ours(a, b, 3, 1, True, "second-pick") != ours(a, b, 3, 1, True, None)
    both = ours(a, b, 4, 1, False, ("row-wrap", "pixel-zero"))
    assert both[1] == none[1]


@pytest.mark.parametrize("w", [0, 2])
def test_what_a_deviation_does_not_touch_stays(w):
    a, b = torch.rand(2, 9, 7, generator=torch.Generator().manual_seed(3))
    assert ours(a, b, 5, w, False, ("second-pick", "pool", "flower-window")) == ours(a, b, 5, w, False, None)
    assert ours(a, b, 5, w, True, "flower-window") == ours(a, b, 5, w, True, None)
