"""Prints what removal-based attributions cost beside the network: rows for all summaries, and the time outside it.

The network is torchvision's ResNet-18 with random weights, the image random; numbers are CPU seconds of the process.

    python benchmarks/bench_removal.py                # 12 players, 4,096 subsets
    python benchmarks/bench_removal.py --players 8
"""

from __future__ import annotations

import time
from typing import Any

import click
import torch
from torch import nn
from torchvision.models import resnet18

from sam_toolkit import RemovalBased
from sam_toolkit.model import Model
from sam_toolkit.removal.params import RemovalParams
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch

SUMMARIES = ("shapley", "banzhaf", "beta-shapley", "leave-one-out", "include-one", "rise", "lime")
ESTIMATORS = ("permutation", "antithetic", "kernel-shap")


class Clock:
    """Counts the CPU seconds that a network takes, of all its threads."""

    def __init__(self, network: nn.Module) -> None:
        """Watch `network` from now on."""
        self.seconds = 0.0
        self._since = 0.0
        network.register_forward_pre_hook(self._start)
        network.register_forward_hook(self._stop)

    def _start(self, *_: Any) -> None:
        self._since = time.process_time()

    def _stop(self, *_: Any) -> None:
        self.seconds += time.process_time() - self._since


def every_setting(players: int) -> list[RemovalParams]:
    """Return all summaries over all subsets, and estimators that take their masks from among these."""
    exact = [RemovalBased.setting(players=players, summary=name) for name in SUMMARIES]
    return exact + [RemovalBased.setting(players=players, estimator=name, samples=40) for name in ESTIMATORS]


@click.command()
@click.option("--players", default=12, show_default=True, type=click.IntRange(2, 16))
@click.option("--size", default=224, show_default=True, help="side of the image")
def main(players: int, size: int) -> None:
    """Print rows and CPU seconds of all summaries and estimators of one image together."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, image = resnet18().eval(), torch.rand(1, 3, size, size)
    model, settings = Model(network), every_setting(players)
    batch = Batch(image, torch.tensor([0]), ("image",))
    model.logits(image)  # the first row pays for what later ones find ready
    clock, before, start = Clock(network), model.counted.forward, time.process_time()
    RemovalBased(settings[0]).maps(model, batch, settings, Rng())
    whole = time.process_time() - start
    click.echo(f"{len(settings)} settings, {players} players: {model.counted.forward - before:,} rows of the network")
    click.echo(f"CPU seconds: {whole:.1f}, of them {clock.seconds:.1f} in the network")
    click.echo(f"outside the network: {100 * (whole - clock.seconds) / clock.seconds:.2f} % of its time")


if __name__ == "__main__":
    main()
