from __future__ import annotations

import inspect

import captum.attr
import pytest
import torch
from captum.metrics import sensitivity_max
from captum_nets import CASES
from sam_toolkit_captum import Occlusion, SamAttribution, hyperparameter_sensitivity, sam_toolkit_components, similarity
from torch import nn

from sam_toolkit import (
    SSIM,
    ComponentError,
    GradCam,
    Gradient,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    LensRecall,
    Lime,
    MeaningfulPerturbation,
    Rise,
    SlidingPatch,
    SmoothGrad,
    Spearman,
)
from sam_toolkit.testing import small_batch, small_model

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")
THEIRS = {component.name: component for component in sam_toolkit_components()}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("method", "theirs", "arguments"),
    [
        (Gradient(), captum.attr.Saliency, {"abs": False}),
        (InputXGradient(), captum.attr.InputXGradient, {}),
        (GuidedBackprop(), captum.attr.GuidedBackprop, {}),
        (THEIRS["captum-saliency"](), captum.attr.Saliency, {}),
        (THEIRS["captum-integrated-gradients"](n_steps=9), captum.attr.IntegratedGradients, {"n_steps": 9}),
        (THEIRS["captum-deep-lift"](), captum.attr.DeepLift, {}),
        (THEIRS["captum-guided-backprop"](), captum.attr.GuidedBackprop, {}),
    ],
)
def test_a_method_of_ours_is_an_attribution_with_captum_s_maps(case, method, theirs, arguments):
    network, images, targets = case
    found = SamAttribution(network, method).attribute(images, target=targets)
    expected = theirs(network).attribute(images.clone(), target=targets, **arguments)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_integrated_gradients_go_to_captum_s_with_more_steps():
    network, images, targets = CASES[0]
    ours = SamAttribution(network, IntegratedGradients(score="logit")).attribute(images, target=targets, steps=400)
    expected = captum.attr.IntegratedGradients(network).attribute(images, target=targets, n_steps=100)
    torch.testing.assert_close(ours, expected, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("case", CASES[:2])
def test_a_sliding_patch_that_ends_at_the_border_is_captum_s_occlusion(case):
    network, images, targets = case
    ours = SamAttribution(network, SlidingPatch(patch=4, stride=3, score="logit")).attribute(images, target=targets)
    expected = captum.attr.Occlusion(network).attribute(images, (1, 4, 4), (1, 3, 3), target=targets)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("case", CASES[:2])
@pytest.mark.parametrize("name", ["captum-lime", "captum-kernel-shap", "captum-noise-tunnel"])
def test_what_draws_gives_the_method_s_maps_under_captum_s_face(case, name):
    network, images, targets = case
    method = THEIRS[name]()
    found = SamAttribution(network, method).attribute((images,), target=targets, seed=3)
    assert isinstance(found, tuple)
    torch.testing.assert_close(found[0][:, 0], method(network, images, targets, seed=3))


@pytest.mark.parametrize(
    "method",
    [
        SmoothGrad(samples=2),
        GradCam(),
        Rise(samples=4),
        Lime(samples=8),
        MeaningfulPerturbation(iterations=2, mask_size=8),
    ],
)
def test_methods_that_draw_optimise_or_look_within_are_attributions_too(method):
    network, images = small_model().module, small_batch((24, 24)).images[:1]
    found = SamAttribution(network, method).attribute(images, target=2)
    torch.testing.assert_close(found, method(network, images, 2)[:, None].expand(1, 3, 24, 24))


@pytest.mark.parametrize("case", CASES[:2])
def test_the_noise_tunnel_and_captum_s_metrics_take_our_attributions(case):
    network, images, targets = case
    ours, theirs = SamAttribution(network, Gradient()), captum.attr.Saliency(network)
    found = []
    for attribution, arguments in ((ours, {}), (theirs, {"abs": False})):
        torch.manual_seed(0)
        tunnel = captum.attr.NoiseTunnel(attribution)
        found.append(tunnel.attribute(images, nt_samples=4, stdevs=0.1, target=targets, **arguments))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-7)
    torch.manual_seed(0)
    expected = sensitivity_max(theirs.attribute, images, target=targets, abs=False)
    torch.manual_seed(0)
    torch.testing.assert_close(sensitivity_max(ours.attribute, images, target=targets), expected)


def test_functions_other_outputs_further_arguments_and_float64_are_taken():
    network, images, targets = CASES[0]
    gradient = Gradient()
    expected = SamAttribution(network, gradient).attribute(images, target=targets)
    torch.testing.assert_close(
        SamAttribution(lambda x: network(x)[0:, :], gradient).attribute(images, target=targets), expected
    )
    one = SamAttribution(lambda x: network(x).gather(1, targets[:1].expand(len(x), 1))[:, 0], gradient)
    torch.testing.assert_close(one.attribute(images[:1]), expected[:1])
    square = SamAttribution(lambda x: network(x).reshape(-1, 2, 5), gradient)
    torch.testing.assert_close(square.attribute(images, target=[(0, 0), (0, 3)]), expected)
    weighed = SamAttribution(lambda x, weight: network(x) * weight, gradient)
    weights = torch.tensor([[2.0], [3.0]])
    found = weighed.attribute(images, target=targets, additional_forward_args=weights)
    torch.testing.assert_close(found, expected * weights[:, :, None, None])
    torch.testing.assert_close(weighed.attribute(images, targets, 2.0), expected * 2)
    wide = SamAttribution(lambda x: network(x.float()).double(), gradient).attribute(images.double(), target=targets)
    assert wide.dtype == torch.float64


