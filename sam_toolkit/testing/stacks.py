"""The invariants of what computes a stack by means of a network: methods, perturbations, map metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sam_toolkit.errors import ComponentError, OpError
from sam_toolkit.model import Model, Rows
from sam_toolkit.rng import Rng
from sam_toolkit.study.grouping import Grouped
from sam_toolkit.testing.surroundings import left_as_found, random_states_kept, reseed, unusual_modes
from sam_toolkit.testing.verdict import ConformanceError, in_words, require, require_same, require_stack
from sam_toolkit.types import Batch

Settings = Sequence[Any]
Compute = Callable[[Model, Batch, Settings, Rng], Tensor]


@dataclass(frozen=True)
class Trial:
    """A component with what it is checked on.

    Attributes:
        call: the group method under check.
        who: its name in messages.
        axes: its result's axes in messages.
        axis: which of them are the images.
        shape: the shape due for a number of settings and a batch.
    """

    component: type[Grouped]
    call: Compute
    who: str
    axes: str
    axis: int
    dtype: torch.dtype
    shape: Callable[[int, Batch], tuple[int, ...]]
    model: Model
    batch: Batch

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return (C, H, W) of the images."""
        channels, height, width = self.batch.images.shape[1:]
        return channels, height, width

    def run(self, settings: Settings, batch: Batch | None = None, seed: int = 0) -> Tensor:
        """Return the stack of `settings`, whose shape, dtype and finiteness are checked."""
        batch = batch or self.batch
        result = self.call(self.model, batch, settings, Rng(seed).child(self.component.name))
        require_stack(result, self.shape(len(settings), batch), self.dtype, self.who, self.axes)
        return result.detach().cpu().clone()

    def counted(self, settings: Settings) -> tuple[Tensor, Rows]:
        """Return the stack of `settings`, and the network rows that Model counts for it."""
        before = self.model.counted
        stack = self.run(settings)
        after = self.model.counted
        return stack, Rows(after.forward - before.forward, after.backward - before.backward)

    def accepts(self, setting: Any) -> bool:
        """Return whether the component takes the setting, or refuses it."""
        try:
            self.run([setting])
        except ConformanceError:
            raise
        except (ComponentError, OpError):
            return False
        return True

    def same(self, actual: Tensor, expected: Tensor, settings: Settings, when: str, advice: str) -> None:
        """Raise ConformanceError unless two stacks agree within the component's tolerance."""
        require_same(actual, expected, self.component.tolerance, list(settings), f"{self.who}, {when}", advice)


def check_traces(trial: Trial, setting: Any) -> None:
    """Raise ConformanceError where computing a setting changes more than its result."""
    batch = trial.batch
    inputs = {"batch.images": batch.images, "batch.targets": batch.targets}
    inputs |= {} if batch.boxes is None else {"batch.boxes": batch.boxes}
    with random_states_kept(), left_as_found(trial.who, trial.model.module, inputs):
        trial.run([setting])


def check_groups(trial: Trial, groups: Sequence[Settings]) -> None:
    """Raise ConformanceError where the first group breaks an invariant, or another one of the main ones."""
    with random_states_kept():
        for group in groups:
            check_traces(trial, group[0])
            _check_shares(trial, group)
            expected = _checked_run(trial, group)
            _check_singles(trial, group, expected)
            _check_images(trial, group, expected)
        first = groups[0]
        expected = trial.run(first)
        _check_settings_order(trial, first, expected)
        _check_chunks(trial, first, expected)
        _check_modes(trial, first, expected)


def _check_shares(trial: Trial, group: Settings) -> None:
    component = trial.component
    who = f"{component.__name__}.shares{in_words(group[0])}"
    shared = component(group[0]).shares(group[0])
    unknown = sorted(shared - set(component.Params.model_fields))
    require(not unknown, who, f"names {unknown}, which are no fields of its Params.", "Name fields only.")
    for setting in group:
        alike = component(setting).shares(setting) == shared and setting.without(shared) == group[0].without(shared)
        found = f"setting {in_words(setting)} cannot share a computation with {in_words(group[0])}."
        require(alike, who, found, "Settings that differ in shared fields alone must share the same fields.")


