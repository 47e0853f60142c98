import pytest
import torch
from nets import colour_batch, colour_model
from PIL import Image
from study.small import small_run

from sam_toolkit import ComponentError, RemovalBased
from sam_toolkit.images import Photo
from sam_toolkit.methods.superpixels import Slic
from sam_toolkit.removal.games import game
from sam_toolkit.removal.players import patches, superpixels
from sam_toolkit.removal.removals import Baseline, Marginal, Nearest
from sam_toolkit.removal.summaries import summary
from sam_toolkit.rng import Rng
from sam_toolkit.testing import check_method

SUMMARIES = {
    "shapley": {},
    "banzhaf": {"keep": 0.5},
    "beta-shapley": {"alpha": 2.0, "beta": 3.0},
    "leave-one-out": {},
    "include-one": {},
    "rise": {"keep": 0.4},
    "lime": {"kernel": "euclidean", "ridge": 0.1},
}
PARAMETERS = {"keep": "p"}


def maps(settings, model=None, batch=None):
    return RemovalBased(settings[0]).maps(model or colour_model(), batch or colour_batch(), settings, Rng())


def setting(**fields):
    return RemovalBased.setting(**{"players": 5, **fields})


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_part_of_the_image_has_what_the_summary_makes_of_the_game(name):
    own, batch = SUMMARIES[name], colour_batch()
    found = maps([setting(summary=name, **own)], batch=batch)[0]
    exact = summary(name, players=5, **{PARAMETERS.get(key, key): value for key, value in own.items()})
    players = patches((32, 32), 5)
    for image, target, drawn in zip(batch.images, batch.targets.tolist(), found, strict=True):
        values = game(colour_model(), image, players, Baseline(), target=target).values
        torch.testing.assert_close(drawn, players.paint(exact.apply(values)).float(), rtol=1e-3, atol=1e-6)


def test_4096_rows_serve_every_summary_and_every_estimate_at_once():
    settings = [setting(players=12, summary=name, **own) for name, own in SUMMARIES.items()]
    settings += [setting(players=12, estimator="permutation", samples=count) for count in (10, 500)]
    model, batch = colour_model(chunk=256), colour_batch(1)
    assert RemovalBased(settings[0]).rows(settings, (3, 32, 32)) == 4096
    before = model.counted.forward
    together = maps(settings, model, batch)
    assert model.counted.forward - before == 4096
    assert float((together[8] - together[0]).norm()) < 0.1 * float(together[0].norm())


def test_a_study_computes_one_game_an_image_for_a_sweep_of_summaries(tmp_path):
    sweep = {"removal": {"summary": ["shapley", "banzhaf", "rise"], "players": 6, "default": {}}}
    compare = [{"along": "settings", "metrics": ["ssim"]}]
    results = small_run(tmp_path, {"methods": [sweep], "inputs": ["clean"], "compare": compare})
    assert {row.value for row in results.rows if row.factor == "summary"} == {"banzhaf", "rise"}
    assert results.cost["network rows computed"] == str(3 * 2**6)


@pytest.mark.parametrize(
    ("name", "estimator", "samples"),
    [
        ("shapley", "permutation", 600),
        ("shapley", "antithetic", 300),
        ("shapley", "kernel-shap", 600),
        ("banzhaf", "permutation", 800),
        ("banzhaf", "regression", 800),
        ("banzhaf", "means", 3000),
        ("beta-shapley", "antithetic", 600),
        ("rise", "means", 2000),
        ("lime", "regression", 800),
    ],
)
def test_estimates_come_close_to_the_exact_map(name, estimator, samples):
    exact, estimate = maps(
        [setting(summary=name), setting(summary=name, estimator=estimator, samples=samples)], batch=colour_batch(1)
    )
    assert float((exact - estimate).norm() / exact.norm()) < 0.1


def test_nested_estimates_share_the_rows_of_the_longest_and_independent_ones_do_not():
    model = colour_model()
    nested = [setting(estimator="permutation", samples=count) for count in (3, 7)]
    independent = [one.varied(draws="independent") for one in nested]
    rows = [RemovalBased(each[0]).rows(each, (3, 32, 32)) for each in (nested, independent)]
    assert rows == [2 + 7 * 4, 4 + 10 * 4]
    torch.testing.assert_close(maps(nested, model)[0], maps(nested[:1], model)[0])


