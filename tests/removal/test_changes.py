"""Bounds in a study: every compared pair of maps of one setting has them, with what they assume."""

import pytest
import torch
from nets import colour_model
from study.small import small_run

from sam_toolkit import RemovalBased
from sam_toolkit.bounding import Kept
from sam_toolkit.images import Photo
from sam_toolkit.removal.assumptions import Assumption
from sam_toolkit.removal.lipschitz import product_lipschitz
from sam_toolkit.removal.players import patches
from sam_toolkit.removal.summaries import summary
from sam_toolkit.rng import Rng

COMPARE = [
    {"along": "settings", "metrics": ["ssim"]},
    {"along": "inputs", "metrics": ["ssim"]},
    {"along": "models", "with": "original", "metrics": ["ssim"]},
]
NET, SHIFT = "net", 0.1
RNG = Rng(4).child("removal")


BATCH = colour_model().batch(
    [Photo("one", torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1)), "0f" * 16, label=1)]
)


def setting(**fields):
    return RemovalBased.setting(**{"players": 5, "lipschitz": 5.0, **fields})


def kept(one, model=None, batch=BATCH, rng=RNG):
    model = model or colour_model()
    (row,) = RemovalBased(one).explained(model, batch, [one], rng).beside
    return Kept(one, batch.ids[0], model.fingerprint, row[0])


def moved(batch=BATCH, seed=0):
    noise = torch.randn(batch.images.shape, generator=torch.Generator().manual_seed(seed))
    return batch.with_images(batch.images + SHIFT * noise)


def bounds(before, after, reruns=()):
    return RemovalBased(before.setting).bounds(before, after, reruns, RNG)


def test_a_study_has_the_chain_of_every_pair_along_inputs_and_models(tmp_path):
    exact = {"removal": {"players": 5, "summary": ["shapley", "rise"], "lipschitz": 40, "default": {}}}
    drawn = {"removal": {"players": 7, "estimator": "kernel-shap", "samples": 20}}
    noise = [{"weight-noise": {"sigma": 0.05}}]
    changes = {"methods": ["gradient", exact, drawn], "compare": COMPARE, "model-perturbations": noise}
    found = small_run(tmp_path, changes).bounds
    # Two models, and of the changed one the map itself and two values of the summary.
    assert [sum(one.experiment == index for one in found) for index in range(3)] == [0, 3 * (2 + 3), 3 * (2 + 1)]
    for one in found:
        assert not one.chain.broken
        assert one.along in ("inputs", "models")
        assert all(bound.assumptions for bound in (*one.chain.bounds, *one.chain.beside))
        values = [one.chain.measured, *(bound.value for bound in one.chain.bounds)]
        assert len(values) == 4
        assert values == sorted(values)
        assert (one.chain.floor > 0) == (one.experiment == 2)
    stated = [one.chain.bounds[-1].assumptions for one in found if one.experiment == 1]
    assert {Assumption.GIVEN in texts for texts in stated[:3]} == {True}
    assert sum(Assumption.OSCILLATION in texts for texts in stated) == 9


def test_what_was_measured_is_the_change_of_the_parts_attributions():
    one = setting()
    for batch, model in ((moved(), None), (BATCH, colour_model(seed=1))):
        before, after = kept(one), kept(one, model, batch)
        parts = [
            RemovalBased(one).maps(each, own, [one], RNG)[0, 0]
            for each, own in ((colour_model(), BATCH), (model or colour_model(), batch))
        ]
        labels = patches((32, 32), 5).labels
        corners = [(labels == part).nonzero()[0] for part in range(5)]
        change = torch.stack([(parts[1] - parts[0])[tuple(corner)] for corner in corners])
        assert abs(bounds(before, after).measured - float(change.double().norm())) < 1e-6


def test_the_perturbation_is_measured_from_the_photograph():
    one = setting(summary="banzhaf")
    found = bounds(kept(one), kept(one, batch=moved()))
    length = float((moved().images - BATCH.images).double().norm())
    assert found.bounds[-1].value == pytest.approx(summary("banzhaf", 5).bound_constant * 5.0 * length)
    both = bounds(kept(one, batch=moved()), kept(one, batch=moved(seed=1)))
    assert both.bounds[-1].value > found.bounds[-1].value
    assert not both.broken


def test_a_product_over_layers_says_what_it_rests_on():
    one = setting(lipschitz="layers")
    last = bounds(kept(one), kept(one, batch=moved())).bounds[-1]
    assert {Assumption.LAYERS, Assumption.CHANCE} <= set(last.assumptions)
    product = product_lipschitz(colour_model(), (3, 32, 32), 1, score="probability").value
    length = float((moved().images - BATCH.images).double().norm())
    assert abs(last.value / (summary("shapley", 5).bound_constant * product * length) - 1) < 0.03


def test_without_a_constant_probabilities_have_their_range_and_logits_what_was_evaluated():
    for fields in ({"lipschitz": None}, {"fill": "blur"}):
        ranged = bounds(kept(setting(**fields)), kept(setting(**fields), batch=moved()))
        assert [len(ranged.bounds), ranged.bounds[-1].value] == [3, summary("shapley", 5).bound_constant]
        assert Assumption.OSCILLATION in ranged.bounds[-1].assumptions
        open_ended = setting(score="logit", **fields)
        assert len(bounds(kept(open_ended), kept(open_ended, batch=moved())).bounds) == 2


def test_maps_of_other_settings_or_parts_have_no_bound():
    one = setting()
    assert bounds(kept(one), kept(setting(summary="rise"))) is None
    numbers = {**kept(one).numbers, "parts": torch.tensor(0)}
    assert bounds(kept(one), Kept(one, BATCH.ids[0], "", numbers)) is None


def test_a_constant_that_is_too_low_shows_as_a_broken_bound():
    one = setting(lipschitz=1e-6)
    broken = bounds(kept(one), kept(one, batch=moved())).broken
    assert broken
    assert all(Assumption.GIVEN in bound.assumptions for bound in broken)
