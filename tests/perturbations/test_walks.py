"""Attacks and random walks against a loop over one image, and what holds of every result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.nn.functional import softplus

from sam_toolkit.api import photos_of
from sam_toolkit.component import Method, Perturbed
from sam_toolkit.errors import ComponentError
from sam_toolkit.methods import GradCam, Gradient, GuidedBackprop, InputXGradient, IntegratedGradients, SmoothGrad
from sam_toolkit.metrics import Spearman
from sam_toolkit.model import Model
from sam_toolkit.perturbations import AttributionAttack, RandomSign, RandomWalk
from sam_toolkit.perturbations.objectives import centres, emptied, moved, normalised
from sam_toolkit.perturbations.walks import Walk
from sam_toolkit.registry import default_registry
from sam_toolkit.rng import Rng
from sam_toolkit.study.resolve import load_study
from sam_toolkit.types import Batch, Params

BATCH = colour_batch(3)
RNG = Rng(7).child("attribution-attack")
SETTING = AttributionAttack.setting(
    of=Gradient(channels="abs-sum"), k=60, eps=8 / 255, alpha=2 / 255, steps=6, beta=3.0
)
"""An attack of the gradient, small enough for a loop."""


def perturbed(
    settings: list[Any], model: Model | None = None, batch: Batch = BATCH, kind: type[Walk[Any]] = AttributionAttack
) -> Perturbed:
    return kind().perturbed(model or colour_model(), batch, settings, RNG)


class _Loop:
    """Section 3 of the sheet for one image of `colour_net`, one step after the other, in plain PyTorch."""

    def __init__(self, net: nn.Sequential, image: Tensor, target: int, setting: Any) -> None:
        self.net, self.image, self.target, self.setting = net, image, target, setting
        self.mean = torch.tensor([0.48, 0.46, 0.41])[:, None, None]
        self.std = torch.tensor([0.23, 0.22, 0.225])[:, None, None]

    def logits(self, image: Tensor, smooth: bool) -> Tensor:
        hidden = ((image - self.mean) / self.std)[None]
        for layer in self.net:
            relu = isinstance(layer, nn.ReLU)
            hidden = softplus(hidden, self.setting.beta) if relu and smooth else layer(hidden)
        return hidden[0]

    def map(self, image: Tensor, smooth: bool) -> Tensor:
        image = image if image.requires_grad else image.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.logits(image, smooth)[self.target], image, create_graph=smooth)
        values = (gradient * self.std).abs().sum(0)
        return values * values.numel() / values.sum()

    def loss(self, clean: Tensor, now: Tensor) -> Tensor:
        setting = self.setting
        height, width = clean.shape
        mask = torch.zeros_like(clean)
        if setting.objective == "target":
            y0, x0, y1, x1 = setting.box
            mask[y0:y1, x0:x1] = 1
            return (now * mask).sum()
        if setting.objective == "top-k":
            best = sorted(range(clean.numel()), key=lambda pixel: (-float(clean.flatten()[pixel]), pixel))[: setting.k]
            for row, column in (divmod(pixel, width) for pixel in best):
                mask[
                    max(row - setting.w, 0) : row + setting.w + 1, max(column - setting.w, 0) : column + setting.w + 1
                ] = 1
            return -(now * mask).sum()

        def centre(values: Tensor) -> Tensor:
            return torch.stack(
                [
                    sum(values[row].sum() * row for row in range(height)) / values.numel(),
                    sum(values[:, column].sum() * column for column in range(width)) / values.numel(),
                ]
            )

        return ((centre(now) - centre(clean).trunc()) ** 2).sum()

    def run(self) -> tuple[Tensor, float, int]:
        setting, current = self.setting, self.image
        clean = self.map(self.image, smooth=False)
        label = int(self.logits(self.image, smooth=False).argmax())
        best, lowest, when = self.image, 1.0, 0
        for step in range(1, setting.steps + 1):
            image = current.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(clean, self.map(image, smooth=True)), image)
            change = (current + setting.alpha * gradient.sign() - self.image).clamp(-setting.eps, setting.eps)
            current = (self.image + change).clamp(0, 1)
            if setting.compat == "lens-2024":
                current = (255 * current + 1e-3).floor() / 255
            score = kendalltau(clean.flatten(), self.map(current, smooth=False).flatten()).statistic
            if int(self.logits(current, smooth=False).argmax()) == label and score < lowest:
                best, lowest, when = current, score, step
        return best, lowest, when


@pytest.mark.parametrize(
    "fields",
    [
        {"objective": "top-k"},
        {"objective": "top-k", "w": 1},
        {"objective": "target", "box": (4, 6, 15, 20)},
        {"objective": "mass-centre", "compat": "truncated-centre"},
        {"objective": "mass-centre", "compat": "lens-2024"},
    ],
)
def test_it_is_the_loop_over_one_image(fields: dict[str, Any]) -> None:
    setting = SETTING.varied(**fields)
    targets = colour_model().predict(BATCH.images) if fields.get("compat") == "lens-2024" else BATCH.targets
    found = perturbed([setting], batch=Batch.of(BATCH.images, targets))
    for image in range(len(BATCH)):
        expected, similarity, step = _Loop(colour_net(), BATCH.images[image], int(targets[image]), setting).run()
        assert float(found.extras["step"][0, image]) == step
        assert float(found.extras["similarity"][0, image]) == pytest.approx(similarity, abs=2e-3)
        differs = (found.images[0, image] - expected).abs() > 1e-5
        assert float(differs.float().mean()) < 0.002  # signs of gradients within rounding of zero


@pytest.mark.parametrize("norm", ["l-inf", "l2"])
@pytest.mark.parametrize("objective", ["top-k", "mass-centre", "target"])
def test_budgets_hold_and_images_stay_images_and_labels_stay(objective: str, norm: str) -> None:
    model = colour_model()
    edges = BATCH.images.clone()
    edges[:, :, :8], edges[:, :, 8:16] = 0, 1
    batch = Batch.of(edges, BATCH.targets)
    sizes = (0.0, 0.02, 0.3) if norm == "l-inf" else (0.0, 1.0, 40.0)
    settings = [SETTING.varied(objective=objective, box=(0, 0, 9, 9), norm=norm, eps=eps, alpha=None) for eps in sizes]
    found = perturbed(settings, model, batch)
    for eps, images in zip(sizes, found.images, strict=True):
        change = (images - edges).double().flatten(1)
        largest = change.abs().amax(1) if norm == "l-inf" else change.norm(dim=1)
        assert float(largest.max()) <= eps + 2e-6 * max(eps, 1)
        assert 0 <= float(images.min()) <= float(images.max()) <= 1
        assert torch.equal(model.predict(images), model.predict(edges))
        torch.testing.assert_close(found.extras["change-" + norm][sizes.index(eps)], largest)
    assert torch.equal(found.images[0], edges)


def test_inputs_of_a_bare_module_may_stay_outside_of_0_to_1() -> None:
    images = 3 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = AttributionAttack(SETTING)(images, colour_net(), [1, 2])
    assert float((found - images).abs().max()) <= SETTING.eps + 1e-6
    assert not torch.equal(found, images)


class _Fickle(nn.Module):
    """`colour_net`, whose label changes as soon as the image does."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.net, self.images = colour_net(), images

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.net(inputs)
        known = torch.stack([(self.images == one).flatten(1).all(1).any() for one in inputs])
        return torch.where(known[:, None], logits, logits.roll(1, dims=1) + 100 * torch.eye(10)[0])


