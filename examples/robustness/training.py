"""The training of one net: batches, what is done to them, and steps of the optimiser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from attack import Network, attacked, cross_entropy
from recipes import Recipe
from torch import Tensor, nn
from torch.nn import functional

from sam_toolkit.sources.dataset_facts import DATASETS, DatasetName
from sam_toolkit.sources.reference_nets.architecture import network
from sam_toolkit.sources.weights import seeded

BATCH = 128


def trained(
    dataset: DatasetName, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, checkpoint: Path | None = None
) -> nn.Sequential:
    """Return a net trained on images `[N, C, H, W]`; where there is a checkpoint, it goes on from its epoch."""
    net = _started(dataset, seed)
    optimiser = torch.optim.AdamW(net.parameters(), recipe.rate)
    batches = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.epochs * batches)
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    facts = DATASETS[dataset]
    mean, std = (torch.tensor(values)[:, None, None] for values in (facts.mean, facts.std))

    def logits(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            return net((images - mean) / std).float()

    for epoch in range(_resumed(parts, checkpoint), recipe.epochs):
        draws = torch.Generator().manual_seed(1000 * seed + epoch)
        for rows in torch.randperm(len(images), generator=draws)[: batches * BATCH].split(BATCH):
            shown, wanted = _moved(images[rows], recipe, draws), labels[rows]
            shown = _changed(logits, shown, wanted, recipe, draws)
            optimiser.zero_grad()
            functional.cross_entropy(logits(shown), wanted).backward()
            optimiser.step()
            schedule.step()
        _keep(parts, epoch + 1, checkpoint)
    return net.to(memory_format=torch.contiguous_format)


def _moved(images: Tensor, recipe: Recipe, draws: torch.Generator) -> Tensor:
    """Return each image shifted at random, with black where it leaves, and mirrored or not."""
    count, _, height, width = images.shape
    down, right = torch.randint(2 * recipe.shift + 1, (2, count, 1), generator=draws)
    y, x = down + torch.arange(height), right + torch.arange(width)
    if recipe.flip:
        x = torch.where(torch.randint(2, (count, 1), generator=draws) == 1, x.flip(1), x)
    padded = functional.pad(images, [recipe.shift] * 4)
    return padded[torch.arange(count)[:, None, None], :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def _changed(logits: Network, images: Tensor, labels: Tensor, recipe: Recipe, draws: torch.Generator) -> Tensor:
    if recipe.steps:
        images = attacked(logits, images, cross_entropy(labels), (recipe.epsilon, recipe.steps), draws)
    noise = recipe.sigma * torch.randn(images.shape, generator=draws)
    return (images + noise).clamp(0, 1)


def _started(dataset: DatasetName, seed: int) -> nn.Sequential:
    """Return the net with the weights that training starts from (He et al., ICCV 2015)."""
    with seeded(seed):
        net = network(dataset)
        for layer in net:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
    return net.to(memory_format=torch.channels_last)


def _resumed(parts: dict[str, Any], checkpoint: Path | None) -> int:
    """Return the epochs that are done, after loading what they led to."""
    if checkpoint is None or not checkpoint.is_file():
        return 0
    kept = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return kept["epochs"]


def _keep(parts: dict[str, Any], epochs: int, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        unfinished = checkpoint.with_suffix(".tmp")
        torch.save({"epochs": epochs, **{name: part.state_dict() for name, part in parts.items()}}, unfinished)
        os.replace(unfinished, checkpoint)
