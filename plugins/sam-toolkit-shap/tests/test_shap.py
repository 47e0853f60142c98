from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("shap", reason="shap is not installed: pip install shap")

import shap
from sam_toolkit_shap import ShapGradient, ShapKernel, ShapPartition

from sam_toolkit import Batch, Rng
from sam_toolkit.testing import check_method, small_batch, small_model


def seeds(method, images, seed, own):
    """Return the seed that each image's draws follow from."""
    stream = Rng(seed).child(method.name, own)
    return [int(torch.randint(2**31, (), generator=stream.generator(name))) for name in Batch.of(images, 0).ids]


@pytest.mark.parametrize(
    "method",
    [ShapGradient(nsamples=5, background=2), ShapPartition(max_evals=11), ShapKernel(nsamples=60, cells=3)],
)
def test_every_explainer_keeps_the_contract_of_methods(method):
    batch = small_batch((8, 8)).select([0, 1])
    check_method(method, [method.params, method.params.varied(score="probability")], small_model(), batch)


def test_gradients_are_those_of_shap_called_directly():
    model, images = small_model(), small_batch((16, 16)).images[:2]
    found = ShapGradient(nsamples=6, background=3, seed=1, channels="sum")(model.module, images, [2, 5], seed=4)
    for image, target, seed, map_ in zip(images, (2, 5), seeds(ShapGradient, images, 4, 1), found, strict=True):
        draws = np.random.RandomState(seed)
        background = torch.from_numpy(draws.uniform(size=(3, 3, 16, 16)).astype(np.float32))
        explainer = shap.GradientExplainer(nn.Sequential(model.module), background)
        expected = explainer.shap_values(image[None], nsamples=6, rseed=draws.randint(2**31))
        torch.testing.assert_close(
            map_.double(), torch.from_numpy(expected[0, ..., target]).sum(0), rtol=1e-3, atol=1e-5
        )


def test_partitions_are_those_of_shap_called_directly():
    model, images = small_model(), small_batch((16, 16)).images[:2]
    found = ShapPartition(max_evals=30, channels="sum", mask_value=0.3)(model.module, images, [2, 5])
    state = np.random.get_state()
    for image, target, map_ in zip(images, (2, 5), found, strict=True):

        def evaluate(copies, target=target):
            with torch.no_grad():
                return model.module(torch.from_numpy(copies).permute(0, 3, 1, 2)).numpy()[:, target]

        np.random.seed(0)
        explainer = shap.PartitionExplainer(evaluate, shap.maskers.Image(0.3, (16, 16, 3)))
        expected = explainer(image.permute(1, 2, 0).numpy()[None], max_evals=30, silent=True).values[0]
        expected = torch.from_numpy(expected).reshape(16, 16, 3).sum(2).float()
        torch.testing.assert_close(map_, expected, rtol=1e-3, atol=1e-5)
    np.random.set_state(state)


@pytest.mark.parametrize("features", [0, 3])
def test_shapley_values_of_few_cells_add_up_and_the_generator_stands(features):
    model, images = small_model(), small_batch((16, 16)).images[:2]
    before = np.random.get_state()[1].copy()
    maps = ShapKernel(nsamples=20, cells=2, features=features)(model.module, images, 3)
    assert np.array_equal(np.random.get_state()[1], before)
    cells = maps[:, ::8, ::8].sum((1, 2))
    with torch.no_grad():
        expected = (model.module(images) - model.module(torch.zeros_like(images)))[:, 3]
    torch.testing.assert_close(cells, expected, rtol=1e-3, atol=1e-4)
    assert (maps[:, ::8, ::8] != 0).sum() == 2 * (features or 4)