def test_a_layer_keeps_its_name_and_channels_get_the_same_map():
    model, batch = small_model(), small_batch((20, 20))
    found = SamAttribution(model.module, GradCam(layer="4")).attribute(batch.images, target=batch.targets)
    assert found.shape == batch.images.shape
    torch.testing.assert_close(found[:, 2], GradCam(layer="4")(model.module, batch.images, batch.targets))


def test_several_inputs_and_unknown_hyperparameters_are_refused():
    network, images, _ = CASES[0]
    with pytest.raises(ComponentError, match=r"one tensor .* got 2 tensors"):
        SamAttribution(network, Gradient).attribute((images, images), target=0)
    with pytest.raises(ComponentError, match=r"no hyperparameter 'sample'.*Did you mean 'samples'"):
        SamAttribution(network, SmoothGrad).attribute(images, target=0, sample=3)


def test_sensitivity_is_none_where_settings_do_not_matter_and_the_mean_over_pairs_where_they_do():
    network, images, targets = CASES[0]
    explain = captum.attr.IntegratedGradients(network).attribute
    same = hyperparameter_sensitivity(explain, images, [{"internal_batch_size": n} for n in (2, 4)], target=targets)
    torch.testing.assert_close(same, torch.zeros(2, dtype=same.dtype), atol=1e-6, rtol=0)
    settings = [{"n_steps": steps, "method": "riemann_left"} for steps in (2, 3, 5)]
    found = hyperparameter_sensitivity(explain, images, settings, Spearman(), target=targets)
    maps = [explain(images, target=targets, **setting) for setting in settings]
    pairs = torch.stack([similarity(maps[i], maps[j], Spearman()) for i, j in ((0, 1), (0, 2), (1, 2))])
    torch.testing.assert_close(found, 1 - pairs.mean(0))
    with pytest.raises(ComponentError, match="two or more; got 1"):
        hyperparameter_sensitivity(explain, images, settings[:1], target=targets)


def test_similarity_takes_any_metric_and_no_notice_of_scale():
    first, second = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(similarity(first, 7 * first), torch.ones(2, dtype=torch.float64))
    maps = [one.mean(1) / one.mean(1).abs().amax((1, 2), keepdim=True) for one in (first, second)]
    torch.testing.assert_close(similarity((first,), second), SSIM(data_range=2.0)(*maps))
    assert similarity(first, second, LensRecall(k=[5, 9], w=1)).shape == (2, 2)


@pytest.mark.parametrize(
    ("window", "strides", "baselines"),
    [((3, 5, 5), (3, 2, 2), 0), ((3, 7, 4), 3, None), ((3, 4, 4), (3, 4, 4), 0.3), ((3, 20, 20), None, 0)],
)
def test_the_drop_in_occlusion_gives_captum_s_maps(window, strides, baselines):
    net, batch = small_model().module, small_batch((20, 20)).select([0, 1])
    arguments = {"sliding_window_shapes": window, "strides": strides, "baselines": baselines, "target": batch.targets}
    expected = captum.attr.Occlusion(net).attribute(batch.images, perturbations_per_eval=8, **arguments)
    torch.testing.assert_close(Occlusion(net).attribute(batch.images, **arguments), expected, rtol=1e-4, atol=1e-5)


def test_the_drop_in_occlusion_leaves_to_captum_what_it_does_not_do(monkeypatch):
    net, images = small_model().module, small_batch((12, 12)).images[:1]
    monkeypatch.setattr(captum.attr.Occlusion, "attribute", lambda self, *args, **kwargs: "captum's")
    ask = {"sliding_window_shapes": (3, 4, 4), "strides": (3, 4, 4)}
    assert Occlusion(net.forward).attribute(images, target=0, **ask) == "captum's"
    assert Occlusion(net).attribute(images, target=None, **ask) == "captum's"
    assert Occlusion(net).attribute(images, (1, 4, 4), (1, 4, 4), target=0) == "captum's"
    assert Occlusion(net).attribute((images, images), ((3, 4, 4), (3, 4, 4)), target=0) == "captum's"
    assert Occlusion(nn.Sequential(net).train()).attribute(images, target=0, **ask) == "captum's"
    assert isinstance(Occlusion(net.eval()).attribute(images, target=0, **ask), torch.Tensor)
    assert isinstance(Occlusion(net).attribute((images,), ((3, 4, 4),), ((3, 4, 4),), target=0), tuple)


def test_the_drop_in_occlusion_has_captum_s_signature():
    assert inspect.signature(Occlusion.attribute) == inspect.signature(captum.attr.Occlusion.attribute)
    assert hasattr(Occlusion.attribute, "__wrapped__")
