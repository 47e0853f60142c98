import pytest
import torch
from nets import colour_batch, colour_model
from scipy.stats import multivariate_normal
from torch import nn
from worlds import Interacting

from sam_toolkit import ComponentError
from sam_toolkit.fills import Filling
from sam_toolkit.removal.games import game
from sam_toolkit.removal.gaussian import Gaussian
from sam_toolkit.removal.players import Players, patches
from sam_toolkit.removal.removals import Baseline, GaussianConditional, Marginal, Nearest, Surrogate
from sam_toolkit.removal.symmetric import presence
from sam_toolkit.rng import Rng

NETWORK = Interacting(4)
ROW = torch.tensor([0.4, -1.1, 0.8, 0.1])
BACKGROUND = torch.randn(9, 4, generator=torch.Generator().manual_seed(5))


def values(removal, row=ROW, network=NETWORK, players=None):
    return game(network, row, players, removal, target=1, score="logit").values


def logits(rows):
    with torch.no_grad():
        return NETWORK(rows)[:, 1].double()


@pytest.mark.parametrize("fill", ["mean", "black", "blur", "noise", 0.4, (0.2, 0.5, 0.9)])
def test_a_fill_for_images_stands_where_players_are_removed(fill):
    model, batch = colour_model(), colour_batch(1)
    found = game(model, batch.images[0], patches((32, 32), 2), Baseline(fill, 3.0, 7), target=3)
    hidden = Filling.of(fill, 3.0, 7).everywhere(model, batch, Rng().child("game"))
    alone = model.scores(lambda start, stop: hidden, batch.targets, "probability")
    assert float(found.values[0]) == pytest.approx(float(alone[0]), rel=1e-5)


def test_a_marginal_value_is_the_mean_over_whole_rows_of_the_background():
    for mask, value in zip(presence(4), values(Marginal(BACKGROUND)), strict=True):
        assert float(value) == pytest.approx(float(logits(torch.where(mask, ROW, BACKGROUND)).mean()), abs=1e-6)


def test_a_marginal_value_does_not_depend_on_the_order_of_players_in_groups():
    grouped = values(Marginal(BACKGROUND), players=Players.of(torch.tensor([0, 1, 0, 1])))
    assert grouped.tolist() == pytest.approx(values(Marginal(BACKGROUND))[[0b0000, 0b0101, 0b1010, 0b1111]].tolist())


def test_the_nearest_rows_are_those_closest_in_what_is_shown():
    for mask, value in zip(presence(4), values(Nearest(BACKGROUND, 3)), strict=True):
        distance = (BACKGROUND - ROW)[:, mask].square().sum(dim=1)
        near = BACKGROUND[distance.argsort(stable=True)[:3]]
        assert float(value) == pytest.approx(float(logits(torch.where(mask, ROW, near)).mean()), abs=1e-6)


def test_all_rows_of_the_background_as_neighbours_are_the_marginal():
    torch.testing.assert_close(values(Nearest(BACKGROUND, 9)), values(Marginal(BACKGROUND)))


def law(rho=0.7):
    covariance = torch.eye(4)
    covariance[0, 1] = covariance[1, 0] = rho
    covariance[2, 2] = 2.0
    return Gaussian.of(torch.tensor([0.3, 0.0, -0.5, 1.0]), covariance)


def test_the_conditional_law_is_that_of_the_joint_density():
    kept = torch.tensor([True, False, True, False])
    slope, root = law().given(kept)
    mean = law().mean[~kept] + slope @ (ROW.double() - law().mean)[kept]
    point = torch.tensor([0.9, 0.2], dtype=torch.float64)
    joint = ROW.double().clone()
    joint[~kept] = point
    densities = (
        multivariate_normal(law().mean, law().covariance).pdf(joint),
        multivariate_normal(law().mean[kept], law().covariance[kept][:, kept]).pdf(ROW.double()[kept]),
    )
    ours = multivariate_normal(mean, root @ root.T).pdf(point)
    assert ours == pytest.approx(densities[0] / densities[1], rel=1e-9)


def test_a_conditional_value_of_a_linear_model_is_that_at_the_conditional_mean():
    network = nn.Linear(4, 2)
    found = values(GaussianConditional(law(), samples=4096), network=network)
    for mask, value in zip(presence(4), found, strict=True):
        slope, _ = law().given(mask)
        mean = ROW.double().clone()
        mean[~mask] = law().mean[~mask] + slope @ (ROW.double() - law().mean)[mask]
        assert float(value) == pytest.approx(float(network(mean.float())[1].detach()), abs=2e-3)


def test_a_conditional_value_is_the_mean_over_the_law_of_what_is_removed():
    points = torch.randn(200_000, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = values(GaussianConditional(law(), samples=2048))
    for mask, value in zip(presence(4), found, strict=True):
        slope, root = law().given(mask)
        rows = ROW.double().repeat(len(points), 1)
        rows[:, ~mask] = law().mean[~mask] + slope @ (ROW.double() - law().mean)[mask] + points[:, ~mask] @ root
        assert float(value) == pytest.approx(float(logits(rows.float()).mean()), abs=0.02)


def test_what_is_known_in_full_from_what_is_shown_is_put_in_as_it_is():
    slope, root = law(rho=1.0).given(torch.tensor([True, False, False, False]))
    assert slope.flatten().tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert root.tolist()[0] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    twins = law(rho=1.0).given(torch.tensor([True, True, False, False]))[0]
    torch.testing.assert_close(twins, torch.zeros(2, 2, dtype=torch.float64))


def test_a_fitted_law_has_the_moments_of_its_rows():
    fitted = Gaussian.fitted(BACKGROUND)
    torch.testing.assert_close(fitted.mean, BACKGROUND.double().mean(dim=0))
    torch.testing.assert_close(fitted.covariance, torch.cov(BACKGROUND.double().T))


class _Masked(nn.Module):
    def forward(self, rows, shown):
        return torch.stack([rows.flatten(1).sum(dim=1), shown.flatten(1).sum(dim=1)], dim=1)


def test_a_surrogate_sees_the_masked_input_and_what_is_shown():
    removal = Surrogate(_Masked())
    assert values(removal).tolist() == presence(4).sum(dim=1).tolist()
    sums = game(NETWORK, ROW, None, removal, target=0, score="logit").values
    torch.testing.assert_close(sums, presence(4).double() @ ROW.double())
    image = game(nn.Identity(), torch.rand(3, 4, 4), patches((4, 4), 2), removal, target=1, score="logit")
    assert image.values.tolist() == [0, 24, 24, 48]


@pytest.mark.parametrize(
    ("removal", "message"),
    [
        (Baseline(torch.zeros(3)), r"broadcast to one input, \[4\]; got \[3\]"),
        (Baseline("blur"), "the fill 'blur' is for images"),
        (Marginal(torch.zeros(5, 3)), r"\[B, 4\]; got \[5, 3\]"),
        (Marginal(torch.zeros(0, 4)), r"\[B, 4\]; got \[0, 4\]"),
        (Nearest(BACKGROUND, 10), "from 1 to the 9 rows"),
        (GaussianConditional(Gaussian.fitted(torch.randn(9, 3))), "of 3 numbers, but the input has 4"),
    ],
)
def test_a_removal_that_does_not_fit_is_refused(removal, message):
    with pytest.raises(ComponentError, match=message):
        values(removal)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [(torch.ones(3, 2), "symmetric"), (torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "no negative eigenvalue")],
)
def test_what_is_no_covariance_is_refused(covariance, message):
    with pytest.raises(ComponentError, match=message):
        Gaussian.of(torch.zeros(2), covariance)
