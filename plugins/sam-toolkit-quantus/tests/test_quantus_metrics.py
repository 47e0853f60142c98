from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    quantus = pytest.importorskip("quantus", exc_type=ImportError)

from sam_toolkit_quantus import HyperparameterSensitivity, InputSensitivity, explain_func, sam_toolkit_components

from sam_toolkit import SSIM, ComponentError, Gradient, LensRecall, Model, Rng, SmoothGrad, run
from sam_toolkit.registry import default_registry
from sam_toolkit.testing import check_map_metric, small_batch, small_maps, small_model

pytestmark = pytest.mark.filterwarnings("ignore")  # Quantus and what it imports warn of many things
METRICS = {component.name: component for component in sam_toolkit_components()}
FEW = {"features_in_step": 64, "nr_runs": 4, "subset_size": 20, "k": 30}


def few(name):
    known = METRICS[name].Params.model_fields
    return METRICS[name](**{field: value for field, value in FEW.items() if field in known})


def grey():
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, 5)).eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(5, 256, generator=generator))
    return Model(net), replace(
        small_batch((16, 16)), images=small_batch((16, 16)).images[:, :1], targets=torch.tensor([0, 1, 4])
    )


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"quantus-road"}))  # it takes half a minute
def test_every_metric_keeps_the_contract(name):
    metric = few(name)
    check_map_metric(metric, [metric.params], small_model(), small_batch((16, 16)))


@pytest.mark.parametrize(
    "name",
    [name for name in METRICS if METRICS[name].needs_boxes or not few(name).rows([few(name).params], 1, (3, 16, 16))],
)
def test_scores_without_a_network_are_those_of_quantus(name):
    batch, maps = small_batch((16, 16)), small_maps(1, small_batch((16, 16)))
    metric = few(name)
    found = metric.score(small_model(), batch, maps, [metric.params], Rng(0))[0, 0]
    masks = np.zeros((3, 1, 16, 16), dtype=bool)
    for image, top, left, bottom, right in batch.boxes.tolist():
        masks[image, 0, top:bottom, left:right] = True
    theirs = metric.metric(**dict(metric.params), disable_warnings=True)
    scores = theirs(
        small_model().module, batch.images.numpy(), batch.targets.numpy(), maps[0, :, None].numpy(), s_batch=masks
    )
    np.testing.assert_allclose(found, np.asarray(scores, dtype=float).reshape(3, -1).mean(1), rtol=1e-5)


def test_pixel_flipping_is_the_mean_of_quantus_s_curve_at_the_normalised_inputs():
    model, batch = small_model(), small_batch((16, 16))
    maps, metric = small_maps(2, batch), few("quantus-pixel-flipping")
    theirs = quantus.PixelFlipping(features_in_step=64, perturb_baseline="black", disable_warnings=True)
    inputs = model.inputs(batch.images).numpy()
    curves = theirs(model.module, inputs, batch.targets.numpy(), maps[1, :, None].numpy(), softmax=True)
    found = metric.score(model, batch, maps, [metric.params], Rng(0))[0, 1]
    np.testing.assert_allclose(found, np.mean(curves, axis=1), rtol=1e-4)


def test_road_counts_every_image_where_quantus_counts_those_of_its_first_batch():
    model, batch = grey()
    batch = replace(batch, targets=model.predict(batch.images))
    batch = replace(batch, targets=torch.cat([batch.targets[:2], (batch.targets[2:] + 1) % 5]))
    maps = small_maps(1, batch)
    metric = METRICS["quantus-road"]()
    before = model.counted.forward
    found = metric.score(model, batch, maps, [metric.params], Rng(0))[0, 0]
    assert found[:2].min() > found[2]
    assert model.counted.forward - before == 3 * metric.rows([metric.params], 1, (1, 16, 16))
    with pytest.raises(ComponentError, match=r"images must be grey.* got 3 channels"):
        metric.score(small_model(), small_batch((16, 16)), maps, [metric.params], Rng(0))


