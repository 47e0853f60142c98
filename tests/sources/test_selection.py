"""A study's images by name, by what models get right and by drawing, against the steps of SAM written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sam_toolkit.errors import ComponentError, ImageError, SpecError
from sam_toolkit.images import Preprocessing
from sam_toolkit.model import Model
from sam_toolkit.registry import default_registry
from sam_toolkit.sources import ImageFolder
from sam_toolkit.sources.predictions import write_predictions
from sam_toolkit.study.prepare import open_photos
from sam_toolkit.study.resolve import load_study

COUNT = 60
NAMES = [f"ILSVRC2012_val_{number:08d}.png" for number in range(1, COUNT + 1)]
LABELS = {name: index % 10 for index, name in enumerate(NAMES)}
WRONG = {
    "resnet50-r": set(NAMES[::4]),
    "resnet50": set(NAMES[::5]),
    "googlenet": set(NAMES[1::7]),
    "googlenet-r": set(NAMES[::3]),
}
REGULAR = ("resnet50-r", "resnet50", "googlenet")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images in `val`, their labels, and the predictions of four models."""
    folder = tmp_path_factory.mktemp("imagenet")
    (folder / "val").mkdir()
    for index, name in enumerate(NAMES):
        Image.fromarray(np.full((8, 8, 3), 4 * index, np.uint8)).save(folder / "val" / name)
    _write(folder / "labels.txt", LABELS, " ")
    for model, wrong in WRONG.items():
        predicted = {name: label + (name in wrong) for name, label in LABELS.items()}
        _write(folder / f"{model}.csv", predicted, ",")
    return folder


def _write(path: Path, classes: dict[str, int], separator: str) -> None:
    path.write_text("".join(f"{Path(name).stem}{separator}{label}\n" for name, label in classes.items()))


def _names(files: Path, **select: object) -> list[str]:
    source = ImageFolder(folder=files / "val", labels=files / "labels.txt", select=select)
    return [photo.name for photo in source.photos()]


def _predictions(files: Path, *models: str) -> list[Path]:
    return [files / f"{model}.csv" for model in models]


def test_without_a_selection_every_image_is_taken(files: Path) -> None:
    assert _names(files) == NAMES


def test_the_images_are_those_of_the_paper_s_steps(files: Path) -> None:
    common = [name for name in sorted(NAMES) if not any(name in WRONG[model] for model in REGULAR)]
    np.random.seed(0)
    drawn = list(np.random.permutation(common))[:20]
    expected = [name for name in drawn if name not in WRONG["googlenet-r"]]
    assert 5 < len(expected) < 20 < len(common)
    select = {"draw": 20, "correct": _predictions(files, *REGULAR), "then_correct": _predictions(files, "googlenet-r")}
    assert _names(files, **select) == expected
    assert _names(files, **select, seed=1) != expected
    everything = {"draw": 20, "correct": _predictions(files, *REGULAR, "googlenet-r")}
    assert len(_names(files, **everything)) == 20


def test_a_list_of_names_chooses_in_its_order(files: Path, tmp_path: Path) -> None:
    chosen = [NAMES[7], NAMES[2], NAMES[30]]
    (tmp_path / "paper.txt").write_text("\n".join(f" {Path(name).stem}" for name in chosen) + "\n\n")
    assert _names(files, names=tmp_path / "paper.txt") == chosen
    kept = [name for name in chosen if name not in WRONG["googlenet"]]
    assert _names(files, names=tmp_path / "paper.txt", correct=_predictions(files, "googlenet")) == kept


