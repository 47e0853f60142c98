"""LIME against the lime package, against a closed form, and against what a linear model is known to be."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nets import colour_batch, colour_model
from torch import Tensor, nn

from sam_toolkit.methods import Lime, LimeParams
from sam_toolkit.methods.superpixels import cut, mean_colours
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

RNG = Rng(7).child("lime")
BATCH = colour_batch(2)
FEW = {"segments": 16, "sigma": 1.0}
"""SLIC that cuts images of 32 x 32 into some twenty superpixels."""


@pytest.fixture(scope="module")
def package() -> ModuleType:
    return pytest.importorskip("lime.lime_image", reason="the package lime is not installed")


def maps_of(*settings: LimeParams, model: Model | None = None, batch: Batch = BATCH) -> Tensor:
    return Lime().maps(model or colour_model(), batch, settings, RNG)


def draws(setting: LimeParams, name: str, labels: Tensor) -> Tensor:
    """Return what copies keep, int64 `[R, F]`."""
    stream, superpixels = RNG.child("masks", setting.seed), int(labels.max()) + 1
    if setting.draws == "independent":
        stream = stream.child(setting.samples)
    kept = [stream.uniform(name, draw, [superpixels]) < setting.keep for draw in range(setting.samples)]
    return torch.stack([torch.ones(superpixels, dtype=torch.bool), *kept[1:]]).long()


def by_lime(
    package: ModuleType, setting: LimeParams, pixels: np.ndarray, target: int, kept: Tensor, cutter: Any
) -> Tensor:
    """Return the coefficients `[F]` of lime for masks `[R, F]`."""
    model = colour_model()

    def classify(images: np.ndarray) -> np.ndarray:
        values = torch.from_numpy(images).permute(0, 3, 1, 2) / (255.0 if images.dtype == np.uint8 else 1.0)
        logits = model.logits(model.inputs(values))
        return (logits.softmax(dim=1) if setting.score == "probability" else logits).numpy()

    explainer = package.LimeImageExplainer(kernel_width=setting.kernel_width)
    explainer.random_state = SimpleNamespace(randint=lambda low, high, size: kept.flatten().numpy())
    found = explainer.explain_instance(
        pixels,
        classify,
        labels=(target,),
        hide_color=None if setting.fill == "superpixel-mean" else 0,
        top_labels=None,
        num_samples=setting.samples,
        segmentation_fn=cutter,
        random_seed=0,
    ).local_exp[target]
    assert len(found) == kept.shape[1]
    return torch.tensor([dict(found)[label] for label in range(kept.shape[1])])


@pytest.mark.parametrize("fill", ["black", "superpixel-mean"])
@pytest.mark.parametrize("kernel_width", [0.1, 0.25, 2.0])
@pytest.mark.parametrize(("samples", "score"), [(8, "logit"), (90, "probability"), (300, "logit")])
def test_the_same_masks_give_the_coefficients_of_lime(
    package: ModuleType, fill: str, kernel_width: float, samples: int, score: str
) -> None:
    setting = Lime.setting(**FEW, fill=fill, kernel_width=kernel_width, samples=samples, score=score, seed=3)
    found = maps_of(setting)[0]
    for image, labels in enumerate(cut(setting.superpixels(), BATCH.images)):
        pixels, target = BATCH.images[image].permute(1, 2, 0).numpy(), int(BATCH.targets[image])
        kept = draws(setting, BATCH.ids[image], labels)
        expected = by_lime(package, setting, pixels, target, kept, lambda _, own=labels: own.numpy())
        assert expected.abs().max() > 2e-4
        torch.testing.assert_close(found[image], expected[labels].float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("fields", "algorithm", "options"),
    [
        ({"segmentation": "slic"}, "slic", {"n_segments": 50, "compactness": 30, "sigma": 3, "start_label": 0}),
        ({"segmentation": "quickshift", "max_dist": 5}, "quickshift", {"kernel_size": 4, "max_dist": 5, "ratio": 0.2}),
    ],
)
def test_bytes_are_cut_and_explained_as_by_lime(
    package: ModuleType, fields: dict[str, Any], algorithm: str, options: dict[str, Any]
) -> None:
    images = (BATCH.images * 255).round()
    setting = Lime.setting(**fields, samples=100)
    found = maps_of(setting, batch=Batch.of(images / 255, BATCH.targets, BATCH.ids))[0]
    for image, labels in enumerate(cut(setting.superpixels(), images / 255)):
        pixels, target = images[image].permute(1, 2, 0).byte().numpy(), int(BATCH.targets[image])
        cutter = package.SegmentationAlgorithm(algorithm, **options)
        kept = draws(setting, BATCH.ids[image], labels)
        expected = by_lime(package, setting, pixels, target, kept, cutter)[torch.from_numpy(cutter(pixels))]
        assert expected.unique().numel() > 2
        torch.testing.assert_close(found[image], expected.float(), atol=1e-6, rtol=0)


def plain(setting: LimeParams, batch: Batch, image: int, hidden: Tensor) -> Tensor:
    """Return the map of an image by loops, and one least-squares problem with the intercept and the penalty as rows."""
    model, labels = colour_model(), cut(setting.superpixels(), batch.images[image : image + 1])[0]
    whole, kept = batch.images[image], draws(setting, batch.ids[image], labels).double().numpy()
    rows, values = [], []
    for row in kept:
        shown = np.isin(labels.numpy(), np.flatnonzero(row))
        logits = model.logits(model.inputs(torch.where(torch.from_numpy(shown), whole, hidden)[None]))[0]
        values.append(float((logits.softmax(0) if setting.score == "probability" else logits)[batch.targets[image]]))
        norms = np.linalg.norm(row) * np.linalg.norm(kept[0])
        distance = 1 - row @ kept[0] / norms if norms else 1.0
        rows.append(np.sqrt(np.exp(-(distance**2) / setting.kernel_width**2)))
    root = np.sqrt(rows)[:, None]
    penalty = np.eye(kept.shape[1] + 1) * setting.ridge**0.5
    penalty[0, 0] = 0
    design = np.vstack([root * np.column_stack([np.ones(len(kept)), kept]), penalty])
    response = np.concatenate([root[:, 0] * values, np.zeros(len(penalty))])
    return torch.from_numpy(np.linalg.lstsq(design, response)[0][1:])[labels].float()


def whole_fill(fill: Any, setting: LimeParams, batch: Batch, image: int) -> Tensor:
    """Return an image `[3, H, W]` with everything hidden."""
    one = batch.images[image : image + 1]
    if fill == "superpixel-mean":
        return mean_colours(one, cut(setting.superpixels(), one))[0]
    if fill == "noise":
        return RNG.child("fill", setting.seed).uniform(batch.ids[image], 0, one.shape[1:])
    colour = {"black": 0.0, "mean": (0.48, 0.46, 0.41)}.get(fill, fill)
    return torch.as_tensor(colour).reshape(-1, 1, 1).expand(one.shape[1:])


@pytest.mark.parametrize("fill", ["black", "mean", "superpixel-mean", "noise", 0.5, (0.1, 0.5, 0.9)])
@pytest.mark.parametrize(
    "fields",
    [
        {"segmentation": "slic", **FEW, "samples": 60},
        {"segmentation": "quickshift", "max_dist": 4.0, "samples": 40, "ridge": 0.2, "score": "logit"},
        {"segmentation": "grid", "segments": 30, "samples": 12, "keep": 0.8, "draws": "independent"},
    ],
    ids=lambda fields: fields["segmentation"],
)
def test_a_map_is_what_the_closed_form_gives(fill: Any, fields: dict[str, Any]) -> None:
    batch = colour_batch(2, size=(26, 37))
    setting = Lime.setting(**fields, fill=fill, seed=4)
    found = maps_of(setting, batch=batch)[0]
    assert found.flatten(1).unique(dim=1).shape[1] > 5
    for image in range(2):
        expected = plain(setting, batch, image, whole_fill(fill, setting, batch, image))
        torch.testing.assert_close(found[image], expected, atol=2e-6, rtol=1e-4)


def test_a_single_superpixel_has_the_shrunken_effect_of_hiding_everything() -> None:
    setting = Lime.setting(segmentation="grid", segments=1, samples=50)
    model = colour_model()
    scores = [model.logits(model.inputs(images)).softmax(1)[0, 3] for images in (BATCH.images, 0 * BATCH.images)]
    kept = draws(setting, BATCH.ids[0], torch.zeros(1)).double()[:, 0]
    weights = torch.where(kept == 1, 1.0, float(np.exp(-8)))
    spread = (weights * (kept - (weights * kept).sum() / weights.sum()).square()).sum()
    found = maps_of(setting)[0, 0]
    assert found.unique().numel() == 1
    torch.testing.assert_close(found[0, 0], (scores[0] - scores[1]) * (spread / (spread + 1)).float())


@pytest.mark.parametrize("ridge", [0.0, 1e-9, 1.0])
@pytest.mark.parametrize("samples", [2, 3, 10])
def test_fewer_samples_than_superpixels_give_the_smallest_coefficients_that_fit(samples: int, ridge: float) -> None:
    setting = Lime.setting(segmentation="grid", segments=64, samples=samples, ridge=ridge)
    found = maps_of(setting)[0]
    assert bool(found.isfinite().all())
    for image in range(2):
        labels = cut(setting.superpixels(), BATCH.images)[image]
        expected = plain(setting.varied(ridge=max(ridge, 1e-9)), BATCH, image, torch.zeros(3, 32, 32))
        assert labels.max() == 63
        torch.testing.assert_close(found[image], expected, atol=1e-5, rtol=1e-3)


class LinearNet(nn.Module):
    """Scores that are linear in the pixels, and so, with black, in what is kept."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(5))
        self.weights = nn.Parameter(weights + torch.linspace(-1, 1, 32))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.einsum("nchw,kchw->nk", inputs, self.weights) / 100

    def truth(self, image: int, labels: Tensor) -> Tensor:
        """Return the map of what each superpixel adds to the target's logit."""
        parts = (BATCH.images[image] * self.weights[BATCH.targets[image]]).sum(dim=0).flatten() / 100
        return torch.zeros(int(labels.max()) + 1).index_add(0, labels.flatten(), parts.detach())[labels]


