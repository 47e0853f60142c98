from __future__ import annotations

from typing import Generic, Literal, TypeVar

import pytest
import torch
from faults import methods, pair_metrics
from torch import Tensor

from sam_toolkit.component import KINDS, Component, MapFacts, Method, PairMetric, PairScores, Perturbation
from sam_toolkit.errors import ComponentError, ModelError
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.testing import small_batch, small_maps, small_model
from sam_toolkit.types import Params, field


class DotsParams(Params):
    count: int = field(3, ge=1, le=9, help="how many")
    colour: Literal["red", "blue"] = field("red", help="which")
    seed: int = field(0, ge=0, help="where they are")


class Dots(Perturbation[DotsParams]):
    """Shifts every image by what is drawn for it."""

    name = "dots"

    def images(self, model, batch, settings, rng):
        drawn = [[rng.child(one.seed).normal(name, 0, ()) * one.count for name in batch.ids] for one in settings]
        return batch.images + torch.tensor(drawn)[:, :, None, None, None]


P = TypeVar("P", bound=DotsParams)


class GenericDots(Dots, Generic[P]):
    """Says its hyperparameters through a type variable of its own."""


class Fewer(Dots):
    """Says nothing of hyperparameters."""


class MoreParams(DotsParams):
    size: float = field(1.0, help="of each")


class More(Dots, Perturbation[MoreParams]):
    """Has one more."""


class Asymmetric(PairMetric[Params]):
    """The difference of the means."""

    name = "asymmetric"
    symmetric = False

    def compare(self, prepared, pairs, settings):
        means = prepared.double().mean((-2, -1))
        return PairScores((means[pairs[:, 0]] - means[pairs[:, 1]]).expand(len(settings), -1, -1))


@pytest.mark.parametrize(
    ("component", "params"),
    [(Dots, DotsParams), (Fewer, DotsParams), (More, MoreParams), (GenericDots, DotsParams), (Asymmetric, Params)],
)
def test_the_type_argument_declares_the_hyperparameters(component, params):
    assert component.Params is params


def test_a_component_holds_the_setting_it_is_made_with():
    assert Dots().params == DotsParams()
    assert Dots(count=5).params == DotsParams(count=5)
    setting = DotsParams(colour="blue")
    assert Dots(setting).params is setting
    assert Dots.setting(seed=3) == DotsParams(seed=3)


def test_repr_is_the_call_that_makes_it():
    made = Dots(count=5, colour="blue")
    assert repr(made) == "Dots(count=5, colour='blue', seed=0)"
    assert eval(repr(made)).params == made.params


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 0}, r"Dots: count: Input should be greater than or equal to 1; got 0\."),
        ({"count": "many"}, r"count: Input should be a valid integer.*; got 'many'\."),
        ({"colour": "green"}, r"colour: Input should be 'red' or 'blue'; got 'green'\."),
        ({"color": "red"}, r"no hyperparameter 'color' \(it has: count, colour, seed\)\. Did you mean 'colour'"),
        ({"count": 99, "seed": -1}, r"count: .*; got 99\.; seed: .*; got -1\."),
    ],
)
def test_a_broken_rule_is_named_with_the_value_and_near_names(fields, message):
    with pytest.raises(ComponentError, match=message):
        Dots(**fields)


def test_what_is_abstract_cannot_be_made():
    class Idle(Method[Params]):
        """Computes nothing."""

        name = "idle"

    with pytest.raises(TypeError, match="maps"):
        Idle()


def test_kinds_have_different_names():
    assert len({kind.kind for kind in KINDS}) == len(KINDS)
    assert all(issubclass(kind, Component) and kind.__abstractmethods__ for kind in KINDS)


def test_reruns_differ_in_the_seed_alone_and_are_none_without_one():
    setting = DotsParams(seed=4)
    assert Dots(setting).reruns(setting, 3) == [setting.varied(seed=seed) for seed in (5, 6, 7)]
    assert Dots().reruns(setting, 0) == []
    assert Asymmetric().reruns(Params(), 3) == []


