"""The Python interface: one-off calls, sensitivity, studies on tensors."""

from __future__ import annotations

import pytest
import torch
from nets import colour_net
from study.small import images

import sam_toolkit
from sam_toolkit import (
    HOG,
    SSIM,
    ComponentError,
    Method,
    Params,
    SlidingPatch,
    SmoothGrad,
    Spearman,
    sensitivity,
)


def test_every_public_name_can_be_imported():
    for name in sam_toolkit.__all__:
        assert getattr(sam_toolkit, name) is not None
    assert set(sam_toolkit.__all__) <= set(dir(sam_toolkit))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="SmothGrad"):
        _ = sam_toolkit.SmothGrad


def test_a_method_is_a_call_away():
    net = colour_net()
    maps = SmoothGrad(samples=3)(net, images(), [0, 1, 2])
    assert maps.shape == (3, 32, 32)
    predicted = SlidingPatch(patch=8)(net, images())
    torch.testing.assert_close(predicted, SlidingPatch(patch=8)(net, images(), net(images()).argmax(1)))


def test_metrics_take_two_maps_or_a_stack():
    maps = torch.rand(4, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for metric in (SSIM(), Spearman(), HOG(cell=8)):
        matrix = metric.matrix(maps)
        assert matrix.shape == (4, 4)
        torch.testing.assert_close(matrix, matrix.T)
        torch.testing.assert_close(matrix[0, 1:], metric(maps[:1].expand(3, -1, -1), maps[1:]))
        torch.testing.assert_close(metric(maps[0], maps[1]), matrix[0, 1])


def test_sensitivity_says_which_hyperparameter_moves_the_map():
    found = sensitivity(
        SmoothGrad,
        vary={"samples": [4, 8], "spread": [0.1, 0.4]},
        model=colour_net(),
        images=images(),
        metrics=["ssim", Spearman],
    )
    assert {item.factor for item in found.sensitivities} == {"samples", "spread"}
    assert {item.metric for item in found.sensitivities} == {"ssim", "spearman"}
    assert all(item.floor.mean < 1 for item in found.sensitivities)


class NotebookParams(Params):
    """Hyperparameters of a method that no plugin registered."""

    power: float = sam_toolkit.field(1.0, gt=0, help="exponent")


class Notebook(Method[NotebookParams]):
    """The image to a power."""

    name = "notebook"

    def rows(self, settings, shape):
        return 0

    def maps(self, model, batch, settings, rng):
        return torch.stack([batch.images.mean(1) ** setting.power for setting in settings])


def test_sensitivity_takes_a_class_that_no_plugin_registered():
    found = sensitivity(
        Notebook, {"power": [1.0, 3.0]}, model=colour_net(), images=images(), targets=1, metrics=["ssim"]
    )
    assert found.sensitivities[0].deterministic
    assert found.sensitivities[0].index.mean > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.rand(3, 32, 32), r"images must be floating point \[N, C, H, W\]; got .*3, 32, 32"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "uint8"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(given, message):
    with pytest.raises(ComponentError, match=message):
        sensitivity(SmoothGrad, {"samples": [2, 3]}, model=colour_net(), images=given)


def test_targets_must_fit_the_images():
    with pytest.raises(ComponentError, match="got 2 for 3 images"):
        sensitivity(SmoothGrad, {"samples": [2, 3]}, model=colour_net(), images=images(), targets=[1, 2])