def _checked_run(trial: Trial, group: Settings) -> Tensor:
    """Return the group's stack, after a check that it is reproducible."""
    expected = trial.run(group)
    reseed(1)
    advice = "Draw from `rng` alone: rng.normal, rng.uniform, or rng.generator(image_id, index)."
    trial.same(trial.run(group), expected, group, "run again after other global random seeds", advice)
    return expected


def _check_singles(trial: Trial, group: Settings, expected: Tensor) -> None:
    singles = torch.cat([trial.run([setting]) for setting in group])
    advice = "Share only what is the same for all settings, or declare less in shares()."
    trial.same(expected, singles, group, "group against settings one by one", advice)


def _check_images(trial: Trial, group: Settings, expected: Tensor) -> None:
    count = len(trial.batch)
    order = [*range(1, count), 0]
    advice = "Address draws by image id (batch.ids), not by position, and let no image see another."
    moved = trial.run(group, trial.batch.select(order))
    trial.same(moved, expected.index_select(trial.axis, torch.tensor(order)), group, "images in another order", advice)
    alone = torch.cat([trial.run(group, trial.batch.select([image])) for image in range(count)], dim=trial.axis)
    advice += " In a loss, sum over images; do not average."
    trial.same(alone, expected, group, "images one by one against a batch", advice)


def _check_settings_order(trial: Trial, group: Settings, expected: Tensor) -> None:
    advice = "Result i belongs to settings[i], whichever stands first."
    trial.same(trial.run(group[::-1]).flip(0), expected, group, "settings in reverse order", advice)


def _check_chunks(trial: Trial, group: Settings, expected: Tensor) -> None:
    before = trial.model.chunk
    advice = "Address draws by image and index, and let sums not depend on where a chunk of rows ends."
    try:
        for chunk in (1, 3):
            trial.model.chunk = chunk
            trial.same(trial.run(group), expected, group, f"{chunk} network rows at once", advice)
    finally:
        trial.model.chunk = before


def _check_modes(trial: Trial, group: Settings, expected: Tensor) -> None:
    module = trial.model.module
    with unusual_modes(module):
        with left_as_found(f"{trial.who}, network partly in training mode", module, {}):
            result = trial.run(group)
        advice = "Let Model call the network: it evaluates without dropout whatever the mode was."
        trial.same(result, expected, group, "network partly in training mode, parameters frozen", advice)


def check_draws(trial: Trial, setting: Any, visible: bool) -> None:
    """Raise ConformanceError unless reruns() tells whether anything is drawn.

    Args:
        trial: the component.
        setting: what is rerun.
        visible: whether other draws must give other values.
    """
    component = trial.component(setting)
    who = f"{type(component).__name__}.reruns{in_words(setting)}"
    reruns = component.reruns(setting, 2)
    values, other = trial.run([setting]), trial.run([setting], seed=1)
    if not reruns:
        advice = "Return settings with other seeds from reruns() where something is drawn."
        trial.same(other, values, [setting], "nothing drawn according to reruns(), with another seed of rng", advice)
        return
    different = len({setting, *reruns}) == 3
    require(
        different,
        who,
        f"asked for 2 reruns, gives {reruns!r}.",
        "Return as many settings as asked for, each with its own seed.",
    )
    if visible:
        advice = "Return no reruns where nothing is drawn; else draw from rng.child(params.seed)."
        moved = [not torch.equal(trial.run([rerun]), values) for rerun in reruns]
        require(any(moved), who, "promises reruns, but they give the same values.", advice)
        require(not torch.equal(other, values), who, "a study with another seed gives the same values.", advice)
        _check_twins(trial, setting)


def _check_twins(trial: Trial, setting: Any) -> None:
    """Require that the same image under two ids gets two draws."""
    twins = replace(trial.batch.select([0, 0]), ids=("first", "second"))
    first, second = trial.run([setting], twins).unbind(trial.axis)
    found = "an image gets the same draw under another id."
    require(
        not torch.equal(first, second),
        f"{trial.who}{in_words(setting)}",
        found,
        "Address draws by image id: rng.normal(batch.ids[n], ...).",
    )