def test_where_every_iterate_changes_the_label_the_clean_image_is_left() -> None:
    found = perturbed([SETTING], Model(_Fickle(BATCH.images)))
    assert torch.equal(found.images[0], BATCH.images)
    assert found.extras["succeeded"].tolist() == [[0, 0, 0]]
    assert found.extras["similarity"].tolist() == [[1, 1, 1]]


def test_images_that_the_network_gets_wrong_are_left_alone_by_the_released_code_only() -> None:
    right = colour_model().predict(BATCH.images)
    batch = Batch.of(BATCH.images, torch.where(torch.arange(3) == 1, right, (right + 1) % 10))
    assert perturbed([SETTING], batch=batch).extras["succeeded"].tolist() == [[1, 1, 1]]
    kept = perturbed([SETTING.varied(compat="given-label")], batch=batch)
    assert kept.extras["succeeded"].tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("kind", [AttributionAttack, RandomWalk])
def test_fewer_steps_and_other_budgets_come_out_of_one_run_as_by_themselves(kind: type[Walk[Any]]) -> None:
    base = SETTING if kind is AttributionAttack else RandomWalk.setting(repeats=2, steps=6)
    settings = [base.varied(steps=steps, eps=eps) for steps in (2, 6) for eps in (0.01, 0.05)]
    settings.append(base.varied(steps=9, eps=0))  # which takes no step at all
    assert len({setting.without(kind().shares(setting)) for setting in settings}) == 1
    model = colour_model()
    together = perturbed(settings, model, kind=kind)
    assert model.counted.forward == len(BATCH) * kind().rows(settings, (3, 32, 32))
    for place, setting in enumerate(settings):
        alone = perturbed([setting], kind=kind)
        assert torch.equal(together.images[place], alone.images[0])
        assert torch.equal(together.extras["similarity"][place], alone.extras["similarity"][0])
    assert bool((together.extras["similarity"][2:4] <= together.extras["similarity"][:2]).all())


