from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr._core.lime import get_exp_kernel_similarity_function
from captum_nets import CASES
from sam_toolkit_captum import sam_toolkit_components
from sam_toolkit_captum.perturbations import cells
from sam_toolkit_captum.running import drawing
from torch import nn

from sam_toolkit import Batch, ComponentError, Model, Rng
from sam_toolkit.testing import check_method, small_batch, small_model

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")  # that it asks for gradients, and sets hooks
METHODS = {component.name: component for component in sam_toolkit_components()}
FEW = {
    "baselines": 2, "feature_mask": 2, "n_samples": 3, "n_steps": 3, "nt_samples": 2, "sliding_window_shapes": 9,
    "strides": 7,
}  # fmt: skip
NOT_METHODS = {
    "Attribution", "GradientAttribution", "LayerAttribution", "NeuronAttribution", "PerturbationAttribution",
    "DataLoaderAttribution", "LimeBase",  # bases, and a way to feed others
    "LLMAttribution", "LLMGradientAttribution", "RemoteLLMAttribution",  # of text
    "FeaturePermutation", "LayerFeaturePermutation",  # permute among the images of a batch
    "LayerFeatureAblation", "LayerLRP",  # cost what only the network knows; change the network that is explained
}  # fmt: skip


def few(method):
    """Return the method at a setting that costs little."""
    fields = method.Params.model_fields
    return method(**{name: value for name, value in FEW.items() if name in fields and fields[name].annotation is int})


@pytest.mark.parametrize("name", METHODS)
def test_every_attribution_keeps_the_contract_of_methods(name):
    component, batch = few(METHODS[name]), small_batch((16, 16))
    if name == "captum-shapley-values":  # 4 cells have 24 orders
        component, batch = METHODS[name](feature_mask=1), batch.select([0, 1])
    settings = [component.params, component.params.varied(channels="abs-sum")]
    check_method(component, settings, small_model(), batch)


def test_every_attribution_of_captum_is_a_method_or_named_here_as_none():
    known = {method.attribution.__name__ for method in METHODS.values()}
    found = {
        name
        for name, value in vars(captum.attr).items()
        if isinstance(value, type) and issubclass(value, captum.attr.Attribution)
    }
    assert found == known | NOT_METHODS


def test_what_is_computed_at_once_is_no_hyperparameter():
    names = {name for method in METHODS.values() for name in method.Params.model_fields}
    assert not names & {"perturbations_per_eval", "internal_batch_size", "nt_samples_batch_size", "show_progress"}
    assert {"n_steps", "method", "abs", "eps", "stdevs", "relu_attributions"} <= names


