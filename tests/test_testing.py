from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from faults import declarations, map_metrics, methods, model_perturbations, pair_metrics, perturbations

from sam_toolkit.component import MapMetric, Method, ModelPerturbation, PairMetric, Perturbation
from sam_toolkit.testing import (
    ConformanceError,
    check_map_metric,
    check_method,
    check_model_perturbation,
    check_pair_metric,
    check_perturbation,
    small_batch,
    small_maps,
    small_model,
)
from sam_toolkit.testing.settings import affordable, settings_in_groups
from sam_toolkit.types import Params, field

CHECKS = {
    Method: check_method,
    Perturbation: check_perturbation,
    ModelPerturbation: check_model_perturbation,
    PairMetric: check_pair_metric,
    MapMetric: check_map_metric,
}

SOUND = (methods.Smooth, perturbations.Noise, model_perturbations.Shift, pair_metrics.Cosine, map_metrics.Curve)
METHODS = {
    methods.GroupChangesSettings: "one by one.*differ by",
    methods.MixesUpSettings: "group against settings one by one",
    methods.WritesToImages: "content of batch.images.*clone",
    methods.LeavesHook: "number of hooks on Conv2d '0' was 0 and is 1",
    methods.LeavesEvaluationMode: "training mode of .* was True and is False",
    methods.LeavesGradients: "gradient of 0.weight was None",
    methods.FreezesParameters: "requires_grad of 0.weight was True and is False",
    methods.ChangesWeights: "content of 9.weight.*work on a copy",
    methods.TurnsGradientsOff: "gradient mode was True and is False",
    methods.DrawsGlobally: "global random state of torch.*Draw from `rng`",
    methods.DrawsGloballyFromNumpy: "global random state of numpy",
    methods.ListensToGlobalSeed: "other global random seeds",
    methods.NotRepeatable: "run again",
    methods.AddressesPosition: "images in another order.*batch.ids",
    methods.AveragesOverImages: "images one by one against a batch",
    methods.SameDrawForAllImages: "same draw under another id",
    methods.DependsOnChunk: "1 network rows at once",
    methods.SkipsModel: "partly in training mode: content of 1.running_mean.*Let Model call the network",
    methods.CountsRowsWrong: r"promises \d+ rows an image.*Model counted \d+",
    methods.HidesBackward: "Declare `gradients = True`",
    methods.NegativeThoughUnsigned: "not negative; the smallest value is -",
    methods.LeavesRange: r"promises values in \[-0.001, 0.001\]; they go from -",
    methods.CoarserThanNothing: r"gives \(96, 48\) for images of 48 x 48",
    methods.NotFinite: "values are not finite",
    methods.WrongShape: r"returns \[1, 3, 3, 48, 48\] where \[1, 3, 48, 48\] is due",
    methods.WrongType: "returns torch.float64 where torch.float32 is due",
    methods.SharesUnknownField: r"names \['sample'\]",
    methods.HidesDraws: "another seed of rng.*Return settings with other seeds",
    methods.RerunsChangeNothing: "promises reruns, but they give the same values",
    methods.IgnoresStudySeed: "a study with another seed gives the same values",
    methods.LosesItsGradient: "has no gradient.*return False from differentiable",
    methods.LosesHalfItsGradient: "derivative along a direction is .*, by finite differences",
    declarations.NamedBadly: "`name` is 'Smooth_Grad'.*kebab-case",
    declarations.WithoutReference: "`reference` is ''",
    declarations.Unexplained: "samples has no help",
}
OTHERS = {
    perturbations.NoiseByPosition: "images in another order",
    perturbations.NoiseInPlace: "content of batch.images",
    perturbations.NoiseOfFirstSetting: "one by one",
    perturbations.LosesChannels: r"returns \[1, 3, 32, 32\] where \[1, 3, 3, 32, 32\] is due",
    model_perturbations.ShiftInPlace: "content of 9.bias.*work on a copy",
    model_perturbations.SharesWeights: "weights are shared with the model",
    model_perturbations.LosesPreprocessing: "preprocessing, categories or tensors are others",
    model_perturbations.OneForAll: "returns 1 models for 3 settings",
    model_perturbations.ShiftOfFirstSetting: "one by one",
    model_perturbations.IgnoresSeed: "of the setting or of the study, gives the same weights",
    model_perturbations.DrawsFromGlobalState: "global random state of torch",
    pair_metrics.NotOneForItself: "a map with itself.*differ by 0.5",
    pair_metrics.NotSymmetric: "exchanged.*symmetric = False",
    pair_metrics.SinglePrecision: "returns torch.float32 where torch.float64 is due",
    pair_metrics.OutOfBounds: r"promises values in \[0, 1\]; they go from -0",
    pair_metrics.ComparesAcrossPairs: "some of the pairs in another order",
    pair_metrics.SharesFirstSetting: "one by one",
    pair_metrics.InfiniteForConstants: "constant maps: 27 of 45",
    pair_metrics.RaisesForConstants: "constant maps: raises ZeroDivisionError: norm",
    pair_metrics.WritesToMaps: "content of maps",
    pair_metrics.WearsOut: "prepared maps used twice",
    pair_metrics.PreparesTogether: "images one by one",
    pair_metrics.AnswersMatrixOtherwise: "matrix: .* differ by 1",
    map_metrics.RanksMapsTogether: "maps in reverse order",
    map_metrics.CountsOneMap: r"promises 3 rows an image for 4 maps, 9 for 3 images .*; Model counted 36",
    map_metrics.SortsMapsInPlace: "content of maps",
    map_metrics.CountsForSquares: r"images of \(3, 40, 56\); Model counted",
    map_metrics.InventsBoxes: "images without boxes",
}


