from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sam_toolkit import Batch, ComponentError, GradCam, Model, Rng
from sam_toolkit.testing import check_method, small_batch, small_model

library = pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is not installed: pip install grad-cam")
targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")

from sam_toolkit_gradcam import sam_toolkit_components  # noqa: E402 - needs the library

METHODS = {component.name: component for component in sam_toolkit_components()}
NOT_METHODS = {"FinerCAM", "RefineCAM"}  # make others of any of these


def network():
    """Return a small network whose last convolution gives 8 x 8 of images of 16 x 16."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    ).eval()  # fmt: skip


@pytest.fixture(autouse=True)
def draws():
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("name", METHODS)
def test_every_map_keeps_the_contract_of_methods(name):
    component, batch = METHODS[name](), small_batch((16, 16)).select([0, 1])
    settings = [component.params]
    if name == "gradcam-hires-cam":
        settings += [component.params.varied(eigen_smooth=True), component.params.varied(aug_smooth=True)]
    check_method(component, settings, small_model(), batch)


def test_every_map_of_the_library_is_a_method_or_named_here_as_none():
    found = {name for name in dir(library) if "CAM" in name or name in ("FEM", "FullGrad")}
    found -= {name for name in found if not isinstance(getattr(library, name), type)}
    assert found == {method.cam.__name__ for method in METHODS.values()} | NOT_METHODS


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("smooth", [False, True])
def test_maps_are_those_of_the_library_called_directly(name, smooth):
    net, images, classes = network(), small_batch((16, 16)).images[:2], [1, 4]
    method, extra = METHODS[name], {}
    if "layer" in method.Params.model_fields:
        extra["layer"] = "3"
    if smooth and "eigen_smooth" in method.Params.model_fields:
        extra |= {"eigen_smooth": True}
    found = method(aug_smooth=smooth, **extra)(net, images, classes, seed=2)
    ids = Batch.of(images, classes).ids
    for image, map_ in enumerate(found):
        drawn = Rng(2).child(method.name, 0).generator(ids[image])
        np.random.seed(int(torch.randint(2**31, (), generator=drawn)))
        layers = [net[3]] if "layer" in extra else []
        with method.cam(net, layers) as cam:
            one = [targets.ClassifierOutputTarget(classes[image])]
            asked = {"aug_smooth": smooth, "eigen_smooth": "eigen_smooth" in extra}
            expected = cam(images[image : image + 1].clone().requires_grad_(), one, **asked)
        torch.testing.assert_close(map_, torch.from_numpy(expected)[0], rtol=1e-4, atol=1e-5)


def test_the_layer_is_the_one_that_our_grad_cam_takes():
    net, images = network(), small_batch((16, 16)).images
    found = METHODS["gradcam-grad-cam"]()(net, images, [0, 1, 2])
    ours = GradCam(upsampling="bilinear")(net, images, [0, 1, 2])
    ours = ours - ours.amin((1, 2), keepdim=True)
    ours = ours / ours.amax((1, 2), keepdim=True).clamp_min(1e-7)
    torch.testing.assert_close(found, ours, atol=0.02, rtol=0)  # scaled before it is drawn out, and after
    torch.testing.assert_close(found, METHODS["gradcam-grad-cam"](layer="4")(net, images, [0, 1, 2]))


def test_a_probability_and_a_logit_have_different_maps():
    net, images = network(), small_batch((16, 16)).images
    logit, probability = (METHODS["gradcam-x-grad-cam"](score=s)(net, images, 1) for s in ("logit", "probability"))
    assert not torch.allclose(logit, probability)


@pytest.mark.parametrize("layer", ["nowhere", "5", "7"])
def test_a_layer_without_places_is_refused(layer):
    with pytest.raises(ComponentError, match=rf"layer must be auto or .*'{layer}'.*Such layers of .*: 0, 1, 2, 3, 4"):
        METHODS["gradcam-layer-cam"](layer=layer)(network(), small_batch((16, 16)).images, 1)


def test_rows_that_channels_take_stand_in_the_work():
    model = Model(network())
    for name, share in (("gradcam-score-cam", 7), ("gradcam-ablation-cam", 8)):
        component = METHODS[name]()
        calls = []
        handle = model.module[0].register_forward_hook(lambda part, given, out, calls=calls: calls.append(len(out)))
        assert component.work(model, [component.params], (3, 16, 16)).share == share
        component.maps(model, Batch.of(small_batch((16, 16)).images[:1], 2), [component.params], Rng(0))
        handle.remove()
        assert sum(calls) == 1 + share + 1  # `work` and `maps` have found the layer with one each