def test_hyperparameters_have_the_defaults_and_the_words_of_captum():
    fields = METHODS["captum-integrated-gradients"].Params.model_fields
    assert (fields["n_steps"].default, fields["multiply_by_inputs"].default) == (50, True)
    assert "number of steps" in fields["n_steps"].description
    assert METHODS["captum-noise-tunnel"].Params().stdevs == 1.0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("name", "attribution", "setting"),
    [
        ("captum-saliency", captum.attr.Saliency, {"abs": False}),
        ("captum-saliency", captum.attr.Saliency, {"abs": True}),
        ("captum-input-x-gradient", captum.attr.InputXGradient, {}),
        ("captum-guided-backprop", captum.attr.GuidedBackprop, {}),
        ("captum-deconvolution", captum.attr.Deconvolution, {}),
        ("captum-deep-lift", captum.attr.DeepLift, {"baselines": 0.2}),
        ("captum-integrated-gradients", captum.attr.IntegratedGradients, {"n_steps": 7, "baselines": 0.1}),
        ("captum-integrated-gradients", captum.attr.IntegratedGradients, {"n_steps": 5, "method": "riemann_left"}),
    ],
)
def test_maps_are_those_of_captum(case, name, attribution, setting):
    network, images, targets = case
    found = METHODS[name](**setting)(network, images, targets)
    expected = attribution(network).attribute(images.clone(), target=targets, **setting)[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", CASES[:2])
def test_occlusion_and_ablation_are_those_of_captum(case):
    network, images, targets = case
    found = METHODS["captum-occlusion"](sliding_window_shapes=4, strides=3)(network, images, targets)
    expected = captum.attr.Occlusion(network).attribute(images, (1, 4, 4), (1, 3, 3), target=targets)
    torch.testing.assert_close(found, expected[:, 0])
    found = METHODS["captum-feature-ablation"](feature_mask=4)(network, images, targets)
    expected = captum.attr.FeatureAblation(network).attribute(images, target=targets, feature_mask=cells(4, (10, 10)))
    torch.testing.assert_close(found, expected[:, 0])


@pytest.mark.parametrize("case", CASES[:2])
@pytest.mark.parametrize("name", ["captum-lime", "captum-kernel-shap", "captum-shapley-value-sampling"])
def test_what_is_drawn_is_drawn_as_captum_draws_it_from_each_image_s_seed(case, name):
    network, images, targets = case
    method = METHODS[name](n_samples=8, feature_mask=3, seed=2)
    found = method(network, images, targets, seed=5)
    kernel = get_exp_kernel_similarity_function("cosine", 1.0)
    made = {"captum-lime": lambda: captum.attr.Lime(network, SkLearnLasso(alpha=0.01), kernel)}
    explain = made.get(name, lambda: method.attribution(network))().attribute
    for image, map_ in enumerate(found):
        with drawing(Rng(5).child(name, 2), Batch.of(images, targets).ids[image], torch.device("cpu")):
            one = slice(image, image + 1)
            expected = explain(images[one], target=targets[one], n_samples=8, feature_mask=cells(3, (10, 10)))
        torch.testing.assert_close(map_, expected[0, 0])


@pytest.mark.parametrize("case", CASES[:2])
@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_the_noise_tunnel_is_captum_s_for_the_same_noise(case, kind):
    network, images, targets = case
    method = METHODS["captum-noise-tunnel"](nt_samples=3, stdevs=0.3, nt_type=kind, abs=False, seed=4)
    ids, stream = Batch.of(images, targets).ids, Rng(1).child(method.name, 4)

    class SameNoise(captum.attr.NoiseTunnel):
        def _add_noise_to_inputs(self, count, inputs, stdevs):
            noise = torch.stack([stream.normal(one, draw, (1, 10, 10)) for one in ids for draw in range(count)])
            return ((inputs[0].repeat_interleave(count, dim=0) + stdevs * noise).requires_grad_(),)

    tunnel = SameNoise(captum.attr.Saliency(network))
    expected = tunnel.attribute(images, kind, 3, stdevs=0.3, target=targets, abs=False)
    torch.testing.assert_close(method(network, images, targets, seed=1), expected[:, 0], rtol=1e-4, atol=1e-8)


def test_settings_of_a_path_and_of_a_tunnel_share_their_rows():
    network, images, targets = CASES[0]
    batch = Batch.of(images, targets)
    for method, settings, rows in (
        ("captum-integrated-gradients", [{"n_steps": n, "method": "riemann_left"} for n in (4, 8, 16)], 16),
        (
            "captum-noise-tunnel",
            [{"nt_samples": n, "nt_type": t} for n in (3, 6) for t in ("smoothgrad", "vargrad")],
            6,
        ),
    ):
        component, model = METHODS[method](), Model(network)
        group = [component.setting(**fields) for fields in settings]
        together = component.maps(model, batch, group, Rng(0))
        assert model.counted.forward == rows * len(images)
        assert component.rows(group, (1, 10, 10)) == rows
        for setting, maps in zip(group, together, strict=True):
            torch.testing.assert_close(maps, component.maps(model, batch, [setting], Rng(0))[0])


def test_a_layer_is_found_or_named_and_its_map_covers_the_image():
    network, images, targets = CASES[0]
    found = METHODS["captum-layer-grad-cam"](layer="3", interpolate_mode="nearest")(network, images, targets)
    inner = captum.attr.LayerGradCam(network, network[3]).attribute(images, target=targets)
    torch.testing.assert_close(found, captum.attr.LayerAttribution.interpolate(inner, (10, 10))[:, 0])
    with pytest.raises(ComponentError, match=r"layer must be auto or the name.*'nowhere'.*Such layers: 0, 1, 2, 3, 4"):
        METHODS["captum-layer-grad-cam"](layer="nowhere")(network, images, targets)


def test_relevance_is_conserved_and_the_network_keeps_its_weights():
    net = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(192, 4, bias=False)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    images = CASES[0][1]
    maps = METHODS["captum-lrp"](channels="sum")(net, images, [1, 2])
    torch.testing.assert_close(maps.sum((1, 2)), net(images)[[0, 1], [1, 2]].detach(), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(hasattr(part, "rule") for part in net.modules())


def test_global_generators_stand_where_they_stood():
    network, images, targets = CASES[0]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    METHODS["captum-gradient-shap"](n_samples=2)(network, images, targets)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_captum_s_refusal_names_the_method_and_the_network():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.head = nn.ReLU(), nn.Linear(100, 3)

        def forward(self, x):
            return self.head(self.relu(self.relu(x).flatten(1) + 1))

    with pytest.raises(ComponentError, match="CaptumDeepLift: captum cannot explain model 'twice'"):
        METHODS["captum-deep-lift"]()(Model(Twice(), "twice"), CASES[0][1], 1)


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(ComponentError, match=r"shorter side, 10, .* got 11 and 8"):
        METHODS["captum-occlusion"](sliding_window_shapes=11)(*CASES[0])
