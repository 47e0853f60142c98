from __future__ import annotations

import pytest
import torch
from nets import colour_batch, colour_model, colour_net
from torch import Tensor, nn

from sam_toolkit.methods import Gradient, SmoothGrad
from sam_toolkit.methods.smoothgrad import SmoothGradParams
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

BATCH = colour_batch(2)
RNG = Rng(7).child("smoothgrad")


class _SquaredChannels(nn.Module):
    """Scores with gradients that are linear in the input, noise included."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.square().sum(dim=(2, 3))


def _plain(model: Model, batch: Batch, params: SmoothGradParams, rng: Rng) -> Tensor:
    """Return the maps by one loop over images and draws."""
    maps = []
    for image, target, name in zip(model.inputs(batch.images), batch.targets, batch.ids, strict=True):
        total = torch.zeros_like(image, dtype=torch.float64)
        for draw in range(params.samples):
            noise = rng.normal(name, draw, image.shape)
            noisy = (image + params.spread * (image.max() - image.min()) * noise)[None].requires_grad_()
            total += torch.autograd.grad(model.module(noisy)[0, target], noisy)[0][0].double()
        maps.append((total / params.samples).mean(dim=0).float())
    return torch.stack(maps)


def test_nested_samples_agree_with_a_plain_loop() -> None:
    params = SmoothGrad.setting(samples=7, spread=0.3, seed=2)
    found = SmoothGrad().maps(colour_model(), BATCH, [params], RNG)[0]
    torch.testing.assert_close(found, _plain(colour_model(), BATCH, params, RNG.child(2)), atol=1e-6, rtol=1e-5)


def test_independent_samples_draw_from_a_stream_that_includes_their_number() -> None:
    params = SmoothGrad.setting(samples=4, draws="independent")
    found = SmoothGrad().maps(colour_model(), BATCH, [params], RNG)[0]
    torch.testing.assert_close(found, _plain(colour_model(), BATCH, params, RNG.child(0, 4)), atol=1e-6, rtol=1e-5)
    assert "samples" not in SmoothGrad().shares(params)


def test_the_published_sweep_costs_its_longest_run_and_equals_five_runs() -> None:
    settings = [SmoothGrad.setting(samples=samples) for samples in (50, 800, 100, 500, 200)]
    assert len({setting.without(SmoothGrad().shares(setting)) for setting in settings}) == 1
    batch, model = BATCH.select([0]), colour_model()
    together = SmoothGrad().maps(model, batch, settings, RNG)
    assert SmoothGrad().rows(settings, (3, 32, 32)) == 800
    assert model.counted.forward == model.counted.backward == 800
    apart = torch.cat([SmoothGrad().maps(model, batch, [setting], RNG) for setting in settings])
    assert model.counted.forward == 800 + 1650
    torch.testing.assert_close(together, apart, atol=1e-7, rtol=1e-5)


def test_fewer_samples_are_a_prefix_of_more() -> None:
    few, more = (SmoothGrad.setting(samples=samples, channels="sum") for samples in (3, 6))
    maps = SmoothGrad().maps(colour_model(), BATCH, [few, more], RNG)
    seen = 2 * maps[1] - maps[0]
    rest = [_plain_draw(colour_model(), draw) for draw in (3, 4, 5)]
    torch.testing.assert_close(seen, torch.stack(rest).mean(dim=0), atol=1e-6, rtol=1e-4)


def _plain_draw(model: Model, draw: int) -> Tensor:
    inputs = model.inputs(BATCH.images)
    scale = 0.15 * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))
    noise = torch.stack([RNG.child(0).normal(name, draw, (3, 32, 32)) for name in BATCH.ids])
    noisy = (inputs + scale[:, None, None, None] * noise).requires_grad_()
    scores = model.module(noisy).gather(1, BATCH.targets[:, None])
    return torch.autograd.grad(scores.sum(), noisy)[0].sum(dim=1)


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_no_chunk_size_changes_a_map(chunk: int) -> None:
    settings = [SmoothGrad.setting(samples=samples) for samples in (3, 11)]
    expected = SmoothGrad().maps(colour_model(), BATCH, settings, RNG)
    found = SmoothGrad().maps(colour_model(chunk=chunk), BATCH, settings, RNG)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-5)


def test_an_image_has_the_same_map_in_any_batch() -> None:
    settings = [SmoothGrad.setting(samples=5)]
    together = SmoothGrad().maps(colour_model(), BATCH, settings, RNG)
    for order in ([0], [1], [1, 0]):
        found = SmoothGrad().maps(colour_model(), BATCH.select(order), settings, RNG)
        torch.testing.assert_close(found, together[:, order], atol=1e-7, rtol=1e-5)


def test_channels_and_spaces_ride_free() -> None:
    settings = [
        SmoothGrad.setting(samples=samples, channels=channels, space=space)
        for samples in (2, 4) for channels in ("mean", "abs-sum") for space in ("normalised", "pixel")
    ]  # fmt: skip
    model = colour_model()
    maps = SmoothGrad().maps(model, BATCH, settings, RNG)
    assert model.counted.backward == 4 * len(BATCH)
    for setting, found in zip(settings, maps, strict=True):
        alone = SmoothGrad().maps(colour_model(), BATCH, [setting], RNG)[0]
        torch.testing.assert_close(found, alone, atol=1e-6, rtol=1e-5)


def test_spreads_see_the_same_draws_in_passes_of_their_own() -> None:
    assert "spread" not in SmoothGrad().shares(SmoothGrad.setting())
    clean = Gradient(channels="sum")(_SquaredChannels(), BATCH.images, 0)
    fine, coarse = (
        SmoothGrad(samples=3, spread=spread, channels="sum")(_SquaredChannels(), BATCH.images, 0)
        for spread in (0.1, 0.2)
    )
    assert not torch.allclose(fine, clean)
    torch.testing.assert_close(coarse - clean, 2 * (fine - clean), atol=1e-5, rtol=1e-4)


def test_reruns_differ_in_the_seed_alone() -> None:
    params = SmoothGrad.setting(samples=3, seed=5)
    assert [rerun.seed for rerun in SmoothGrad().reruns(params, 2)] == [6, 7]
    maps = [SmoothGrad(rerun)(colour_net(), BATCH.images, 1) for rerun in (params, *SmoothGrad().reruns(params, 1))]
    assert not torch.allclose(maps[0], maps[1])
    torch.testing.assert_close(SmoothGrad(params)(colour_net(), BATCH.images, 1), maps[0], atol=0, rtol=0)


def test_the_global_generator_is_not_touched() -> None:
    net = colour_net()
    before = torch.get_rng_state()
    SmoothGrad(samples=2)(net, BATCH.images, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("statistic", "captum_name"), [("square", "smoothgrad_sq"), ("variance", "vargrad")])
def test_squares_and_variances_are_captum_s(statistic: str, captum_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    captum = pytest.importorskip("captum.attr")
    params = SmoothGrad.setting(samples=6, statistic=statistic, channels="sum")
    net, image = colour_net(), BATCH.select([0])
    found = SmoothGrad().maps(Model(net), image, [params], RNG)[0]
    drawn = torch.stack([RNG.child(0).normal(image.ids[0], draw, (3, 32, 32)) for draw in range(6)])
    monkeypatch.setattr(torch, "normal", lambda mean, std: drawn * std)
    scale = float(params.spread * (image.images.max() - image.images.min()))
    tunnel = captum.NoiseTunnel(captum.Saliency(net))
    theirs = tunnel.attribute(
        image.images, nt_type=captum_name, nt_samples=6, stdevs=scale, target=int(image.targets[0]), abs=False
    )
    torch.testing.assert_close(found, theirs.sum(dim=1), atol=1e-6, rtol=1e-4)
    assert not SmoothGrad().facts(params).signed


def test_statistics_ride_free_in_either_space() -> None:
    settings = [
        SmoothGrad.setting(samples=4, statistic=statistic, space=space)
        for statistic in ("mean", "square", "variance") for space in ("normalised", "pixel")
    ]  # fmt: skip
    model = colour_model()
    maps = SmoothGrad().maps(model, BATCH, settings, RNG)
    assert model.counted.backward == 4 * len(BATCH)
    for setting, found in zip(settings, maps, strict=True):
        alone = SmoothGrad().maps(colour_model(), BATCH, [setting], RNG)[0]
        torch.testing.assert_close(found, alone, atol=1e-6, rtol=1e-5)
    images, inputs = maps[3], maps[2]
    assert (images > inputs / 0.23**2 * 0.999).all()  # squares scale by the square of 1 / std, here 0.22 to 0.23
    assert (images < inputs / 0.22**2 * 1.001).all()
