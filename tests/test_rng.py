from __future__ import annotations

import subprocess
import sys

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from sam_toolkit.rng import Rng

texts = st.text(max_size=8)


@given(st.integers(), st.lists(texts, max_size=3), texts, st.integers(0, 10**6))
def test_a_draw_depends_on_its_address_alone(seed, stream, image, index):
    expected = Rng(seed).child(*stream).normal(image, index, (3, 2))
    rng = Rng(seed, tuple(stream))
    rng.normal(image, index + 1, (7,))
    rng.uniform("another", index, (5, 5))
    torch.rand(3)
    assert torch.equal(rng.normal(image, index, (3, 2)), expected)


@given(st.tuples(st.integers(), texts, texts, st.integers(0)), st.tuples(st.integers(), texts, texts, st.integers(0)))
def test_other_addresses_give_other_draws(one, other):
    def draw(seed, stream, image, index):
        return Rng(seed).child(stream).normal(image, index, (4,))

    assert torch.equal(draw(*one), draw(*other)) == (one == other)


@given(texts, texts)
def test_names_of_streams_do_not_run_together(one, other):
    joined, apart = Rng(0).child(one + other), Rng(0).child(one, other)
    assert not torch.equal(joined.normal("a", 0, (4,)), apart.normal("a", 0, (4,)))


def test_a_child_below_a_child_is_addressed_by_all_names():
    assert Rng(1).child("a").child(2) == Rng(1).child("a", "2") == Rng(1, ("a", "2"))


def test_fewer_draws_are_the_first_of_more():
    more = [Rng(0).normal("image", index, (3, 7, 7)) for index in range(5)]
    fewer = [Rng(0).normal("image", index, (3, 7, 7)) for index in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(fewer, more, strict=False))


def test_the_global_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Rng(0).uniform("image", 0, (3,))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(Rng(0).uniform("image", 0, (3,)), first)


def test_draws_have_the_distribution_they_are_named_after():
    normal = torch.cat([Rng(0).normal("image", index, (100,)) for index in range(50)])
    uniform = torch.cat([Rng(0).uniform("image", index, (100,)) for index in range(50)])
    assert kstest(normal.numpy(), "norm").pvalue > 0.01
    assert kstest(uniform.numpy(), "uniform").pvalue > 0.01
    assert normal.dtype == uniform.dtype == torch.float32


def test_draws_are_the_same_in_another_process():
    code = "from sam_toolkit.rng import Rng; print(Rng(3).child('s', 1).normal('image', 2, (2, 2)).tolist())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == str(Rng(3).child("s", 1).normal("image", 2, (2, 2)).tolist())