@pytest.mark.parametrize(
    ("ridge", "samples", "kernel_width"),
    [(0.0, 60, 0.25), (0.0, 60, 0.02), (1e-6, 60, 0.25), (1.0, 3000, 0.25)],
)
def test_a_linear_model_is_found_again(ridge: float, samples: int, kernel_width: float) -> None:
    fields = {"ridge": ridge, "samples": samples, "kernel_width": kernel_width}
    net, setting = LinearNet(), Lime.setting(**FEW, **fields, score="logit")
    found = maps_of(setting, model=Model(net))[0]
    for image, labels in enumerate(cut(setting.superpixels(), BATCH.images)):
        truth = net.truth(image, labels)
        allowed = 2e-5 if ridge < 1 else 0.02
        assert (found[image] - truth).abs().max() < allowed * truth.abs().max()


def test_more_samples_come_closer_to_it() -> None:
    settings = [Lime.setting(**FEW, samples=samples, score="logit") for samples in (30, 120, 480, 1920)]
    net = LinearNet()
    found = maps_of(*settings, model=Model(net))
    truth = torch.stack([net.truth(i, labels) for i, labels in enumerate(cut(settings[0].superpixels(), BATCH.images))])
    errors = (found - truth).square().mean(dim=(2, 3)).sqrt()
    assert bool((errors[1:] < errors[:-1] / 2).all())