def test_labels_and_boxes_stay_with_their_images(files: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(f"{NAMES[9]}\n{NAMES[3]}\n")
    (tmp_path / "boxes.csv").write_text(
        f"file,x0,y0,x1,y1\n{NAMES[3]},1,2,3,4\n{NAMES[0]},1,2,30,40\n{NAMES[9]},0,0,8,8\n"
    )
    photos = ImageFolder(
        folder=files / "val",
        labels=files / "labels.txt",
        boxes=tmp_path / "boxes.csv",
        select={"names": tmp_path / "names.txt"},
    ).photos()
    assert [(photo.name, photo.label, photo.boxes) for photo in photos] == [
        (NAMES[9], 9, ((0, 0, 8, 8),)),
        (NAMES[3], 3, ((2, 1, 4, 3),)),
    ]


@pytest.mark.parametrize("field", ["correct", "then_correct"])
def test_what_is_not_known_is_said(files: Path, tmp_path: Path, field: str) -> None:
    _write(tmp_path / "some.csv", dict.fromkeys(NAMES[5:], 1), ",")
    with pytest.raises(ImageError, match=r"5 of 60 images have no prediction in .*some\.csv: .*0001\.png.* and 2 more"):
        _names(files, **{field: [tmp_path / "some.csv"]})
    unlabelled = ImageFolder(
        folder=files / "val", labels=tmp_path / "some.csv", select={field: _predictions(files, "googlenet")}
    )
    with pytest.raises(ImageError, match="5 of 60 images have no label"):
        unlabelled.photos()
    with pytest.raises(ComponentError, match="select compares predictions with labels, so it needs `labels`"):
        ImageFolder(folder=files / "val", select={field: _predictions(files, "googlenet")})


def test_predictions_of_the_drawn_images_are_enough_for_the_last_step(files: Path, tmp_path: Path) -> None:
    drawn = _names(files, draw=8)
    _write(tmp_path / "last.csv", {name: LABELS[name] + (name == drawn[2]) for name in drawn}, ",")
    assert _names(files, draw=8, then_correct=[tmp_path / "last.csv"]) == drawn[:2] + drawn[3:]


def test_impossible_selections_are_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot draw 61 images of the 60"):
        _names(files, draw=61)
    _write(tmp_path / "none.csv", {name: label + 1 for name, label in LABELS.items()}, ",")
    with pytest.raises(ImageError, match=r"`select` leaves none of the 60 images in .*val"):
        _names(files, correct=[tmp_path / "none.csv"])
    (tmp_path / "twice.txt").write_text(f"{NAMES[0]}\n{NAMES[1]}\n{Path(NAMES[0]).stem}\n")
    with pytest.raises(ImageError, match=r"twice\.txt, line 3: .*0001\.png' stands already in line 1"):
        _names(files, names=tmp_path / "twice.txt")
    (tmp_path / "unknown.txt").write_text("ILSVRC2012_val_00000061\n")
    with pytest.raises(ImageError, match=r"unknown\.txt, line 1: there is no image 'ILSVRC2012_val_00000061'"):
        _names(files, names=tmp_path / "unknown.txt")
    with pytest.raises(ComponentError, match=r"select\.draw"):
        _names(files, draw=0)


def test_predictions_that_were_written_are_read(files: Path, tmp_path: Path) -> None:
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3, 10))
    with torch.no_grad():
        network[2].weight.copy_(torch.linspace(-3, 3, 10)[:, None].expand(10, 3))
        network[2].bias.copy_(-torch.linspace(-3, 3, 10).square() / 2)
    model = Model(network, preprocessing=Preprocessing(8, None, mean=(0.5,) * 3, std=(0.25,) * 3), chunk=7)
    photos = ImageFolder(folder=files / "val").photos()
    write_predictions(tmp_path / "own.csv", model, photos)
    assert list(tmp_path.iterdir()) == [tmp_path / "own.csv"]
    labelled = ImageFolder(folder=files / "val", labels=tmp_path / "own.csv").photos()
    expected = [int(model.predict(model.image(photo)[None])) for photo in photos]
    assert [photo.label for photo in labelled] == expected
    kept = ImageFolder(folder=files / "val", labels=files / "labels.txt", select={"correct": [tmp_path / "own.csv"]})
    assert len(set(expected)) > 3
    right = [name for name, label in zip(NAMES, expected, strict=True) if label == LABELS[name]]
    assert [photo.name for photo in kept.photos()] == right


STUDY = """
models: [{{name: resnet50, weights: ResNet50_R.pt, trust_pickle: true, preset: IMAGENET1K_V1}}]
images:
  folder: val
  labels: labels.txt
  select: {{correct: [resnet50-r.csv, {second}], {draw}: 20, then_correct: [googlenet-r.csv]}}
  limit: 3
methods: [gradient]
"""


def test_a_study_selects_with_files_beside_it(files: Path) -> None:
    (files / "study.yaml").write_text(STUDY.format(second="resnet50.csv", draw="draw"))
    study = load_study(files / "study.yaml", default_registry(plugins=False))
    select = {
        "correct": _predictions(files, "resnet50-r", "resnet50"),
        "draw": 20,
        "then_correct": _predictions(files, "googlenet-r"),
    }
    assert [photo.name for photo in open_photos(study.images)] == _names(files, **select)[:3]


@pytest.mark.parametrize(("second", "draw", "said"), [("7", "draw", r"correct\[1\]"), ("resnet50.csv", "darw", "darw")])
def test_a_study_is_told_what_is_wrong_in_its_selection(files: Path, second: str, draw: str, said: str) -> None:
    (files / "study.yaml").write_text(STUDY.format(second=second, draw=draw))
    with pytest.raises(SpecError, match=rf":6:\d+: images\.select\.{said}: "):
        load_study(files / "study.yaml", default_registry(plugins=False))
