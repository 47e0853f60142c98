"""Insertion and deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, TypeVar

import torch
from pydantic import ValidationInfo, field_validator
from torch import Tensor

from sam_toolkit.component import MapMetric
from sam_toolkit.fills import Fill, Filling
from sam_toolkit.metrics.evidence import Sign, strength
from sam_toolkit.model import Model, Score
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

_Convention = Literal["sam-2020", "auc-by-maximum", "predicted-class", "scan-order"]
"""What the original did another way, by name; all of it together."""


class _Order(NamedTuple):
    """In which order a map ranks pixels; equal ones at random, or, without a seed, the last one first."""

    sign: Sign
    seed: int | None


class _State(NamedTuple):
    """An image with the first `hidden` pixels of an order hidden: a network row; what does not matter to it is None."""

    predicted: bool
    hidden: int
    filling: Filling | None
    order: _Order | None
    map: int | None


class CurveParams(Params):
    """Hyperparameters of insertion and deletion."""

    steps: int = field(28, ge=1, help="steps of the curve, as equal as whole pixels allow; where pixels is none")
    pixels: int | None = field(None, ge=1, help="pixels of a step, the last one being what is left")
    fill: Fill = field("mean", help="what hides: mean (0 at inputs), black, blur, noise, a level, a colour")
    blur_sigma: float = field(5.0, gt=0, help="standard deviation of the blur in pixels, where fill is blur")
    sign: Sign = field("signed", help="signed: negative values rank last; absolute: values rank without their sign")
    seed: int = field(0, ge=0, help="seed of the order of equal values, and of the noise where fill is noise")
    score: Score = field("probability", help="what the curve is of: the target's logit or its probability")
    compat: _Convention | tuple[_Convention, ...] | None = field(
        None,
        help="conventions of SAM's code. auc-by-maximum: the area is divided by the curve's maximum; predicted-class: "
        "of the predicted class, else the target; scan-order: equal values rank from the last pixel to the first, "
        "else at random; sam-2020: all of them",
    )

    @field_validator("compat")
    @classmethod
    def _has_a_maximum(cls, compat: str | tuple[str, ...] | None, info: ValidationInfo) -> str | tuple[str, ...] | None:
        kept = compat if isinstance(compat, tuple) else (compat,)
        if {"auc-by-maximum", "sam-2020"} & set(kept) and info.data.get("score") == "logit":
            raise ValueError("the maximum of logits may be negative, and divides nothing: set score to probability")
        return compat

    def follows(self, convention: _Convention) -> bool:
        """Return whether a convention of the original's is kept."""
        kept = self.compat if isinstance(self.compat, tuple) else (self.compat,)
        return convention in kept or "sam-2020" in kept

    def counts(self, pixels: int) -> list[int]:
        """Return how many of an image's pixels are changed at each point of the curve, from 0 to all."""
        if self.pixels is not None:
            return [*range(0, pixels, self.pixels), pixels]
        return sorted({pixels * step // self.steps for step in range(self.steps + 1)})

    def order(self) -> _Order:
        """Return how pixels are ranked, without the seed where it does not matter."""
        return _Order(self.sign, None if self.follows("scan-order") else self.seed)

    def filling(self) -> Filling:
        """Return the fill with what it depends on."""
        return Filling.of(self.fill, self.blur_sigma, self.seed)

    def state(self, map_number: int, hidden: int, pixels: int) -> _State:
        """Return the state with so many of an image's pixels hidden; the two ends are the same for every map."""
        predicted = self.follows("predicted-class")
        if hidden == 0:
            return _State(predicted, hidden, None, None, None)
        if hidden == pixels:
            return _State(predicted, hidden, self.filling(), None, None)
        return _State(predicted, hidden, self.filling(), self.order(), map_number)


class InsertionParams(CurveParams):
    """Hyperparameters of insertion."""

    fill: Fill = field("blur", help="what hides: blur, mean (0 at inputs; SAM's), black, noise, a level, a colour")


P = TypeVar("P", bound=CurveParams)


class _Curve(MapMetric[P]):
    """The area under the curve of the target's score while pixels are hidden or shown in the order of the map."""

    reference = "Petsiuk, Das and Saenko, RISE, BMVC 2018, arXiv:1806.07421"
    hides: ClassVar[bool]
    """Whether pixels are hidden one after another, or shown."""

    def shares(self, params: P) -> frozenset[str]:
        """Return every field but the score: settings share equal states of an image."""
        return frozenset(type(params).model_fields) - {"score"}

    def reruns(self, params: P, count: int) -> list[P]:
        """Return settings with other seeds where the order of equal values or the fill is drawn."""
        drawn = params.order().seed is not None or params.filling().seed is not None
        return super().reruns(params, count) if drawn else []

    def rows(self, settings: Sequence[P], maps: int, shape: tuple[int, int, int]) -> int:
        """Return the number of different states, and one for the prediction where that is followed."""
        states = self._states(settings, maps, shape[1] * shape[2])
        return len(states) + any(state.predicted for state in states)

    def score(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[P], rng: Rng) -> Tensor:
        """Return the areas of maps `[M, N, H, W]` as float64 `[S, M, N]`, by the trapezoidal rule."""
        areas = []
        curves = self.curves(model, batch, maps, settings, rng)
        for setting, curve in zip(settings, curves, strict=True):
            changed = torch.tensor(setting.counts(maps[0, 0].numel()), dtype=torch.float64)
            area = torch.trapezoid(curve, changed / changed[-1], dim=-1)
            areas.append(area / curve.amax(dim=-1) if setting.follows("auc-by-maximum") else area)
        return torch.stack(areas).to(maps.device)

    def curves(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[P], rng: Rng) -> list[Tensor]:
        """Return for each setting the scores `[M, N, T]`, float64 on the CPU, at the T points of its `counts`.

        States that settings or maps `[M, N, H, W]` have in common go through the network once.
        """
        pixels = maps[0, 0].numel()
        states = self._states(settings, len(maps), pixels)
        targets = {False: batch.targets}
        if any(state.predicted for state in states):
            targets[True] = model.predict(batch.images)
        fillings = dict.fromkeys(setting.filling() for setting in settings)
        fills = {filling: filling.everywhere(model, batch, rng) for filling in fillings}
        orders = dict.fromkeys(setting.order() for setting in settings)
        ranks = {order: _ranks(strength(maps, order.sign), batch, order, self.hides, rng) for order in orders}
        rows = _Rows(model.inputs(batch.images), states, fills, ranks)
        classes = torch.cat([targets[state.predicted].to(model.device) for state in states])
        scores = model.scores(rows.build, classes, settings[0].score).cpu().double().view(len(states), -1)
        place = {state: position for position, state in enumerate(states)}
        points = [[self._points(setting, number, pixels) for number in range(len(maps))] for setting in settings]
        places = [torch.tensor([[place[state] for state in line] for line in lines]) for lines in points]
        return [scores[index].movedim(-1, 1) for index in places]

    def _states(self, settings: Sequence[P], maps: int, pixels: int) -> list[_State]:
        """Return the different states of all settings and maps, in order."""
        found: dict[_State, None] = {}
        for setting in dict.fromkeys(settings):
            for number in range(maps):
                found.update(dict.fromkeys(self._points(setting, number, pixels)))
        return list(found)

    def _points(self, setting: P, number: int, pixels: int) -> list[_State]:
        """Return the states along the curve of a map."""
        counts = setting.counts(pixels)
        return [setting.state(number, count if self.hides else pixels - count, pixels) for count in counts]


class Insertion(_Curve[InsertionParams]):
    """The area under the curve of the target's score while a hidden image is shown pixel by pixel, the best first.

    High where few pixels make the class. Equal values are shown in a random order, the same for every map of an image.
    RISE takes steps of one image row, and a blur that it cuts off at 5 pixels; SAM's code takes 28 steps, fill mean
    and compat sam-2020.
    """

    name = "insertion"
    hides = False


class Deletion(_Curve[CurveParams]):
    """The area under the curve of the target's score while an image is hidden pixel by pixel, the best first.

    Low where few pixels make the class. Equal values are hidden in a random order, the same for every map of an image.
    RISE takes steps of one image row; SAM's code takes 28 steps and compat sam-2020.
    """

    name = "deletion"
    higher_is_better = False
    hides = True


class _Rows:
    """Network rows, made when they are asked for: row r is state r // N of image r % N."""

    def __init__(
        self, inputs: Tensor, states: Sequence[_State], fills: dict[Filling, Tensor], ranks: dict[_Order, Tensor]
    ) -> None:
        fill_of = {filling: place for place, filling in enumerate(fills)}
        order_of = {order: place for place, order in enumerate(ranks)}
        # Where nothing is hidden any fill will do; there and where all is, any order.
        table = [
            (
                0 if state.filling is None else fill_of[state.filling],
                0 if state.order is None else order_of[state.order],
                state.map or 0,
                state.hidden,
            )
            for state in states
        ]
        self._inputs = inputs
        self._states = torch.tensor(table, device=inputs.device)
        self._fills = torch.stack(list(fills.values()))
        self._ranks = torch.stack(list(ranks.values())).to(inputs.device)

    def build(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop, `[stop - start, C, H, W]`."""
        rows = torch.arange(start, stop, device=self._inputs.device)
        images = rows % len(self._inputs)
        fill, order, number, hidden = self._states[rows // len(self._inputs)].T
        covered = self._ranks[order, number, images] < hidden[:, None, None]
        return torch.where(covered[:, None], self._fills[fill, images], self._inputs[images])


def _ranks(maps: Tensor, batch: Batch, order: _Order, best_first: bool, rng: Rng) -> Tensor:
    """Return at which place each pixel of maps `[M, N, H, W]` is hidden, int32 of the same shape."""
    values = maps.flatten(2)
    count = values.shape[-1]
    ranks = torch.empty_like(values, dtype=torch.int32)
    places = torch.arange(count, dtype=torch.int32, device=maps.device)
    for image, name in enumerate(batch.ids):
        if order.seed is None:
            first = torch.arange(count).flip(0)
        else:
            first = torch.randperm(count, generator=rng.child("ties", order.seed).generator(name))
        first = first.to(maps.device)
        sorted_places = values[:, image, first].argsort(dim=-1, descending=True, stable=True)
        ranks[:, image].scatter_(-1, first[sorted_places], places.expand(len(values), -1))
    return (ranks if best_first else count - 1 - ranks).view(maps.shape)
