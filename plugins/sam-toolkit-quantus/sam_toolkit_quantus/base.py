"""What every metric of Quantus has in common as an accuracy of maps."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import numpy as np
import quantus
import torch
from pydantic import create_model
from torch import Tensor, nn

from sam_toolkit import Batch, ComponentError, MapMetric, Model, Params, Rng, field

Shape = tuple[int, int, int]
"""(C, H, W)."""

_DECLARED: dict[str, tuple[Any, Any]] = {
    "features_in_step": (int, field(224, ge=1, help="values of the input changed at once; divides C x H x W")),
    "loss_func": (Literal["mse"], field("mse", help="how differences are compared")),
    "order": (Literal["morf", "lerf"], field("morf", help="whether the most or the least relevant regions go first")),
    "perturb_baseline": (
        Literal["black", "white", "mean", "uniform", "random"],
        field("black", help="what replaces values of the input, in Quantus's words"),
    ),
}
"""Parameters of which a signature tells too little, or whose default costs a network row a value of the image."""

_APART = frozenset(
    {
        "aggregate_func", "default_plot_func", "disable_warnings", "display_progressbar", "kwargs", "normalise_func",
        "normalise_func_kwargs", "output_func", "percentages", "perturb_func", "perturb_func_kwargs",
        "perturb_patch_sizes", "return_aggregate", "return_auc_per_sample", "self", "similarity_func",
    }
)  # fmt: skip
"""What is code of the caller's, or concerns the form of a result."""


class Network(nn.Module):
    """A model's network as Quantus calls it, evaluated and counted by the model."""

    def __init__(self, model: Model) -> None:
        """Take the model."""
        super().__init__()
        self._model = model  # and no part of the network: Quantus sets the modes of what it is given

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits `[N, K]` of inputs `[N, C, H, W]`, which Quantus may give in another dtype."""
        return self._model.logits(inputs.float())


class QuantusMetric(MapMetric[Params]):
    """A metric of Quantus; a subclass names it and says what it costs.

    Images go one by one, from draws of their own: Quantus draws from NumPy's global generator, and some of its metrics
    keep only their first batch. Curves and several values become their mean, truth values 0 or 1.
    """

    metric: ClassVar[type[quantus.Metric]]

    def __init_subclass__(cls, of: type[quantus.Metric] | None = None, **kwargs: Any) -> None:
        """Take hyperparameters and direction from the metric `of`."""
        super().__init_subclass__(**kwargs)
        if of is not None:
            cls.metric = of
            cls.higher_is_better = of.score_direction is quantus.helpers.enums.ScoreDirection.HIGHER
            cls.Params = _hyperparameters(cls)

    def score(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[Any], rng: Rng) -> Tensor:
        """Return the scores `[S, M, N]` of maps `[M, N, H, W]`; raises ComponentError where Quantus refuses them."""
        images = [self._images(model, batch, maps, setting, rng) for setting in settings]
        return torch.stack(images)

    def rows(self, settings: Sequence[Any], maps: int, shape: Shape) -> int:
        """Return the network rows that scoring `maps` maps costs an image of `shape` (C, H, W)."""
        return maps * sum(self.cost(setting, shape) for setting in settings)

    def cost(self, params: Any, shape: Shape) -> int:
        """Return the network rows that scoring a map costs."""
        return 0

    def draws(self, params: Any) -> bool:
        """Return whether anything is drawn: values that replace those of the input, if nothing else."""
        return getattr(params, "perturb_baseline", "") in ("uniform", "random")

    def reruns(self, params: Any, count: int) -> list[Any]:
        """Return settings with other seeds where something is drawn."""
        return super().reruns(params, count) if self.draws(params) else []

    def _images(self, model: Model, batch: Batch, maps: Tensor, setting: Any, rng: Rng) -> Tensor:
        inputs = model.inputs(batch.images).detach()
        found = torch.full((len(maps), len(batch)), torch.nan, dtype=torch.float64)
        for number, image_id in enumerate(batch.ids):
            mask = _mask(batch, number)
            if self.needs_boxes and mask is None:
                continue
            for row, own in enumerate(maps[:, number]):
                asked = (inputs[number, None], batch.targets[number, None], own[None, None])
                with _drawing(rng.child(getattr(setting, "seed", 0)), image_id):
                    arrays = [each.cpu().numpy() for each in asked]
                    found[row, number] = self._asked(model, arrays, mask, setting)
        return found

    def _asked(self, model: Model, arrays: Sequence[np.ndarray], mask: np.ndarray | None, setting: Any) -> float:
        values = dict(setting)
        softmax = values.pop("softmax", False)
        values.pop("seed", None)
        images, targets, attributions = arrays
        try:
            metric = self.metric(**values, disable_warnings=True, display_progressbar=False, return_aggregate=False)
            scores = metric(
                model=Network(model).eval(),
                x_batch=images.copy(),
                y_batch=targets,
                a_batch=attributions.astype(np.float64),
                s_batch=mask,
                channel_first=True,
                explain_func=None,
                explain_func_kwargs={},
                model_predict_kwargs={},
                softmax=softmax,
                device=str(model.device),
                batch_size=1,
            )
        except (AssertionError, IndexError, TypeError, ValueError) as error:
            raise ComponentError(f"{type(self).__name__}: Quantus cannot score this: {error}") from error
        return _number(scores)


def _number(scores: Any) -> float:
    """Return what Quantus says of one image as one number."""
    values = list(scores.values()) if isinstance(scores, Mapping) else scores
    return float(np.mean(np.asarray(values, dtype=np.float64)))


def _mask(batch: Batch, number: int) -> np.ndarray | None:
    """Return `[1, 1, H, W]`, true in the boxes of an image; None where it has none."""
    own = [] if batch.boxes is None else batch.boxes[batch.boxes[:, 0] == number].tolist()
    if not own:
        return None
    mask = np.zeros((1, 1, *batch.images.shape[2:]), dtype=bool)
    for _, top, left, bottom, right in own:
        mask[..., top:bottom, left:right] = True
    return mask


@contextmanager
def _drawing(rng: Rng, image_id: str) -> Iterator[None]:
    """Let the global generators draw what belongs to an image, and put them back."""
    seed = int(torch.randint(2**31, (), generator=rng.generator(image_id)))
    numpy, python = np.random.get_state(), random.getstate()
    with torch.random.fork_rng([]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(seed)
        random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy)
            random.setstate(python)


def _hyperparameters(owner: type[QuantusMetric]) -> type[Params]:
    """Return the Params of a metric: what its constructor takes by number, flag or choice, `softmax` and `seed`."""
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(owner.metric.__init__).parameters.items():
        if name in _DECLARED:
            fields[name] = _DECLARED[name]
        elif name not in _APART:
            rules = {"ge": 1} if type(parameter.default) is int else {}
            said = field(parameter.default, help=f"{name.replace('_', ' ')}, as in Quantus", **rules)
            fields[name] = (type(parameter.default), said)
    if owner.cost is not QuantusMetric.cost:
        default = inspect.signature(owner.metric.__call__).parameters["softmax"].default
        fields["softmax"] = (bool, field(bool(default), help="whether probabilities are looked at, or logits"))
        fields["seed"] = (int, field(0, ge=0, help="of what is drawn"))
    params = create_model("Params", __base__=Params, __module__=owner.__module__, **fields)
    params.__qualname__ = f"{owner.__qualname__}.Params"  # where workers find it: on the class, under its name
    return params