def test_masks_of_one_image_are_the_same_for_a_noisy_copy_and_for_another_model():
    one = setting(estimator="permutation", samples=4)
    batch = colour_batch(1)
    same = batch.with_images(batch.images.clone())
    assert torch.equal(maps([one], batch=batch), maps([one], batch=same))
    masks = [design_of(one, batch.ids[0]), design_of(one, batch.ids[0])]
    assert torch.equal(*masks)
    assert not torch.equal(masks[0], design_of(one, "another"))


def design_of(one, name):
    return one.design(lambda index: Rng().child("masks", one.seed).generator(name, index)).masks


def test_superpixels_are_those_of_the_photograph_when_the_image_is_perturbed():
    tensor = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    batch = colour_model().batch([Photo("one", tensor, "one", 3)])
    noisy = batch.with_images(torch.rand(1, 3, 32, 32))
    drawn = maps([setting(players=4, segmentation="slic")], batch=noisy)[0, 0]
    labels = superpixels(tensor, Slic(4, 30.0, 3.0), 4).labels
    assert all(len(drawn[labels == player].unique()) == 1 for player in range(4))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"summary": "rise", "estimator": "permutation"},
            r"rise has no estimator 'permutation' \(it has: exact, means",
        ),
        ({"players": 17}, "exact takes at most 16 players, not 17; choose an estimator"),
        ({"summary": "banzhaf", "estimator": "regression", "keep": 0.4}, r"probability 0.5, not 0.4"),
    ],
)
def test_what_cannot_be_computed_is_refused(fields, message):
    with pytest.raises(ComponentError, match=message):
        RemovalBased(**fields)


def test_one_mask_a_player_needs_no_enumeration():
    assert RemovalBased(summary="leave-one-out", players=100).params.masks == 101


def test_only_what_draws_has_reruns():
    assert RemovalBased().reruns(RemovalBased.setting(), 2) == []
    assert len(RemovalBased().reruns(RemovalBased.setting(fill="noise"), 2)) == 2
    sampled = RemovalBased.setting(estimator="antithetic")
    assert [each.seed for each in RemovalBased().reruns(sampled, 2)] == [1, 2]


def test_the_grid_of_patches_is_the_resolution_of_the_map():
    assert RemovalBased().grid(RemovalBased.setting(players=12), (224, 224)) == (3, 4)
    assert RemovalBased().grid(RemovalBased.setting(players=11), (224, 224)) == (3, 4)
    assert RemovalBased().grid(RemovalBased.setting(segmentation="slic"), (224, 200)) == (224, 200)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of four images of 48 x 48 in random colours."""
    for number in range(4):
        colours = torch.rand(12, 12, 3, generator=torch.Generator().manual_seed(number))
        picture = (colours * 255).byte().repeat_interleave(4, 0).repeat_interleave(4, 1)
        Image.fromarray(picture.numpy()).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("nearest", [None, 2])
def test_photographs_of_a_folder_stand_for_what_is_removed(folder, nearest):
    model, batch = colour_model(), colour_batch(1)
    background = {"folder": folder, "images": 3, "nearest": nearest}
    one = setting(background=background)
    images = torch.stack([model.image(Photo.of_file(folder / f"{number}.png")) for number in range(3)])
    how = Marginal(images) if nearest is None else Nearest(images, nearest)
    players = patches((32, 32), 5)
    values = game(model, batch.images[0], players, how, target=3).values
    expected = players.paint(summary("shapley", players=5).apply(values)).float()
    torch.testing.assert_close(maps([one], batch=batch)[0, 0], expected, rtol=1e-3, atol=1e-6)
    check_method(RemovalBased, [one.varied(players=3), one.varied(players=3, summary="banzhaf")])


def test_other_files_in_the_folder_make_another_setting(folder):
    before = setting(background={"folder": folder, "images": 4})
    Image.new("RGB", (48, 48)).save(folder / "2.png")
    after = setting(background={"folder": folder, "images": 4})
    assert before.canonical() != after.canonical()
    assert before.varied(players=4).background == after.background


@pytest.mark.parametrize(
    ("background", "message"),
    [({"images": 5}, "has 4 images, not 5"), ({"images": 4, "nearest": 5}, "nearest is at most the number of images")],
)
def test_a_background_of_too_few_photographs_is_refused(folder, background, message):
    with pytest.raises(ComponentError, match=message):
        setting(background={"folder": folder, **background})


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ComponentError, match="does not exist"):
        setting(background={"folder": tmp_path / "nowhere"})
