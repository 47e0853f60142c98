"""Trains the reference nets: regular, robust (on L2 attacks) and with noise, for one data set and several seeds.

    python examples/robustness/train.py mnist
    python examples/robustness/train.py fashion-mnist --nets robust --seeds 0 1 2 -o nets
    python examples/robustness/train.py cifar10 --folder cifar10 --checkpoints checkpoints

A net that is in the output folder already is left as it is; an interrupted training goes on after its last epoch where
checkpoints are kept. Weights are written in half precision, and measured as written.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from measure import RESTARTS, STEPS, accuracy, noisy, robust_accuracy
from recipes import KINDS, RECIPES
from safetensors.torch import save_file
from torch import Tensor
from training import trained

from sam_toolkit import Model
from sam_toolkit.sources import Dataset
from sam_toolkit.sources.dataset_facts import DATASETS, DatasetName
from sam_toolkit.sources.reference_nets import read_card

ATTACKED = 500
NOISE = 0.1


@dataclass(frozen=True)
class Job:
    """One net to train, with the images to train and measure it with."""

    dataset: DatasetName
    kind: str
    seed: int
    folder: Path | None

    @property
    def name(self) -> str:
        """Return what `reference-nets` calls the net."""
        return f"{self.dataset}-{self.kind}" + (f"-{self.seed}" if self.seed else "")

    @property
    def command(self) -> str:
        """Return what makes this net alone."""
        folder = " --folder FOLDER" if self.folder else ""
        return f"python examples/robustness/train.py {self.dataset} --nets {self.kind} --seeds {self.seed}{folder}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the command line asks for, and print each net's accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=list(DATASETS))
    parser.add_argument("--nets", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("-o", "--output", type=Path, default=Path("nets"), help="folder of the weights (default: nets)")
    parser.add_argument("--folder", type=Path, help="where the data set's files lie")
    parser.add_argument("--checkpoints", type=Path, help="folder to keep unfinished trainings in")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order, so that a seed gives one net
    jobs = [Job(options.dataset, kind, seed, options.folder) for seed in options.seeds for kind in options.nets]
    for folder in filter(None, (options.output, options.checkpoints)):
        folder.mkdir(parents=True, exist_ok=True)
    data = None
    for job in jobs:
        path = options.output / f"{job.name}.safetensors"
        if not path.is_file():
            data = data or tuple(read(job, split) for split in ("train", "test"))
            make(job, path, data, options.checkpoints)
        print(report(path), flush=True)


def read(job: Job, split: str) -> tuple[Tensor, Tensor]:
    """Return the images `[N, C, H, W]` and the labels `[N]` of a split."""
    photos = Dataset(dataset=job.dataset, split=split, folder=job.folder).photos()
    preprocessing = DATASETS[job.dataset].preprocessing
    return torch.stack([preprocessing.image(photo) for photo in photos]), torch.tensor(
        [photo.label for photo in photos]
    )


def make(job: Job, path: Path, data: tuple[tuple[Tensor, Tensor], ...], checkpoints: Path | None) -> None:
    """Train a net and write it, with what is known of it; the file is complete or not there at all."""
    recipe = RECIPES[job.dataset, job.kind]
    (images, labels), test = data
    checkpoint = checkpoints and checkpoints / f"{job.name}.pt"
    net = trained(job.dataset, recipe, job.seed, images[: recipe.images], labels[: recipe.images], checkpoint)
    net = net.half().float()  # as it is written
    card = {
        "dataset": job.dataset,
        "kind": job.kind,
        "seed": str(job.seed),
        "command": job.command,
        "recipe": ", ".join(f"{name}={value}" for name, value in asdict(recipe).items()),
        "trained_on": f"{len(images[: recipe.images])} images",
        "torch": torch.__version__,
    }
    card |= measured(Model(net, preprocessing=DATASETS[job.dataset].preprocessing), test, recipe.epsilon)
    unfinished = path.with_suffix(".tmp")
    save_file({name: value.half().contiguous() for name, value in net.state_dict().items()}, unfinished, card)
    unfinished.chmod(0o644)
    unfinished.replace(path)


def measured(model: Model, test: tuple[Tensor, Tensor], epsilon: float) -> dict[str, str]:
    """Return the accuracies of a net, and how they were measured."""
    images, labels = test
    some = images[:ATTACKED], labels[:ATTACKED]
    return {
        "clean_accuracy": f"{accuracy(model, images, labels):.4f}",
        "clean_how": f"{len(images)} test images",
        "noise_accuracy": f"{accuracy(model, noisy(images, NOISE), labels):.4f}",
        "noise_how": f"Gaussian, sigma {NOISE}, {len(images)} test images",
        "attack_accuracy": f"{robust_accuracy(model, *some, epsilon):.4f}",
        "attack_how": f"L2 within {epsilon}: PGD-20, PGD-{STEPS} from {RESTARTS} starts on margin and cross-entropy; "
        f"first {len(some[0])} test images",
    }


def report(path: Path) -> str:
    """Return one line on a net."""
    card = read_card(path)
    accuracies = ", ".join(f"{what} {card[f'{what}_accuracy']}" for what in ("clean", "noise", "attack"))
    return f"{path.stem}: {accuracies}"


if __name__ == "__main__":
    main()
