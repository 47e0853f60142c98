"""Integrated Gradients against captum, its own axiom, and plain runs of each setting."""

from __future__ import annotations

import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from torch import Tensor, nn

from sam_toolkit.methods import IntegratedGradients
from sam_toolkit.methods.integrated_gradients import IntegratedGradientsParams
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.softplus import softplus_twin

BATCH = colour_batch(2)
RNG = Rng(7).child("integrated-gradients")
CAPTUM = {
    "left": "riemann_left",
    "midpoint": "riemann_middle",
    "right": "riemann_right",
    "gauss-legendre": "gausslegendre",
}


def maps_of(
    settings: list[IntegratedGradientsParams], model: Model | None = None, images: list[int] | None = None
) -> Tensor:
    batch = BATCH if images is None else BATCH.select(images)
    return IntegratedGradients().maps(model or colour_model(), batch, settings, RNG)


@pytest.mark.parametrize("rule", CAPTUM)
@pytest.mark.parametrize("steps", [2, 4, 20])
def test_it_is_captum_s(rule: str, steps: int) -> None:
    captum = pytest.importorskip("captum.attr")
    net, images = colour_net(), BATCH.images
    own = IntegratedGradients(steps=steps, rule=rule, baseline="mean", score="logit", channels="sum")(
        net, images, BATCH.targets
    )
    attribute = captum.IntegratedGradients(net).attribute
    theirs = attribute(images, 0.0, BATCH.targets, n_steps=steps, method=CAPTUM[rule]).sum(dim=1)
    torch.testing.assert_close(own, theirs.float(), atol=1e-5, rtol=1e-4)


def test_the_trapezoid_is_captum_s_but_for_its_weights_that_do_not_add_up() -> None:
    captum = pytest.importorskip("captum.attr")
    net, images, points = colour_net(), BATCH.images, 21
    own = IntegratedGradients(steps=points - 1, baseline="mean", score="logit")(net, images, BATCH.targets)
    attribute = captum.IntegratedGradients(net).attribute
    theirs = attribute(images, 0.0, BATCH.targets, n_steps=points, method="riemann_trapezoid").mean(dim=1)
    torch.testing.assert_close(own, (theirs * points / (points - 1)).float(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("baseline", ["mean", "black", "blur", "noise", 0.5, (0.2, 0.5, 0.9)])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_a_map_adds_up_to_the_change_of_the_score(baseline: object, score: str) -> None:
    setting = IntegratedGradients.setting(baseline=baseline, steps=300, trials=3, channels="sum", score=score)
    model = _smooth_model()
    found = maps_of([setting], model)[0].sum(dim=(1, 2))
    starts = torch.stack([_baseline_score(model, setting, draw) for draw in range(3)]).mean(dim=0)
    whole = _scores(model, model.inputs(BATCH.images), score)
    torch.testing.assert_close(found, whole - starts, atol=1e-5, rtol=1e-4)
    assert (whole - starts).abs().min() > 1e-3


def _smooth_model() -> Model:
    """Return a network without kinks, on which the rule's error falls with the square of the steps."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Softplus(), nn.AvgPool2d(5), nn.Flatten(), nn.Linear(288, 10))
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    return Model(net.eval(), "smooth", preprocessing=colour_model().preprocessing)


def _baseline_score(model: Model, setting: IntegratedGradientsParams, draw: int) -> Tensor:
    filling = setting.baselines()[0].filling
    start = torch.as_tensor(filling.inputs(model, BATCH, RNG, draw))
    start = start[:, None, None] if start.dim() == 1 else start
    return _scores(model, start.expand(BATCH.images.shape), setting.score)


def _scores(model: Model, inputs: Tensor, score: str) -> Tensor:
    logits = model.logits(inputs)
    values = logits.softmax(dim=1) if score == "probability" else logits
    return values.gather(1, BATCH.targets[:, None])[:, 0]


def test_a_sweep_costs_the_points_that_its_paths_do_not_share_and_equals_single_runs() -> None:
    settings = [
        *(IntegratedGradients.setting(steps=steps) for steps in (10, 20, 40)),
        IntegratedGradients.setting(steps=20, baseline="mean"),
        *(IntegratedGradients.setting(steps=20, baseline="noise", trials=trials) for trials in (1, 3)),
        IntegratedGradients.setting(steps=20, channels="abs-sum"),
    ]
    model = colour_model()
    together = maps_of(settings, model)
    points = 41 + 20 + 3 * 20  # at the image itself all paths meet
    assert IntegratedGradients().rows(settings, (3, 32, 32)) == points
    assert model.counted.backward == points * len(BATCH)
    apart = torch.cat([maps_of([setting]) for setting in settings])
    torch.testing.assert_close(together, apart, atol=1e-7, rtol=1e-5)


def test_fewer_trials_are_the_first_of_more_only_if_nested() -> None:
    nested, other = (
        [IntegratedGradients.setting(steps=2, baseline="noise", trials=trials, draws=draws) for trials in (1, 2)]
        for draws in ("nested", "independent")
    )
    assert set(nested[0].baselines()) < set(nested[1].baselines())
    assert not set(other[0].baselines()) & set(other[1].baselines())
    assert not torch.allclose(maps_of(nested[:1]), maps_of(other[:1]))


@pytest.mark.parametrize("chunk", [1, 7, 500])
def test_no_chunk_size_and_no_batch_changes_a_map(chunk: int) -> None:
    settings = [IntegratedGradients.setting(steps=6, baseline="noise", trials=2), IntegratedGradients.setting(steps=3)]
    expected = maps_of(settings)
    torch.testing.assert_close(maps_of(settings, colour_model(chunk=chunk)), expected, atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(maps_of(settings, images=[1]), expected[:, 1:], atol=1e-7, rtol=1e-5)


def test_only_noise_is_drawn_again() -> None:
    assert IntegratedGradients().reruns(IntegratedGradients.setting(), 2) == []
    again = IntegratedGradients().reruns(IntegratedGradients.setting(baseline="noise"), 2)
    assert [setting.seed for setting in again] == [1, 2]
    assert not torch.allclose(*maps_of([setting.varied(steps=2) for setting in again]))


@pytest.mark.parametrize("chunk", [1, 3, 32])
def test_its_derivative_is_that_of_an_independent_loop(chunk: int) -> None:
    twin = softplus_twin(colour_model(chunk=chunk))
    weights = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    images = BATCH.images.clone().requires_grad_()
    setting = IntegratedGradients.setting(steps=5, rule="right", score="logit", channels="abs-sum")
    maps = IntegratedGradients().maps(twin, BATCH.with_images(images), [setting], RNG)[0]
    (found,) = torch.autograd.grad((maps * weights).sum(), images)

    copy = BATCH.images.clone().requires_grad_()
    inputs, black = twin.inputs(copy), twin.inputs(torch.zeros_like(copy))
    total = torch.zeros_like(copy)
    for step in range(1, 6):
        point = black + step / 5 * (inputs - black)
        logits = twin.module(point).gather(1, BATCH.targets[:, None])
        (gradient,) = torch.autograd.grad(logits.sum(), point, create_graph=True)
        total = total + gradient / 5
    expected_maps = (total * (inputs - black)).abs().sum(dim=1)
    (expected,) = torch.autograd.grad((expected_maps * weights).sum(), copy)
    torch.testing.assert_close(maps.detach(), expected_maps.detach(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found, expected, atol=1e-6 * float(expected.abs().max()), rtol=1e-4)


def test_a_blurred_baseline_has_no_gradient() -> None:
    method = IntegratedGradients
    assert method().differentiable(method.setting())
    assert not method().differentiable(method.setting(baseline="blur"))
