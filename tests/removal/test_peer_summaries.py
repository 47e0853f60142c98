"""Exact summaries against captum and shap on one game."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, ShapleyValues
from torch import nn

from sam_toolkit.removal.summaries import summary
from sam_toolkit.removal.symmetric import presence

FEATURES = 6


@pytest.fixture
def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.Tanh(), nn.Linear(16, 3), nn.Softmax(dim=1)).double().eval()


@pytest.fixture
def row():
    return torch.randn(FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2


@pytest.fixture
def baseline():
    return torch.linspace(-1, 1, FEATURES, dtype=torch.float64)


@pytest.fixture
def game(network, row, baseline):
    with torch.no_grad():
        return network(torch.where(presence(FEATURES), row, baseline))[:, 1]


def test_shapley_is_captums(network, row, baseline, game):
    expected = ShapleyValues(network).attribute(row[None], baseline[None], target=1)[0]
    # captum adds up in float32.
    torch.testing.assert_close(summary("shapley", FEATURES).apply(game), expected.double(), rtol=0, atol=1e-6)


def test_leave_one_out_is_captums_feature_ablation(network, row, baseline, game):
    expected = FeatureAblation(network).attribute(row[None], baseline[None], target=1)[0]
    torch.testing.assert_close(summary("leave-one-out", FEATURES).apply(game), expected, rtol=0, atol=1e-10)


def test_shapley_is_shaps(network, row, baseline, game):
    shap = pytest.importorskip("shap")

    def predict(rows):
        with torch.no_grad():
            return network(torch.as_tensor(rows)).numpy()[:, 1]

    found = shap.explainers.Exact(predict, shap.maskers.Independent(baseline[None].numpy()))(row[None].numpy())
    np.testing.assert_allclose(summary("shapley", FEATURES).apply(game), found.values[0], rtol=0, atol=1e-10)
