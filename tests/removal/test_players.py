import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from sam_toolkit import ComponentError
from sam_toolkit.methods.superpixels import Slic
from sam_toolkit.removal.players import Players, features, patches, pixels, superpixels


@given(st.integers(1, 40), st.integers(8, 40), st.integers(8, 40))
def test_patches_are_as_many_rectangles_as_asked_for(count, height, width):
    players = patches((height, width), count)
    assert players.count == count
    for player in range(count):
        rows, columns = (players.labels == player).nonzero().unbind(1)
        assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_twelve_patches_of_a_square_are_equal():
    sizes = patches((24, 24), 12).labels.flatten().bincount()
    assert sizes.tolist() == [48] * 12


@pytest.mark.parametrize("count", [0, 65])
def test_patches_that_do_not_fit_are_refused(count):
    with pytest.raises(ComponentError, match=f"not cut into {count} patches"):
        patches((8, 8), count)


def picture():
    blocks = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0))
    return blocks.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_superpixels_are_joined_to_as_many_as_asked_for_and_stay_in_one_piece(count):
    players = superpixels(picture(), Slic(30, 10.0, 0.0), count)
    assert players.labels.unique().tolist() == list(range(count))
    assert all(label((players.labels == player).numpy(), connectivity=1).max() == 1 for player in range(count))


def test_superpixels_that_are_too_few_leave_null_players():
    players = superpixels(torch.zeros(3, 16, 16), Slic(4, 10.0, 0.0), 40)
    assert players.count == 40
    assert int(players.labels.max()) < 39


def test_the_smallest_superpixel_joins_the_neighbour_of_likest_colour():
    image = torch.zeros(3, 4, 9)
    image[:, :, 3:5], image[:, :, 5:] = 0.9, 1.0

    class Bands:
        def cut(self, image):
            return torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2]).expand(4, 9).numpy()

    assert superpixels(image, Bands(), 2).labels[0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_masks_show_and_values_paint_the_elements_of_players():
    players = Players.of(torch.tensor([[0, 1], [1, 2]]))
    assert players.shown(torch.tensor([[True, False, True]])).tolist() == [[[True, False], [False, True]]]
    assert players.paint(torch.tensor([5.0, 6.0, 7.0])).tolist() == [[5.0, 6.0], [6.0, 7.0]]
    assert pixels((2, 3)).count == 6
    assert features(4).labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("labels", "count"),
    [(torch.rand(3), None), (torch.tensor([-1, 0]), None), (torch.tensor([0, 2]), 2), (torch.zeros(0).long(), None)],
)
def test_labels_that_number_no_players_are_refused(labels, count):
    with pytest.raises(ComponentError, match=r"(labels|count) must be"):
        Players.of(labels, count)