def test_methods_promise_little_by_themselves():
    smooth = methods.Smooth()
    assert smooth.facts(smooth.params) == MapFacts(signed=True, value_range=None)
    assert smooth.grid(smooth.params, (7, 9)) == (7, 9)
    assert Dots().shares(DotsParams()) == frozenset()


def test_a_method_called_is_its_group_of_one():
    model, batch = small_model(), small_batch()
    smooth = methods.Smooth(samples=2)
    expected = smooth.maps(model, batch, [smooth.params], Rng(5).child("smooth"))[0]
    assert torch.equal(smooth(model, batch.images, batch.targets, seed=5), expected)
    assert not torch.equal(smooth(model, batch.images, batch.targets), expected)


def test_targets_default_to_the_predicted_classes():
    model, images = small_model(), small_batch().images
    predicted = model.module(model.inputs(images)).argmax(1)
    assert torch.equal(methods.Smooth()(model, images), methods.Smooth()(model, images, predicted))
    assert torch.equal(methods.Smooth()(model, images, 3), methods.Smooth()(model, images, [3, 3, 3]))


def test_a_bare_module_takes_its_inputs_as_they_are():
    model, batch = small_model(), small_batch()
    inputs = model.inputs(batch.images)
    expected = methods.Smooth()(Model(model.module), inputs, batch.targets)
    assert torch.equal(methods.Smooth()(model.module, inputs, batch.targets), expected)


def test_a_call_with_what_does_not_fit_says_so():
    model, images = small_model(), small_batch().images
    with pytest.raises(ModelError, match="classes 0 to 9; got target 10"):
        methods.Smooth()(model, images, 10)
    with pytest.raises(ComponentError, match=r"\[N, C, H, W\]; got torch.float32 \[3, 48, 48\]"):
        methods.Smooth()(model, images[0], 1)
    with pytest.raises(ComponentError, match="got 2 for 3 images"):
        methods.Smooth()(model, images, [1, 2])


def test_a_perturbation_called_needs_no_model():
    images = small_batch().images
    moved = Dots(count=2)(images, seed=1)
    assert moved.shape == images.shape
    assert torch.equal(moved, Dots(count=2)(images, small_model(), targets=[1, 2, 3], seed=1))
    assert not torch.equal(moved, Dots(count=2)(images, seed=2))


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(a.double().flatten(-2), b.double().flatten(-2), dim=-1)


def test_a_metric_called_compares_two_maps_or_two_batches_of_them():
    maps = small_maps(2, small_batch())
    torch.testing.assert_close(pair_metrics.Cosine()(maps[0], maps[1]), cosine(maps[0], maps[1]))
    torch.testing.assert_close(pair_metrics.Cosine()(maps[0, 0], maps[1, 0]), cosine(maps[0, 0], maps[1, 0]))


@pytest.mark.parametrize(
    ("a", "b"), [((4, 4), (4, 5)), ((3, 4, 4), (4, 4)), ((1, 1, 4, 4), (1, 1, 4, 4)), ((4,), (4,))]
)
def test_a_metric_called_with_other_shapes_says_so(a, b):
    with pytest.raises(ComponentError, match=r"Cosine compares maps \[H, W\] or \[N, H, W\] of one shape; got"):
        pair_metrics.Cosine()(torch.zeros(a), torch.zeros(b))


def test_matrix_has_every_pair_once_and_mirrors_it():
    maps = small_maps(4, small_batch())[:, 0]
    matrix = pair_metrics.Cosine().matrix(maps)
    expected = cosine(maps[:, None].expand(-1, 4, -1, -1), maps[None].expand(4, -1, -1, -1))
    torch.testing.assert_close(matrix, expected)
    assert torch.equal(matrix, matrix.T)


def test_matrix_of_a_metric_that_is_not_symmetric_has_the_first_map_in_rows():
    maps = torch.arange(3.0).view(3, 1, 1).expand(3, 2, 2)
    assert Asymmetric().matrix(maps).tolist() == [[0, -1, -2], [1, 0, -1], [2, 1, 0]]


def test_matrix_takes_maps_of_one_image():
    with pytest.raises(ComponentError, match=r"matrix takes maps \[K, H, W\]; got \[2, 3, 48, 48\]"):
        pair_metrics.Cosine().matrix(small_maps(2, small_batch()))
