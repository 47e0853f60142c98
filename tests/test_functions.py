"""Methods made of plain functions."""

from __future__ import annotations

import pickle

import pytest
import torch
from nets import colour_batch, colour_model
from torch import Tensor

from sam_toolkit import Batch, Gradient, Model, Rng, field, method
from sam_toolkit.errors import ComponentError
from sam_toolkit.testing import check_method


@method(reference="Simonyan et al., 2014", gradients=True)
def gradient_power(
    model: Model, batch: Batch, *, power: float = field(1.0, gt=0, help="exponent of the magnitudes")
) -> Tensor:
    """The magnitude of the gradient, to a power."""
    inputs = model.inputs(batch.images)
    chunks = model.gradients(lambda start, stop: inputs[start:stop], batch.targets, "logit")
    return torch.cat([gradient for _, gradient in chunks]).mean(dim=1).abs() ** power


@method(name="static", reference="A control", rows=0, signed=False, value_range=(0.0, 1.0))
def noise(
    model: Model,
    batch: Batch,
    rng: Rng,
    *,
    seed: int = field(0, help="of the draw"),
    low: float = field(0.0, help="least"),
) -> Tensor:
    """Uniform noise."""
    shape = batch.images.shape[-2:]
    return torch.stack([rng.child(seed).uniform(name, 0, shape).clamp(min=low) for name in batch.ids])


@pytest.mark.parametrize("made", [gradient_power, noise])
def test_it_keeps_the_contract(made):
    check_method(made)


def test_it_is_called_and_swept_as_any_method():
    batch = colour_batch(2)
    maps = gradient_power(power=2)(colour_model(), batch.images, batch.targets)
    expected = Gradient(score="logit")(colour_model(), batch.images, batch.targets).abs() ** 2
    torch.testing.assert_close(maps, expected)
    assert gradient_power.name == "gradient-power"
    assert repr(noise(seed=3)) == "Noise(seed=3, low=0.0)"
    assert noise().facts(noise.setting()).value_range == (0.0, 1.0)
    assert [one.seed for one in noise().reruns(noise.setting(), 2)] == [1, 2]


def test_rows_can_depend_on_the_setting():
    @method(rows=lambda setting, shape: setting.samples * shape[0])
    def sampled(model: Model, batch: Batch, *, samples: int = 5) -> Tensor:
        """Nothing."""
        raise NotImplementedError

    assert sampled().rows([sampled.setting(), sampled.setting(samples=2)], (3, 8, 8)) == 21


def test_settings_travel_to_other_processes():
    setting = noise.setting(seed=4)
    assert pickle.loads(pickle.dumps(setting)) == setting
    assert pickle.loads(pickle.dumps(noise)) is noise


def test_a_wrong_value_names_field_and_rule():
    with pytest.raises(ComponentError, match=r"GradientPower: power: .*greater than 0; got -1"):
        gradient_power(power=-1)


def test_functions_that_are_no_method_say_what_one_takes():
    with pytest.raises(ComponentError, match=r"images: a method takes \(model, batch\).*got \(images\)"):

        @method()
        def images(images):
            return images

    with pytest.raises(ComponentError, match="untyped: hyperparameter 'level' needs a type"):

        @method()
        def untyped(model, batch, *, level=1):
            return batch
