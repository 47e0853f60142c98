"""Whole networks: equal to the dense ones in float32; fills, chunks, memory, fallbacks and counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from checks import grid, hidden, image_of, initialised, require_exact
from nets import colour_batch, colour_model, colour_net
from torch import Tensor, nn

from sam_toolkit.errors import ModelError
from sam_toolkit.incremental import IncrementalOcclusion, Request, saving
from sam_toolkit.methods import SlidingPatch
from sam_toolkit.model import Model
from sam_toolkit.rng import Rng

WINDOWS = grid((96, 96), 13, 21)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vgg11": lambda: torchvision.models.vgg11(init_weights=False),
    "resnet18": torchvision.models.resnet18,
    "googlenet": lambda: torchvision.models.googlenet(init_weights=False, transform_input=True),
    "squeezenet1_1": torchvision.models.squeezenet1_1,
    "densenet121": torchvision.models.densenet121,
    "mobilenet_v2": torchvision.models.mobilenet_v2,
    "shufflenet_v2_x0_5": torchvision.models.shufflenet_v2_x0_5,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_exact(name: str) -> None:
    require_exact(initialised(NETWORKS[name]()), image_of((96, 96), torch.float32), WINDOWS, 5e-6)


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_the_least_work_is_what_nan_reaches(name: str) -> None:
    """The bound by geometry is the multiply-adds whose results are NaN where a window of the image is."""
    net, image = initialised(NETWORKS[name]()).double(), image_of((96, 96), torch.float64)
    windows = WINDOWS[::8]
    work: list[float] = []

    def count(part: nn.Module, _: object, out: Tensor) -> None:
        each = part.weight[0].numel() if isinstance(part, nn.Conv2d) else part.weight.shape[1]
        work.append(each * int(out.isnan().sum()))

    handles = [part.register_forward_hook(count) for part in net.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    hidden(net, image, windows, torch.nan)
    for handle in handles:
        handle.remove()
    found = saving(net, (3, 96, 96), windows)
    assert found.least == pytest.approx(sum(work), rel=1e-6)
    assert found.least < found.incremental < found.dense


def test_fills_are_numbers_colours_and_images() -> None:
    net, image = colour_net(), image_of((32, 32), torch.float32)
    windows = [*grid((32, 32), 9, 7), *grid((32, 32), 4, 9)]
    occlusion = IncrementalOcclusion(net)
    for fill in (0.3, torch.tensor([0.1, -0.4, 2.0]), image.flip(1)):
        spread = fill[:, None, None].expand(image.shape) if isinstance(fill, Tensor) and fill.dim() == 1 else fill
        expected = hidden(net, image, windows, spread)
        torch.testing.assert_close(occlusion(image, torch.tensor(windows), fill), expected, atol=1e-5, rtol=1e-5)


def test_images_of_a_batch_have_their_own_windows_and_fills() -> None:
    net = colour_net()
    images = torch.stack([image_of((32, 32), torch.float32), image_of((32, 32), torch.float32).flip(2)])
    windows = grid((32, 32), 9, 7)
    whole, (found,) = IncrementalOcclusion(net).run(
        images, [Request(windows, images.flip(2))], lambda logits, _: logits
    )
    torch.testing.assert_close(whole, net(images).detach(), atol=1e-5, rtol=1e-5)
    for number, image in enumerate(images):
        expected = hidden(net, image, windows, image.flip(1))
        torch.testing.assert_close(found[:, number], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 500])
def test_the_chunk_does_not_show(chunk: int) -> None:
    image, windows = image_of((32, 32), torch.float32), grid((32, 32), 9, 5)
    found = IncrementalOcclusion(Model(colour_net(), chunk=chunk))(image, windows)
    torch.testing.assert_close(found, hidden(colour_net(), image, windows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_show(threads: int) -> None:
    image, windows, before = image_of((32, 32), torch.float32), grid((32, 32), 9, 3), torch.get_num_threads()
    found = []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            found.append(IncrementalOcclusion(colour_net())(image, windows))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


def test_batches_are_halved_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model, image, windows = Model(colour_net(), chunk=8), image_of((32, 32), torch.float32), grid((32, 32), 9, 3)
    expected = IncrementalOcclusion(model)(image, windows)
    attempts = _Attempts(monkeypatch, most=3)
    torch.testing.assert_close(IncrementalOcclusion(model)(image, windows), expected, atol=1e-5, rtol=1e-5)
    assert max(attempts.rows) > 3
    assert model.chunk < 8


class _Attempts:
    """Runs what a model attempts; notes the rows of each, and lets memory run out above `most`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 10**9) -> None:
        attempt, self.rows = Model.attempt, []

        def noted(model: Model, evaluate: Callable[[], object], rows: int) -> object:
            def run() -> object:
                self.rows.append(rows)
                if rows > most:
                    raise torch.OutOfMemoryError("out of memory")
                return evaluate()

            return attempt(model, run, rows)

        monkeypatch.setattr(Model, "attempt", noted)


