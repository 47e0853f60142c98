import pytest
import torch
from captum.attr import ShapleyValues
from nets import colour_batch, colour_model
from torch import nn
from worlds import Interacting, shapley

from sam_toolkit import ComponentError
from sam_toolkit.model import Model
from sam_toolkit.removal.games import Game, codes, game
from sam_toolkit.removal.players import Players, patches
from sam_toolkit.removal.removals import Baseline, Marginal
from sam_toolkit.removal.symmetric import presence


def row(features=5, seed=1):
    return torch.randn(features, generator=torch.Generator().manual_seed(seed))


def counted(model, action):
    before = model.counted.forward
    action()
    return model.counted.forward - before


def test_bit_i_of_a_code_says_whether_player_i_is_present():
    assert presence(3)[0b101].tolist() == [True, False, True]
    assert codes(presence(7)).tolist() == list(range(128))


def test_an_exact_game_has_the_prediction_for_every_subset():
    model, image = colour_model(), colour_batch().images[0]
    players, fill = patches((32, 32), 5), torch.rand(3, 32, 32)
    found = game(model, image, players, Baseline(fill), target=4, score="logit")
    for code, value in enumerate(found.values.tolist()):
        shown = torch.tensor([code >> player & 1 for player in range(5)])[players.labels].bool()
        logits = model.logits(model.inputs(torch.where(shown, image, fill))[None])
        assert value == pytest.approx(float(logits[0, 4]), rel=1e-4)


def test_twelve_players_cost_4096_rows_and_marginal_ones_as_many_for_each_row_of_the_background():
    model, image = colour_model(chunk=128), colour_batch().images[0]
    assert counted(model, lambda: game(model, image, patches((32, 32), 12), Baseline(), target=1)) == 4096
    background = torch.rand(3, 3, 32, 32)
    assert counted(model, lambda: game(model, image, patches((32, 32), 4), Marginal(background), target=1)) == 16 * 3


def test_any_chunk_of_rows_gives_the_same_values():
    image, players = colour_batch().images[0], patches((32, 32), 4)
    removal = Marginal(torch.rand(3, 3, 32, 32))
    first, second = (game(colour_model(chunk=chunk), image, players, removal, target=2).values for chunk in (5, 64))
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)


def test_sampled_masks_have_the_values_of_the_exact_game_and_cost_each_different_one_once():
    model, masks = Model(Interacting(5)), torch.rand(200, 5) < 0.5
    exact = game(model, row(), None, Baseline(0.0), target=1)
    rows = counted(model, lambda: game(model, row(), None, Baseline(0.0), masks, target=1))
    sampled = game(model, row(), None, Baseline(0.0), masks, target=1)
    assert rows == len(masks.unique(dim=0)) <= 32
    assert not sampled.exact
    torch.testing.assert_close(sampled.values, exact.of(masks))
    torch.testing.assert_close(sampled.of(masks.flip(0)), exact.of(masks.flip(0)))


def test_a_mask_that_was_not_evaluated_is_refused():
    known = Game(2, torch.zeros(1), torch.tensor([[True, False]]))
    with pytest.raises(ComponentError, match="1 of 1 masks were not evaluated"):
        known.of(torch.tensor([[True, True]]))


def test_vectors_hold_the_value_of_every_class():
    model = Model(Interacting(4))
    vectors = game(model, row(4), None, Baseline(0.0), score="probabilities").values
    assert vectors.shape == (2, 16)
    for target in (0, 1):
        one = game(model, row(4), None, Baseline(0.0), target=target).values
        torch.testing.assert_close(vectors[target], one)
    torch.testing.assert_close(vectors.sum(dim=0), torch.ones(16, dtype=torch.float64))


def test_the_predicted_class_is_explained_where_none_is_named():
    model = Model(Interacting(4))
    predicted = int(model.predict(row(4)[None]))
    found = game(model, row(4), None, Baseline(0.0)).values
    torch.testing.assert_close(found, game(model, row(4), None, Baseline(0.0), target=predicted).values)


def test_captums_exact_shapley_values_are_those_of_the_game():
    network, image = Interacting(6), row(6)
    groups = torch.tensor([0, 0, 1, 2, 3, 3])
    values = game(network, image, Players.of(groups), Baseline(torch.full((6,), 0.3)), target=1, score="logit").values
    theirs = ShapleyValues(network).attribute(
        image[None], baselines=torch.full((1, 6), 0.3), target=1, feature_mask=groups[None]
    )[0]
    ours = Players.of(groups).paint(shapley(4) @ values)
    torch.testing.assert_close(ours, theirs.detach().double(), rtol=1e-4, atol=1e-5)


def test_shaps_exact_shapley_values_are_those_of_the_game():
    shap = pytest.importorskip("shap")
    network, image, background = Interacting(5), row(), torch.randn(7, 5)
    values = game(network, image, None, Marginal(background), target=1, score="logit").values

    def predict(rows):
        with torch.no_grad():
            return network(torch.as_tensor(rows).float())[:, 1].numpy()

    masker = shap.maskers.Independent(background.numpy(), max_samples=7)
    theirs = shap.explainers.ExactExplainer(predict, masker)(image[None].numpy()).values[0]
    torch.testing.assert_close(shapley(5) @ values, torch.from_numpy(theirs).double(), rtol=1e-4, atol=1e-5)


def test_a_linear_model_gives_weight_times_distance_from_the_baseline():
    network = nn.Linear(4, 3)
    image, baseline = row(4), row(4, seed=2)
    values = game(network, image, None, Baseline(baseline), target=2, score="logit").values
    expected = (network.weight[2] * (image - baseline)).detach().double()
    torch.testing.assert_close(shapley(4) @ values, expected, rtol=1e-4, atol=1e-6)


def test_more_than_16_players_are_not_enumerated():
    with pytest.raises(ComponentError, match="at most 16 players"):
        game(nn.Linear(17, 2), row(17), None, Baseline(0.0), target=0)


@pytest.mark.parametrize("masks", [torch.ones(2, 4).bool(), torch.ones(2, 5), torch.ones(0, 5).bool()])
def test_masks_that_do_not_fit_are_refused(masks):
    with pytest.raises(ComponentError, match=r"masks must be bool \[M, 5\]"):
        game(nn.Linear(5, 2), row(), None, Baseline(0.0), masks, target=0)


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ComponentError, match=r"labelled as \[3\], but the input is \[5\]"):
        game(nn.Linear(5, 2), row(), Players.of(torch.arange(3)), Baseline(0.0), target=0)