@pytest.mark.parametrize("kind", [AttributionAttack, RandomWalk])
def test_a_run_repeats_to_the_last_bit_and_an_image_has_the_same_result_in_any_batch(kind: type[Walk[Any]]) -> None:
    setting = SETTING if kind is AttributionAttack else RandomWalk.setting(steps=6)
    first, second = (perturbed([setting], kind=kind) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert all(torch.equal(first.extras[name], second.extras[name]) for name in first.extras)
    turned = perturbed([setting], batch=BATCH.select([2, 0]), kind=kind)
    differs = (turned.images[0] - first.images[0, [2, 0]]).abs() > 1e-6
    assert float(differs.float().mean()) < 0.002


def test_other_seeds_give_other_walks() -> None:
    settings = [RandomWalk.setting(steps=3, seed=seed) for seed in (0, 1)]
    first, second = (perturbed([setting], kind=RandomWalk).images for setting in settings)
    assert not torch.equal(first, second)


class OwnMethod(Method[Params]):
    """A method as a plugin may bring it: the squared gradient of the target's score, in plain PyTorch."""

    name = "own"
    reference = "A control"

    def maps(self, model: Model, batch: Batch, settings: Sequence[Params], rng: Rng) -> Tensor:
        inputs = model.inputs(batch.images)
        found = model.gradients(lambda start, stop: inputs[start:stop], batch.targets, "logit")
        return torch.cat([gradient.square().sum(1) for _, gradient in found])[None]

    def differentiable(self, params: Params) -> bool:
        return True

    def rows(self, settings: Sequence[Params], shape: tuple[int, int, int]) -> int:
        return 1


@pytest.mark.parametrize(
    "method",
    [
        OwnMethod(),
        InputXGradient(channels="abs-sum"),
        IntegratedGradients(steps=3),
        SmoothGrad(samples=2, channels="abs-max"),
    ],
)
def test_it_attacks_every_method_with_a_gradient(method: Any) -> None:
    model = colour_model()
    setting = SETTING.varied(of=method, criterion=Spearman(), steps=3)
    found = perturbed([setting], model)
    assert model.counted.forward == len(BATCH) * AttributionAttack().rows([setting], (3, 32, 32))
    draws = Rng(RNG.seed).child(method.name)
    maps = [
        method.maps(model, batch, [method.params], draws)[0] for batch in (BATCH, BATCH.with_images(found.images[0]))
    ]
    expected = Spearman()(*(one.abs() for one in maps))
    torch.testing.assert_close(found.extras["similarity"][0], expected, atol=1e-4, rtol=0)
    assert float(expected.max()) < 0.99


@pytest.mark.parametrize("method", [GuidedBackprop(), GradCam(), IntegratedGradients(baseline="blur")])
def test_a_method_without_a_gradient_is_refused_and_random_walks_take_it(method: Any) -> None:
    with pytest.raises(ComponentError, match=f"{method.name}.* has none"):
        perturbed([SETTING.varied(of=method)])
    assert RandomWalk(of=method, steps=1)(BATCH.images, colour_net(), BATCH.targets).shape == BATCH.images.shape


def test_target_needs_a_box_of_every_image() -> None:
    boxed = Batch(BATCH.images, BATCH.targets, BATCH.ids, torch.tensor([[0, 0, 0, 9, 9], [2, 0, 0, 9, 9]]))
    with pytest.raises(ComponentError, match="of image 1 of 3 the image has no annotated box"):
        perturbed([SETTING.varied(objective="target")], batch=boxed)
    with pytest.raises(ComponentError, match=r"\(40, 0, 50, 9\) is outside"):
        perturbed([SETTING.varied(objective="target", box=(40, 0, 50, 9))], batch=boxed)


def test_a_k_beyond_the_map_is_refused() -> None:
    with pytest.raises(ComponentError, match="k must be at most the pixels of a map, 32 x 32 = 1024; got 2000"):
        perturbed([SETTING.varied(k=2000)])


def test_a_study_with_the_conventions_of_the_released_code_attacks_as_it_does() -> None:
    study = load_study(
        {
            "models": ["net"],
            "compat": "lens-2024",
            "inputs": [
                "clean",
                "attribution-attack",
                "random-walk",
                {"attribution-attack": {"compat": "whole-levels"}},
            ],
            "methods": ["gradient"],
        },
        default_registry(False),
        models={"net": colour_net()},
        photos=photos_of(BATCH.images),
    )
    attack, walk, partly = (use.params for use in study.inputs[1:4])
    assert (attack.compat, attack.beta) == ("lens-2024", 1.0)
    assert (walk.compat, walk.repeats) == ("lens-2024", 3)
    assert partly.compat == "whole-levels"
    assert attack.deviations((28, 28)) == {"lens-2024", "given-label", "truncated-centre", "windows"}
    assert attack.deviations((128, 128)) == attack.deviations((28, 28)) | {"whole-levels"}


def test_random_noise_of_the_same_size_is_run_beside_every_walk() -> None:
    (control,) = AttributionAttack().controls(SETTING.varied(norm="l2", eps=2))
    assert control.params == RandomSign.setting(eps=2, norm="l2")


def test_sizes_may_be_written_as_fractions() -> None:
    assert AttributionAttack(eps="8/255", alpha="1/255").params.stride() == 1 / 255
    with pytest.raises(ComponentError, match=r"eps: .* got '8/0'"):
        AttributionAttack(eps="8/0")


def test_a_map_s_centre_of_mass_and_where_it_is_driven_from() -> None:
    map_ = torch.tensor([[[0.0, 0, 0], [0, 0, 4], [0, 0, 5]]])
    torch.testing.assert_close(normalised(map_), map_)
    torch.testing.assert_close(centres(map_), torch.tensor([[14 / 9, 2.0]]))
    assert moved(map_, truncated=True)(map_).item() == pytest.approx((14 / 9 - 1) ** 2)
    # Half of the map lies above and left of the centre, so both coordinates are to fall: one pixel on from the centre.
    assert moved(map_)(map_).item() == pytest.approx(2)
    higher = torch.tensor([[[0.0, 4, 0], [0, 0, 0], [0, 0, 5]]])
    assert moved(map_)(normalised(higher)).item() > 2


def test_a_map_is_scaled_by_its_absolute_values_and_zeros_stay() -> None:
    found = normalised(torch.tensor([[[5.0, -3], [0, 4]], [[0, 0], [0, 0]]]))
    torch.testing.assert_close(found, torch.tensor([[[5 / 3, 1], [0, 4 / 3]], [[0, 0], [0, 0]]]))


def test_windows_around_the_best_pixels_end_at_the_border_or_wrap_as_released() -> None:
    clean = torch.zeros(1, 6, 6)
    clean[0, 0, 0], clean[0, 2, 5], clean[0, 5, 0] = 9, 8, 7

    assert emptied(clean, 3, 1)(torch.ones(1, 6, 6)).item() == -14
    assert emptied(clean, 3, 1, released=True)(torch.ones(1, 6, 6)).item() == -(
        18 + 1
    )  # the sheet's 18 leave pixel 0 out, which is a deviation of its own


@pytest.mark.parametrize(("kind", "size"), [("l-inf", 8 / 255), ("l2", 2.0)])
def test_random_signs_use_the_whole_budget_where_images_leave_room(kind: str, size: float) -> None:
    images = 0.3 + 0.4 * BATCH.images
    signs = RandomSign(eps=size, norm=kind)
    change = (signs(images, seed=3) - images).double().flatten(1)
    used = change.abs() if kind == "l-inf" else change.norm(dim=1)
    torch.testing.assert_close(used, torch.full_like(used, size), atol=1e-6, rtol=1e-5)
    assert float(change.sign().mean().abs()) < 0.05
    assert not torch.equal(signs(images, seed=3), signs(images, seed=4))
    found = signs.perturbed(colour_model(), Batch.of(images, 0), [signs.params], Rng(3).child(signs.name))
    assert torch.equal(found.images[0], signs(images, seed=3))
    assert set(found.extras["label-kept"].flatten().tolist()) <= {0.0, 1.0}
