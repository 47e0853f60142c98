"""Similarities of maps that the authors of SAM published, against those of scikit-image and SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.transform import resize
from torch import Tensor

from sam_toolkit.metrics import HOG, SSIM, Spearman

GOLDEN = Path(__file__).parents[2] / "../shared/golden/authors-maps.npz"
METRICS = (SSIM(data_range=2.0), HOG(), Spearman())
PRINTED = 5e-5


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    if not GOLDEN.exists():
        pytest.skip("the authors' maps are not there")
    with np.load(GOLDEN) as maps:
        return dict(maps)


def _maps(published: dict[str, np.ndarray], method: str, settings: tuple[str, ...], model: str) -> Tensor:
    """Return maps as the study compared them: a sliding patch's stretched, others divided by the largest."""
    maps = [published[f"{method}_{setting}_{model}"] for setting in settings]
    if method == "sliding-patch":
        return torch.from_numpy(np.stack([resize(values, (224, 224), order=5) for values in maps]))
    return torch.from_numpy(np.stack([values / np.abs(values).max() for values in maps]))


SWEEPS = {
    "gradient": (("noise0", "noise1"), 0),
    "smoothgrad": (("n25", "n50", "n75"), 1),
    "sliding-patch": (("p5", "p29", "p53"), 1),
}


@pytest.mark.parametrize(
    ("method", "model", "means", "ssim_deviation"),
    [
        ("gradient", "googlenet", (0.2693, 0.2594, 0.0290), 0),
        ("gradient", "resnet50", (0.5032, 0.2400, 0.0195), 0),
        ("gradient", "googlenet-r", (0.7258, 0.7222, 0.7064), 0),
        ("gradient", "resnet50-r", (0.8201, 0.7788, 0.7475), 0),
        ("smoothgrad", "googlenet", (0.5090, 0.5860, 0.2926), 0.115),
        ("smoothgrad", "resnet50", (0.8509, 0.7298, 0.8117), 0.051),
        ("sliding-patch", "googlenet", (0.5795, 0.1770, 0.2421), 0.025),
        ("sliding-patch", "resnet50", (0.3012, 0.1131, 0.4744), 0.150),
        ("sliding-patch", "googlenet-r", (0.6594, 0.2704, 0.3300), 0.149),
        ("sliding-patch", "resnet50-r", (0.6113, 0.2872, 0.5075), 0.176),
    ],
)
def test_a_sweep_against_its_default(
    published: dict[str, np.ndarray], method: str, model: str, means: tuple[float, ...], ssim_deviation: float
) -> None:
    settings, default = SWEEPS[method]
    maps = _maps(published, method, settings, model)
    others = [i for i in range(len(settings)) if i != default]
    scores = torch.stack([metric.matrix(maps)[default, others] for metric in METRICS])
    assert scores.mean(dim=1).tolist() == pytest.approx(means, abs=PRINTED)
    assert scores[0].std(correction=0).item() == pytest.approx(ssim_deviation, abs=6e-4)


@pytest.mark.parametrize(
    ("method", "model", "settings", "expected"),
    [
        ("sliding-patch", "resnet50", ("p29", "p5"), (0.1510, 0.1111, 0.3559)),
        ("sliding-patch", "resnet50", ("p29", "p53"), (0.4514, 0.1151, 0.5930)),
        ("sliding-patch", "resnet50", ("p5", "p53"), (0.0808, -0.0157, 0.2154)),
        ("smoothgrad", "resnet50", ("n25", "n50"), (0.7995, 0.6873, 0.7614)),
        ("smoothgrad", "resnet50", ("n50", "n75"), (0.9024, 0.7723, 0.8621)),
        ("smoothgrad", "googlenet", ("n25", "n50"), (0.3937, 0.5462, 0.1090)),
        ("smoothgrad", "googlenet", ("n50", "n75"), (0.6243, 0.6259, 0.4762)),
    ],
)
def test_a_pair(
    published: dict[str, np.ndarray],
    method: str,
    model: str,
    settings: tuple[str, ...],
    expected: tuple[float, ...],
) -> None:
    a, b = _maps(published, method, settings, model)
    assert [metric(a, b).item() for metric in METRICS] == pytest.approx(expected, abs=PRINTED)


@pytest.mark.parametrize(
    ("model", "ssim", "ranks"),
    [
        ("googlenet", 0.264, 0.158),
        ("resnet50", 0.373, 0.204),
        ("googlenet-r", 0.684, 0.552),
        ("resnet50-r", 0.788, 0.625),
    ],
)
def test_unsigned_maps(published: dict[str, np.ndarray], model: str, ssim: float, ranks: float) -> None:
    a, b = _maps(published, "gradient", ("noise0", "noise1"), model).abs()
    metric = SSIM()
    assert SSIM(metric.for_range(metric.params, 0.0, 1.0))(a, b).item() == pytest.approx(ssim, abs=6e-4)
    assert Spearman()(a, b).item() == pytest.approx(ranks, abs=6e-4)
