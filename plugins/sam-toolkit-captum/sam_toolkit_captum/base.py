"""What every captum attribution has in common as a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from captum.attr import Attribution
from torch import Tensor

from sam_toolkit import Batch, MapFacts, Method, Model, Params, Rng, reduce_channels
from sam_toolkit_captum.hyperparameters import CHANNELS, EXECUTION, SCORE, SEED, hyperparameters, takes_function
from sam_toolkit_captum.running import Network, attributed, drawing

Shape = tuple[int, int, int]
"""(C, H, W)."""


class CaptumMethod(Method[Params]):
    """An attribution of captum; a subclass names it and says what it costs.

    Hyperparameters are what its constructor and its `attribute` take; how much is computed at once is not among them.
    """

    attribution: ClassVar[type[Attribution]]
    drawn: ClassVar[bool] = False
    """Whether something is drawn: images are then explained one by one, each from a seed of its own."""
    passes: ClassVar[int] = 1
    """Network rows an image, where no hyperparameter changes them."""

    knobs: ClassVar[frozenset[str]] = EXECUTION
    """What is told how many rows go at once."""

    def __init_subclass__(cls, of: type[Attribution] | None = None, **kwargs: Any) -> None:
        """Take the hyperparameters from the attribution `of`."""
        super().__init_subclass__(**kwargs)
        if of is not None:
            cls.attribution = of
            declared: dict[str, tuple[Any, Any]] = {
                "channels": CHANNELS,
                **({"score": SCORE} if takes_function(of) else {}),
            }
            declared |= {**({"seed": SEED} if cls.drawn else {}), **cls.declared()}
            cls.Params = hyperparameters(f"{cls.__module__}.{cls.__qualname__}", cls.read(), **declared)

    @classmethod
    def read(cls) -> list[Callable[..., Any]]:
        """Return the callables whose parameters are hyperparameters."""
        return [cls.attribution.__init__, cls.attribution.attribute]

    @classmethod
    def declared(cls) -> dict[str, tuple[Any, Any]]:
        """Return hyperparameters that signatures do not tell, or tell otherwise: type and field by name."""
        return {}

    def shares(self, params: Params) -> frozenset[str]:
        """Return that one attribution serves every reduction of its channels."""
        return frozenset({"channels"})

    def facts(self, params: Any) -> MapFacts:
        """Return that maps are signed, unless channels or attributions are reduced to magnitudes."""
        return MapFacts(signed=not (params.channels.startswith("abs-") or getattr(params, "abs", False)))

    def rows(self, settings: Sequence[Any], shape: Shape) -> int:
        """Return the network rows that one attribution costs an image."""
        return self.cost(settings[0], shape)

    def maps(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`; raises ComponentError where captum refuses the network."""
        found = self.attributions(model, batch, settings, rng)
        return torch.stack([self.map(found[setting], setting, batch) for setting in settings])

    def attributions(self, model: Model, batch: Batch, settings: Sequence[Any], rng: Rng) -> dict[Any, Tensor]:
        """Return the attributions `[N, C, H, W]` of each setting; here they differ in the reduction of channels."""
        setting, inputs = settings[0], model.inputs(batch.images)
        parts = []
        for images in self.portions(model, setting, batch):
            with self.seeded(setting, rng, batch.ids[images[0]], inputs.device):
                parts.append(self.attribute(model, setting, inputs[images], batch.targets[images].to(inputs.device)))
        return dict.fromkeys(settings, torch.cat(parts))

    def attribute(self, model: Model, setting: Any, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return what captum attributes to inputs `[n, C, H, W]`."""
        network = Network(model, getattr(setting, "score", "logit"))

        def evaluate(at_once: int) -> Tensor:
            explain = self.built(network, setting, inputs).attribute
            known = inspect.signature(explain).parameters.keys()
            each = max(1, at_once // len(inputs))
            knobs = {name: at_once if name == "internal_batch_size" else each for name in self.knobs & known}
            asked = {"target": targets} if "target" in known else {}
            found: Tensor = explain(inputs.clone(), **asked, **self.arguments(setting, inputs), **knobs)
            return found.detach()

        found: Tensor = attributed(model, type(self).__name__, evaluate, len(inputs) * self.passes)
        return found

    def portions(self, model: Model, setting: Any, batch: Batch) -> Iterator[list[int]]:
        """Yield the images that are explained together."""
        count = 1 if self.drawn else max(1, model.chunk // self.passes)
        yield from (list(range(len(batch)))[start : start + count] for start in range(0, len(batch), count))

    def seeded(self, setting: Any, rng: Rng, image_id: str, device: torch.device) -> AbstractContextManager[None]:
        """Return the context in which an image is explained: with draws of its own where something is drawn."""
        return drawing(rng.child(setting.seed), image_id, device) if self.drawn else nullcontext()

    def built(self, network: Network, setting: Any, inputs: Tensor) -> Attribution:
        """Return captum's attribution of a network."""
        return self.attribution(network, **self.chosen(self.attribution.__init__, setting))

    def arguments(self, setting: Any, inputs: Tensor) -> dict[str, Any]:
        """Return what `attribute` gets besides inputs and targets."""
        return self.chosen(self.attribution.attribute, setting)

    def chosen(self, function: Callable[..., Any], setting: Any) -> dict[str, Any]:
        """Return the fields of a setting that a function takes."""
        known = inspect.signature(function).parameters
        return {name: value for name, value in setting if name in known}

    def cost(self, params: Any, shape: Shape) -> int:
        """Return the network rows that a setting costs an image of `shape` (C, H, W)."""
        return self.passes

    def map(self, found: Tensor, setting: Any, batch: Batch) -> Tensor:
        """Return attributions `[N, C, H, W]` as maps `[N, H, W]`."""
        return reduce_channels(found, setting.channels)