def test_quantus_s_refusal_names_the_metric():
    metric = METRICS["quantus-pixel-flipping"](features_in_step=7)
    with pytest.raises(ComponentError, match=r"QuantusPixelFlipping: Quantus cannot score this: .*features_in_step"):
        metric.score(
            small_model(), small_batch((16, 16)), small_maps(1, small_batch((16, 16))), [metric.params], Rng(0)
        )


def test_explanations_are_the_method_s_maps_and_take_other_settings():
    net, batch = small_model().module, small_batch((16, 16))
    method = SmoothGrad(samples=3)
    asked = {"model": net, "inputs": batch.images.numpy(), "targets": batch.targets.numpy(), "device": "cpu"}
    found = explain_func(method)(**asked, method="SG")
    assert found.shape == (3, 1, 16, 16)
    np.testing.assert_array_equal(found[:, 0], method(net, batch.images, batch.targets))
    other = explain_func(method, seed=2)(**asked, spread=0.4)
    np.testing.assert_array_equal(other[:, 0], SmoothGrad(samples=3, spread=0.4)(net, batch.images, batch.targets, 2))
    assert explain_func(method).__name__.startswith("SmoothGrad(")


def test_quantus_evaluates_our_methods_by_our_metrics_and_its_own():
    net, batch = small_model().module, small_batch((16, 16))
    settings = [{"samples": 2}, {"samples": 4}, {"spread": 0.5}]
    metrics = {
        "settings": HyperparameterSensitivity(settings),
        "noise": InputSensitivity(LensRecall(k=20, w=1), copies=2),
        "sparse": quantus.Sparseness(disable_warnings=True),
        "max": quantus.MaxSensitivity(nr_samples=2, disable_warnings=True),
    }
    methods = {"few": explain_func(SmoothGrad(samples=2)), "more": explain_func(SmoothGrad(samples=6))}
    images, targets = batch.images.numpy(), batch.targets.numpy()
    found = quantus.evaluate(metrics, methods, net, images, targets, agg_func=np.mean, explain_func_kwargs={})
    assert set(found) == {"few", "more"}
    assert all(np.isfinite(value) for scores in found.values() for value in scores.values())
    own = [SmoothGrad(**{"samples": 2, **setting})(net, batch.images, batch.targets) for setting in settings]
    own = [one / one.abs().amax((1, 2), keepdim=True) for one in own]
    pairs = [SSIM(data_range=2.0)(own[i], own[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found["few"]["settings"] == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-5)


def test_what_does_not_move_scores_1_and_the_caller_s_keywords_stay_as_they_are():
    net, batch = small_model().module, small_batch((16, 16))
    ask = {"model": net, "x_batch": batch.images.numpy(), "y_batch": batch.targets.numpy()}
    explain, keywords = explain_func(Gradient()), {"channels": "mean"}
    same = HyperparameterSensitivity([{}, {"space": "normalised"}])
    assert same(**ask, explain_func=explain, explain_func_kwargs=keywords, device="cpu") == pytest.approx([1, 1, 1])
    assert keywords == {"channels": "mean"}
    assert InputSensitivity(sigma=0.0, copies=1)(**ask, explain_func=explain) == pytest.approx([1, 1, 1])
    whole = InputSensitivity(copies=2)(**ask, explain_func=explain)
    assert InputSensitivity(copies=2)(**ask, explain_func=explain, batch_size=1) == pytest.approx(whole)
    with pytest.raises(ComponentError, match="explain_func must be given"):
        same(**ask)
    with pytest.raises(ComponentError, match="two or more; got 1"):
        HyperparameterSensitivity([{}])


def test_quantus_s_metrics_run_in_a_study(tmp_path):
    batch = small_batch((16, 16))
    registry = default_registry(plugins=False).extended(METRICS["quantus-sparseness"])
    study = {"models": ["net"], "methods": ["gradient"], "accuracy": ["quantus-sparseness"]}
    results = run(
        study,
        tmp_path,
        models={"net": small_model().module},
        images=batch.images,
        targets=batch.targets,
        registry=registry,
    )
    (summary,) = results.accuracies
    assert summary.metric == "quantus-sparseness"
    assert not results.failures