def test_memory_does_not_grow_with_the_number_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call gets more rows than eight chunks for the head, and what the last batch adds to them."""
    attempts, windows = _Attempts(monkeypatch), grid((32, 32), 9, 2)
    IncrementalOcclusion(Model(colour_net(), chunk=2))(image_of((32, 32), torch.float32), windows)
    assert sum(attempts.rows) > 2 * len(windows)
    assert max(attempts.rows) < 8 * 2 + 4 * 2 < len(windows)


def test_the_module_and_the_image_stay_as_they_were() -> None:
    net, image = colour_net().train(), image_of((32, 32), torch.float32)
    before, pixels = {name: value.clone() for name, value in net.state_dict().items()}, image.clone()
    IncrementalOcclusion(net)(image, grid((32, 32), 9, 7))
    assert net.training
    assert torch.equal(image, pixels)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_new_weights_give_new_logits() -> None:
    net, image, windows = colour_net(), image_of((32, 32), torch.float32), grid((32, 32), 9, 7)
    occlusion = IncrementalOcclusion(net)
    occlusion(image, windows)
    with torch.no_grad():
        net[0].weight.mul_(2)
    torch.testing.assert_close(occlusion(image, windows), hidden(net, image, windows), atol=1e-5, rtol=1e-5)


class Depends(nn.Module):
    """A network that looks at values to decide what to do: it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.net = colour_net()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images if images.sum() > 0 else -images)
        return logits


def hooked() -> nn.Module:
    net = colour_net()
    net[2].register_forward_hook(lambda *_: None)
    return net


def circular() -> nn.Module:
    around = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    return initialised(nn.Sequential(around, nn.Flatten(), nn.Linear(4096, 9)))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Depends, "torch.fx cannot trace Depends"),
        (hooked, "MaxPool2d '2' has forward hooks"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)), "of the work would be saved"),
        (circular, "of the work would be saved"),
    ],
)
def test_networks_without_windows_run_whole_and_say_why(make: Callable[[], nn.Module], why: str) -> None:
    net, image, windows = make(), image_of((32, 32), torch.float32), grid((32, 32), 9, 7)
    occlusion = IncrementalOcclusion(net)
    assert why in occlusion.why_dense((3, 32, 32), windows)
    torch.testing.assert_close(occlusion(image, windows), hidden(net, image, windows), atol=1e-5, rtol=1e-5)
    found = saving(net, (3, 32, 32), windows)
    assert found.incremental == found.dense
    assert why in found.why_dense


class LooksTwice(nn.Module):
    """Its last steps read the image beside the features."""

    def __init__(self) -> None:
        super().__init__()
        self.net = colour_net()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return torch.where(images.mean(dim=(1, 2, 3))[:, None] > 0, logits, -logits)


def test_what_the_last_steps_need_beside_the_features_is_kept() -> None:
    image = image_of((32, 32), torch.float32)
    require_exact(LooksTwice(), image - image.mean(), grid((32, 32), 9, 7))


def test_it_can_be_switched_off() -> None:
    batch, maps, rows = colour_batch(2), [], []
    for incremental in (True, False):
        model = colour_model()
        model.incremental = incremental
        assert ("switched off" in IncrementalOcclusion(model).why_dense((3, 32, 32), [(0, 0, 5, 5)])) != incremental
        maps.append(SlidingPatch().maps(model, batch, [SlidingPatch.setting(patch=6, stride=4)], Rng(0))[0])
        rows.append(model.counted.forward)
    torch.testing.assert_close(maps[0], maps[1], atol=1e-6, rtol=1e-4)
    assert rows == [2 * (1 + 64)] * 2


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (-1, 0, 4, 5), (0, 0, 4, 33)])
def test_a_window_outside_the_image_is_refused(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(ModelError, match=r"must be non-empty and inside the image of 32 x 32; got \("):
        IncrementalOcclusion(colour_net())(image_of((32, 32), torch.float32), [window])


def test_logits_that_are_not_finite_are_refused() -> None:
    net = colour_net()
    with torch.no_grad():
        net[0].weight[0, 0, 0, 0] = torch.inf
    with pytest.raises(ModelError, match="not finite"):
        IncrementalOcclusion(net)(image_of((32, 32), torch.float32), [(0, 0, 5, 5)])
