from __future__ import annotations

import threading

import pytest
import torch
from nets import colour_batch, colour_model
from torch import nn

from sam_toolkit.errors import ImageError, ModelError
from sam_toolkit.images import Photo, Preprocessing
from sam_toolkit.lanes import in_turn
from sam_toolkit.model import Model, Rows
from sam_toolkit.testing import small_batch, small_model
from sam_toolkit.types import Batch

PREPROCESSING = Preprocessing(crop=4, resize=None, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))


class Scarce(nn.Module):
    """A classifier that runs out of memory above `limit` rows."""

    def __init__(self, limit, error=torch.OutOfMemoryError):
        super().__init__()
        self.limit, self.error, self.sizes = limit, error, []
        self.layer = nn.Linear(48, 5)

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.limit:
            raise self.error("CUDA out of memory. Tried to allocate 2 GiB")
        return self.layer(inputs.flatten(1))


class Returns(nn.Module):
    """A network that returns what it is told to."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, inputs):
        return self.make(inputs)


def rows_of(images):
    return lambda start, stop: images[start:stop]


def images_of(count=7):
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_scores_and_gradients_are_those_of_plain_autograd(score):
    model, batch = small_model(), small_batch()
    inputs = model.inputs(batch.images).requires_grad_()
    logits = model.module(inputs)
    values = (logits if score == "logit" else logits.softmax(1))[range(3), batch.targets]
    (expected,) = torch.autograd.grad(values.sum(), inputs)
    found = torch.cat([chunk for _, chunk in model.gradients(rows_of(inputs), batch.targets, score)])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(model.scores(rows_of(inputs), batch.targets, score), values.detach())


@pytest.mark.parametrize("chunk", [1, 2, 3, 6, 7, 8, 1000])
def test_any_chunk_gives_the_same_and_every_row_is_counted_once(chunk):
    images, targets = images_of(), torch.arange(7) % 5
    net = Scarce(1000)
    expected = net.layer(images.flatten(1)).detach()
    model = Model(net, chunk=chunk)
    torch.testing.assert_close(model.logits(images), expected)
    scores = model.scores(rows_of(images), targets, "logit")
    torch.testing.assert_close(scores, expected[range(7), targets])
    found = list(model.gradients(rows_of(images), targets, "logit"))
    assert [start for start, _ in found] == list(range(0, 7, chunk))
    torch.testing.assert_close(torch.cat([chunk for _, chunk in found]).flatten(1), net.layer.weight[targets])
    assert model.counted == Rows(forward=21, backward=7)


def test_inputs_are_made_when_they_are_needed():
    asked = []

    def build(start, stop):
        asked.append((start, stop))
        return images_of()[start:stop]

    model = Model(Scarce(1000), chunk=3)
    passes = model.gradients(build, torch.zeros(7, dtype=torch.int64), "logit")
    assert asked == []
    next(passes)
    assert asked == [(0, 3)]
    list(passes)
    assert asked == [(0, 3), (3, 6), (6, 7)]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError, lambda text: RuntimeError(f"[enforce fail] DefaultCPUAllocator: {text}")]
)
def test_chunks_are_halved_for_good_where_memory_runs_out(error):
    net = Scarce(3, error)
    model = Model(net, chunk=16)
    found = model.logits(images_of(20))
    torch.testing.assert_close(found, net.layer(images_of(20).flatten(1)).detach())
    assert net.sizes == [16, 8, 4, *[2] * 10]
    assert model.chunk == 2
    assert model.counted.forward == 20
    model.logits(images_of(4))
    assert net.sizes[-2:] == [2, 2]


def test_no_row_is_counted_or_lost_where_memory_runs_out_half_way():
    net = Scarce(4)
    model = Model(net, chunk=4)
    passes = model.gradients(rows_of(images_of(12)), torch.zeros(12, dtype=torch.int64), "logit")
    first = next(passes)
    net.limit = 3
    rest = list(passes)
    assert [first[0], *(start for start, _ in rest)] == [0, 4, 6, 8, 10]
    assert model.counted == Rows(12, 12)


def test_a_single_row_that_does_not_fit_is_a_model_error():
    with pytest.raises(ModelError, match="'tiny' runs out of memory on a single row on cpu"):
        Model(Scarce(0), "tiny", chunk=4).logits(images_of())


def test_other_runtime_errors_are_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="a bug of the network"):
        Model(Scarce(0, lambda _: RuntimeError("a bug of the network"))).logits(images_of())


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_are_a_model_error(value):
    net = Returns(lambda inputs: torch.tensor([0.0, value]).expand(len(inputs), 2))
    with pytest.raises(ModelError, match="'Returns' gave 7 of 14 values that are not finite"):
        Model(net).logits(images_of())


def test_gradients_that_are_not_finite_are_a_model_error():
    net = Returns(lambda inputs: (inputs * 0).flatten(1).sqrt())
    with pytest.raises(ModelError, match=r"The gradient of model .* values that are not finite"):
        list(Model(net).gradients(rows_of(images_of()), torch.zeros(7, dtype=torch.int64), "logit"))


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda inputs: inputs, r"got \[7, 3, 4, 4\]"),
        (lambda inputs: inputs[:3, 0, 0], r"got \[3, 4\]"),
        (lambda inputs: (inputs,), "got tuple"),
        (lambda inputs: {"logits": inputs}, "got dict"),
    ],
)
def test_a_network_that_returns_no_logits_is_a_model_error(make, got):
    with pytest.raises(ModelError, match=rf"must return logits \[N, K\] for inputs \[7, 3, 4, 4\]; {got}"):
        Model(Returns(make)).logits(images_of())


def test_inputs_are_normalised_and_scale_is_their_derivative():
    model, images = Model(nn.Flatten(), preprocessing=PREPROCESSING), images_of()
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.5])
    expected = (images - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(model.inputs(images), expected)
    torch.testing.assert_close(model.inputs(torch.stack([images, images])), torch.stack([expected, expected]))
    torch.testing.assert_close(model.scale(), std[:, None, None])
    assert Model(nn.Flatten()).inputs(images) is images
    assert Model(nn.Flatten()).scale() == 1


def test_clamping_is_to_images_in_0_to_1_and_stops_the_gradient_outside():
    clamping = Preprocessing(crop=4, resize=None, mean=PREPROCESSING.mean, std=PREPROCESSING.std, clamp=True)
    model, images = Model(nn.Flatten(), preprocessing=clamping), 3 * images_of() - 1
    inside = (images >= 0) & (images <= 1)
    torch.testing.assert_close(model.logits(model.inputs(images)), model.inputs(images.clamp(0, 1)).flatten(1))
    passes = model.gradients(rows_of(model.inputs(images)), torch.zeros(7, dtype=torch.int64), "logit")
    gradient = torch.cat([chunk for _, chunk in passes])[:, 0, 0, 0]
    assert torch.equal(gradient, inside[:, 0, 0, 0].float())


def test_the_network_stays_as_it_was():
    model, batch = small_model(), small_batch()
    net = model.module
    net.train()
    net[0].eval()
    net[0].weight.requires_grad_(False)
    net[4].weight.grad = torch.ones_like(net[4].weight)
    hook = net[2].register_forward_hook(lambda *_: None)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    inputs = model.inputs(batch.images)
    first = model.logits(inputs)
    list(model.gradients(rows_of(inputs), batch.targets, "probability"))
    assert torch.equal(model.logits(inputs), first), "dropout was active"
    assert [part.training for part in net] == [False] + [True] * 9
    assert net.training
    assert not net[0].weight.requires_grad
    assert torch.equal(net[4].weight.grad, torch.ones_like(net[4].weight))
    assert net[1].weight.grad is None
    assert list(net[2]._forward_hooks) == [hook.id]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_mode_comes_back_after_an_error_too():
    net = Scarce(0)
    with pytest.raises(ModelError):
        Model(net).logits(images_of())
    assert net.training


def test_nothing_keeps_a_graph():
    model, batch = small_model(), small_batch()
    inputs = model.inputs(batch.images)
    assert not model.logits(inputs).requires_grad
    assert not model.scores(rows_of(inputs), batch.targets, "logit").requires_grad
    (_, gradient), *_ = model.gradients(rows_of(inputs), batch.targets, "logit")
    assert not gradient.requires_grad
    assert not inputs.requires_grad


def test_gradients_are_there_inside_no_grad_too():
    model, batch = small_model(), small_batch()
    with torch.no_grad():
        (_, gradient), *_ = model.gradients(rows_of(model.inputs(batch.images)), batch.targets, "logit")
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("target", [-1, 10])
def test_a_target_that_is_no_class_is_refused(target):
    batch = Batch.of(small_batch().images, [0, target, 9])
    with pytest.raises(ModelError, match=rf"'small' has classes 0 to 9; got target {target}\."):
        small_model().check(batch)


def test_targets_that_are_classes_pass_and_names_spare_the_row_that_counts_them():
    batch = Batch.of(images_of(), 4)
    model = Model(Scarce(7), categories=list("abcde"))
    model.check(batch)
    assert model.counted == Rows()


def test_a_photograph_becomes_an_image_with_its_label_boxes_and_the_prediction_where_it_has_none():
    images = images_of(3)
    photos = [
        Photo("a", images[0], "id-a", label=3),
        Photo("b", images[1], "id-b"),
        Photo("c", images[2], "id-c", label=0, boxes=((0, 1, 2, 3),)),
    ]
    model = Model(Scarce(7), preprocessing=PREPROCESSING)
    batch = model.batch(photos)
    assert torch.equal(batch.images, images)
    assert batch.ids == ("id-a", "id-b", "id-c")
    assert batch.targets.tolist() == [3, int(model.predict(images)[1]), 0]
    assert batch.boxes.tolist() == [[2, 0, 1, 2, 3]]


def test_a_label_that_is_no_class_and_an_image_out_of_range_are_refused():
    model = Model(Scarce(7), preprocessing=PREPROCESSING)
    with pytest.raises(ModelError, match="got target 5"):
        model.batch([Photo("a", images_of()[0], "id", label=5)])
    with pytest.raises(ImageError, match=r"'a' must be in \[0, 1\]"):
        model.batch([Photo("a", images_of()[0] + 1, "id", label=0)])


def test_the_fingerprint_tells_weights_architecture_and_preprocessing():
    base = small_model().fingerprint
    other = small_model()
    with torch.no_grad():
        other.module[0].bias[0] += 1e-6
    moved = small_model()
    moved.module[1].running_mean[0] += 1e-6
    different = small_model()
    different.module[2] = nn.ReLU6()
    plain = Model(small_model().module, preprocessing=PREPROCESSING)
    bare = Model(small_model().module)
    prints = {model.fingerprint for model in (small_model(), other, moved, different, plain, bare)}
    assert base in prints
    assert len(prints) == 6


def test_of_wraps_a_bare_module_and_takes_a_model_as_it_is():
    model = small_model()
    assert Model.of(model) is model
    assert Model.of(model.module).preprocessing is None
    assert Model.of(model.module).name == "Sequential"


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_what_it_returns_has_a_gradient_where_images_require_one(score, chunk):
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.Tanh(), nn.Linear(6, 5))
    model, targets = Model(net, chunk=chunk), torch.arange(7) % 5
    images, copy = images_of().requires_grad_(), images_of().requires_grad_()
    weights = images_of(8)[1:]
    values = net(copy) if score == "logit" else net(copy).softmax(dim=1)
    own = values.gather(1, targets[:, None])[:, 0]
    (gradients,) = torch.autograd.grad(own.sum(), copy, create_graph=True)
    found = torch.cat([rows for _, rows in model.gradients(rows_of(images), targets, score)])
    for actual, expected in (
        ((found * weights).sum(), (gradients * weights).sum()),
        (model.scores(rows_of(images), targets, score).square().sum(), own.square().sum()),
        (model.logits(images).square().sum(), net(copy).square().sum()),
    ):
        torch.testing.assert_close(actual, expected)
        (at_images,) = torch.autograd.grad(actual, images)
        torch.testing.assert_close(at_images, *torch.autograd.grad(expected, copy, retain_graph=True))


def test_the_way_back_runs_in_evaluation_mode_and_in_smaller_chunks_when_memory_runs_out():
    net = Scarce(limit=100)
    model = Model(nn.Sequential(net, nn.Dropout(0.5)).train(), chunk=7)
    images = images_of().requires_grad_()
    logits = model.logits(images)
    net.limit, net.sizes = 3, []
    (found,) = torch.autograd.grad(logits.square().sum(), images)
    torch.testing.assert_close(found, (2 * logits @ net.layer.weight).reshape(images.shape))
    assert net.sizes == [7, 3, 3, 1]
    assert model.module.training


def test_nobody_keeps_a_graph_of_images_that_require_no_gradient():
    model = Model(nn.Sequential(nn.Flatten(), nn.Linear(48, 5)))
    assert not model.logits(images_of()).requires_grad
    ((_, gradients),) = model.gradients(rows_of(images_of()), torch.zeros(7, dtype=torch.int64), "logit")
    assert not gradients.requires_grad


@pytest.mark.parametrize("plain", [False, True])
def test_rows_one_by_one_are_those_of_one_thread_whatever_the_threads_and_who_runs(plain):
    batch, threads = colour_batch(3), torch.get_num_threads()
    model = colour_model()
    handle = model.module.register_forward_hook(lambda *_: None) if plain else None
    inputs, targets = model.inputs(batch.images).repeat(7, 1, 1, 1), batch.targets.repeat(7)
    expected = [gradient for row in range(21) for gradient in _alone(model, inputs[row], targets[row])]
    model.module.train()
    counted, chunk, seen, told = model.counted, model.chunk, set(), []
    model.watch = told.append

    def build(start, stop):
        seen.add(threading.current_thread())
        assert stop == start + 1
        return inputs[start:stop]

    try:
        torch.set_num_threads(2)
        with model.one_by_one(batch.images.shape[1:]):
            assert not model.module.training
            found = list(model.gradients(build, targets, "logit"))
    finally:
        torch.set_num_threads(threads)
    assert [start for start, _ in found] == list(range(21))
    for (_, gradient), own in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, own, rtol=0 if not plain else 1e-4, atol=0 if not plain else 1e-6)
    assert (threading.current_thread() in seen) == plain
    assert model.counted == counted + Rows(21, 21)
    assert told == [counted.forward + row for row in range(1, 22)]
    assert model.module.training
    assert (model.chunk, model.start) == (chunk, in_turn)
    if handle:
        handle.remove()


def _alone(model, row, target):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        return [gradient for _, gradient in model.gradients(lambda *_: row[None], target[None], "logit")]
    finally:
        torch.set_num_threads(threads)
