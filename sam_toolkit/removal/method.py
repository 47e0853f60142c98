"""Removal-based attributions as a method of studies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sam_toolkit.bounding import Chain, Explained, Kept
from sam_toolkit.component import MapFacts, Method
from sam_toolkit.model import Model
from sam_toolkit.removal.changes import change, kept, masks_of
from sam_toolkit.removal.games import Evaluator, Game
from sam_toolkit.removal.operators import Operator
from sam_toolkit.removal.params import Look, RemovalParams, Run
from sam_toolkit.removal.players import patches
from sam_toolkit.removal.removals import Removal, Scene
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch


class RemovalBased(Method[RemovalParams]):
    """What each part of the image adds to the target's score, over subsets of the parts that are shown.

    One set of predictions serves every summary: all subsets of up to 16 players, or those that estimators draw. An
    image of so little structure that slic cuts it into fewer superpixels has players without a pixel. Superpixels are
    those of the photograph, where the image is a perturbed one.
    """

    name = "removal"
    reference = "Covert, Lundberg and Lee, Explaining by Removing, JMLR 2021; Lin, Covert and Lee, NeurIPS 2023"

    def shares(self, params: RemovalParams) -> frozenset[str]:
        """Return every field but the score: settings share the values of masks of images cut and filled alike."""
        return frozenset(RemovalParams.model_fields) - {"score"}

    def reruns(self, params: RemovalParams, count: int) -> list[RemovalParams]:
        """Return settings with other seeds; none where nothing is drawn."""
        return super().reruns(params, count) if params.random else []

    def facts(self, params: RemovalParams) -> MapFacts:
        """Return that means of probabilities are not negative."""
        return MapFacts(signed=params.summary != "rise" or params.score == "logit")

    def grid(self, params: RemovalParams, size: tuple[int, int]) -> tuple[int, int]:
        """Return the rows of patches and the most of them in a row; of superpixels, the size of the image."""
        if params.segmentation == "slic":
            return size
        labels = patches(size, params.players).labels
        return len(labels[:, 0].unique()), max(len(row.unique()) for row in labels)

    def rows(self, settings: Sequence[RemovalParams], shape: tuple[int, int, int]) -> int:
        """Return, for each way to cut and fill, the number of subsets or else of the masks of the longest runs."""
        ways = _by_look(settings).items()
        return sum(look.draws * _masks([settings[index] for index in own]) for look, own in ways)

    def maps(self, model: Model, batch: Batch, settings: Sequence[RemovalParams], rng: Rng) -> Tensor:
        """Return maps `[S, N, H, W]`, each part painted with its attribution."""
        return self.explained(model, batch, settings, rng).maps

    def explained(self, model: Model, batch: Batch, settings: Sequence[RemovalParams], rng: Rng) -> Explained:
        """Return the maps with the values of the masks that each was made of."""
        maps = torch.empty(len(settings), len(batch), *batch.images.shape[-2:], device=model.device)
        beside: list[list[dict[str, Tensor]]] = [[{} for _ in range(len(batch))] for _ in settings]
        for look, own in _by_look(settings).items():
            removal = look.removal(model)
            for image in range(len(batch)):
                one = batch.select([image])
                scene = Scene(model, one, look.parts(one), rng)
                plays = _plays(scene, removal, [settings[index] for index in own])
                for index, (operator, values) in zip(own, plays, strict=True):
                    maps[index, image] = scene.players.paint(operator.apply(values)).to(maps)
                    beside[index][image] = kept(scene, settings[index], values)
        return Explained(maps, beside)

    def bounds(self, before: Kept, after: Kept, reruns: Sequence[tuple[Kept, Kept]], rng: Rng) -> Chain | None:
        """Return how far one setting's attributions moved and can move; None where their parts are others."""
        return change(before, after, reruns, rng)


def _plays(scene: Scene, removal: Removal, settings: Sequence[RemovalParams]) -> list[tuple[Operator, Tensor]]:
    """Return the operators of settings that cut and fill alike, with the values of their masks in one game."""
    (image_id,) = scene.batch.ids
    designs = {one: one.design(masks_of(one, scene.rng, image_id)) for one in settings if not one.enumerates}
    evaluator = Evaluator(scene, removal, settings[0].score)
    if len(designs) < len(settings):
        game = Game(scene.players.count, evaluator.all())
    else:
        masks = torch.cat([designs[one].masks for one in _longest(settings)])
        game = Game(scene.players.count, evaluator.of(masks), masks)
    return [
        (designs[one].operator, game.of(designs[one].masks)) if one in designs else (one.whole(), game.values)
        for one in settings
    ]


def _by_look(settings: Sequence[RemovalParams]) -> dict[Look, list[int]]:
    """Return the places of the settings that cut and fill alike."""
    found: dict[Look, list[int]] = {}
    for index, setting in enumerate(settings):
        found.setdefault(setting.look(), []).append(index)
    return found


def _masks(settings: Sequence[RemovalParams]) -> int:
    """Return how many masks settings that cut and fill alike need."""
    if any(setting.enumerates for setting in settings):
        return 1 << settings[0].players
    return sum(setting.masks for setting in _longest(settings))


def _longest(settings: Sequence[RemovalParams]) -> list[RemovalParams]:
    """Return the setting with the most samples of each run: the masks of the others are among its own."""
    found: dict[Run, RemovalParams] = {}
    for setting in settings:
        run = setting.run()
        if run not in found or setting.samples > found[run].samples:
            found[run] = setting
    return list(found.values())