def check(component):
    return next(check for kind, check in CHECKS.items() if issubclass(component, kind))(component)


@pytest.mark.parametrize("component", SOUND)
def test_a_sound_component_passes(component):
    check(component)


@pytest.mark.parametrize(("component", "message"), [*METHODS.items(), *OTHERS.items()])
def test_a_planted_fault_is_found_and_named(component, message):
    with pytest.raises(ConformanceError, match=message) as raised:
        check(component)
    assert torch.is_grad_enabled()
    assert isinstance(raised.value, AssertionError)
    assert component.__name__ in str(raised.value)


def test_checks_leave_the_global_random_states_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    check_method(methods.Smooth)
    check_pair_metric(pair_metrics.Cosine)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_examples_are_the_same_every_time_and_draw_nothing():
    before = torch.get_rng_state()
    assert small_model().fingerprint == small_model().fingerprint
    assert small_batch().ids == small_batch().ids
    assert torch.equal(small_maps(2, small_batch()), small_maps(2, small_batch()))
    assert torch.equal(torch.get_rng_state(), before)


def test_examples_are_ordinary():
    batch, model = small_batch((40, 56)), small_model()
    assert batch.images.shape == (3, 3, 40, 56)
    assert batch.images.min() == 0
    assert batch.images.max() == 1
    assert not any(part.training for part in model.module.modules())
    probabilities = model.logits(model.inputs(batch.images)).softmax(1)
    assert 0.01 < probabilities.max() < 0.99
    assert small_maps(3, batch).abs().amax((-2, -1)).allclose(torch.ones(3, 3))


def test_an_instance_sets_where_the_checks_start():
    seen = []

    class Watched(methods.Smooth):
        """Writes down what it is asked for."""

        def maps(self, model, batch, settings, rng):
            seen.extend(settings)
            return super().maps(model, batch, settings, rng)

    check_method(Watched(samples=2, seed=5))
    assert {2, 5} == {seen[0].samples, seen[0].seed}


def test_given_settings_model_and_images_are_what_is_checked():
    seen = set()

    class Watched(methods.Smooth):
        """Writes down what it is asked for."""

        def maps(self, model, batch, settings, rng):
            seen.update((model.name, *batch.images.shape[1:], one) for one in settings)
            return super().maps(model, batch, settings, rng)

    settings = [Watched.setting(samples=2), Watched.setting(samples=3), Watched.setting(seed=1, samples=2)]
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 2))
    check_method(Watched, settings, net, small_batch((4, 8)).images[:, :1])
    reruns = {one.varied(seed=one.seed + more) for one in settings for more in (1, 2)}
    assert {(*row[:4], row[4]) for row in seen} <= {("Sequential", 1, 4, 8, one) for one in {*settings, *reruns}}
    assert set(settings) <= {row[4] for row in seen}


def test_a_required_hyperparameter_needs_an_instance():
    class NeedyParams(Params):
        samples: int = field(help="noisy copies")
        seed: int = field(0, help="of the noise")

    class Needy(methods.Smooth, Method[NeedyParams]):
        """Has no default."""

    with pytest.raises(ConformanceError, match=r"samples: Field required.*check an instance: Needy\(\.\.\.\)"):
        check_method(Needy)
    check_method(Needy(samples=2))


def test_a_model_that_is_given_is_left_as_it_was():
    model = small_model()
    model.module.train()
    before = model.fingerprint
    check_method(methods.Smooth(samples=2), model=model)
    assert model.chunk == small_model().chunk
    assert all(part.training for part in model.module.modules())
    assert all(value.requires_grad and value.grad is None for value in model.module.parameters())
    assert (
        small_model().fingerprint == before == type(model)(model.module, preprocessing=model.preprocessing).fingerprint
    )


class ManyParams(Params):
    samples: int = field(400, ge=10, help="a whole number that costs")
    size: int = field(300, ge=1, help="a whole number that costs nothing")
    ratio: float = field(1.0, gt=0, le=1, help="a number")
    mode: str = field("a", help="free text", pattern="a")
    odd: int | None = field(None, ge=3, help="a number that can be left out")
    flag: bool = field(False, help="a switch")


class Many(methods.Smooth, Method[ManyParams]):
    """Has fields of every type."""

    def shares(self, params):
        return frozenset({"ratio", "odd"})


def test_numbers_that_cost_rows_are_lowered_as_far_as_their_rule_allows():
    setting = affordable(Many.setting(), lambda one: one.samples)
    assert (setting.samples, setting.size) == (12, 300)


def test_each_field_is_moved_and_the_shared_ones_in_every_group():
    base = Many.setting()
    groups = settings_in_groups(Many, base, None, lambda setting: setting.ratio != 0.5)
    anchors = [{name for name, value in group[0] if value != getattr(base, name)} for group in groups]
    assert anchors == [set(), {"samples"}, {"samples"}, {"size"}, {"size"}, {"flag"}]
    for group in groups:
        assert {name for one in group for name, value in one if value != getattr(group[0], name)} == {"odd"}
