from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("lime", reason="lime is not installed: pip install lime")

from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm
from sam_toolkit_lime import LimeLibrary

from sam_toolkit import Batch, ComponentError, Rng
from sam_toolkit.testing import check_method, small_batch, small_model

FINE = {"segmentation": "slic", "n_segments": 12, "num_samples": 12}


def direct(image, target, seed, **asked):
    """Return lime's map of one image, called as its users call it."""
    model = small_model()
    explainer = LimeImageExplainer(kernel_width=0.4, random_state=seed)

    def classify(copies):
        images = torch.from_numpy(copies).permute(0, 3, 1, 2).float()
        return model.logits(model.inputs(images)).softmax(1).numpy()

    pixels = image.permute(1, 2, 0).double().numpy()
    found = explainer.explain_instance(pixels, classify, (target,), top_labels=None, num_samples=24, **asked)
    expected = np.zeros(found.segments.shape)
    for superpixel, weight in found.local_exp[target]:
        expected[found.segments == superpixel] = weight
    return torch.from_numpy(expected).float()


def test_lime_keeps_the_contract_of_methods():
    method = LimeLibrary(**FINE)
    settings = [
        method.params,
        method.params.varied(hide_color=0.0, num_features=3, feature_selection="highest_weights"),
    ]
    check_method(method, settings, small_model(), small_batch((16, 16)))


@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ({}, {}),  # lime's own quickshift
        (
            {"segmentation": "slic", "n_segments": 12, "hide_color": 0.5},
            {
                "segmentation_fn": SegmentationAlgorithm("slic", n_segments=12, compactness=10.0, start_label=0),
                "hide_color": 0.5,
            },
        ),
        (
            {"segmentation": "felzenszwalb", "scale": 3.0, "num_features": 3, "distance_metric": "euclidean"},
            {
                "segmentation_fn": SegmentationAlgorithm("felzenszwalb", scale=3.0),
                "num_features": 3,
                "distance_metric": "euclidean",
            },
        ),
    ],
)
def test_maps_are_those_of_lime_called_directly(setting, asked):
    images = small_batch((32, 32)).images[:2]
    found = LimeLibrary(num_samples=24, kernel_width=0.4, seed=3, **setting)(small_model(), images, [1, 4], seed=2)
    for image, target, name, map_ in zip(images, (1, 4), Batch.of(images, 0).ids, found, strict=True):
        seed = int(torch.randint(2**31, (), generator=Rng(2).child("lime-library", 3).generator(name)))
        torch.testing.assert_close(map_, direct(image, target, seed, **asked), rtol=1e-4, atol=1e-6)
    assert found.abs().sum() > 0


def test_grey_images_are_refused():
    with pytest.raises(ComponentError, match="takes images of 3 channels; got 1"):
        LimeLibrary()(torch.nn.Flatten(), torch.rand(1, 1, 4, 4), 0)
