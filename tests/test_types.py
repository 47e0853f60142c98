from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sam_toolkit.errors import ComponentError
from sam_toolkit.types import Batch, Params, digest, field, tensor_digest


class PatchParams(Params):
    patch: int = field(29, ge=1, le=64, help="side")
    fill: Literal["mean", "black"] | tuple[float, float, float] = field("mean", help="what hides")
    blur: float | None = field(None, gt=0, help="sigma")


def boxed_batch():
    images = torch.rand(3, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0, 0, 0, 1, 1], [2, 0, 1, 2, 3], [2, 1, 1, 4, 5]])
    batch = Batch.of(images, [5, 6, 7], ids="abc")
    return Batch(batch.images, batch.targets, batch.ids, boxes)


def test_params_are_frozen_and_hashable():
    params = PatchParams()
    with pytest.raises(ValidationError, match="frozen"):
        params.patch = 3
    assert len({params, PatchParams(patch=29), PatchParams(patch=30)}) == 2


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"patch": 0}, "greater than or equal to 1"),
        ({"stride": 1}, "Extra inputs"),
        ({"blur": float("nan")}, "finite"),
        ({"blur": float("inf")}, "finite"),
        ({"patch": 2.5}, "integer"),
        ({"fill": "white"}, "mean"),
    ],
)
def test_params_refuse_what_breaks_a_rule(fields, rule):
    with pytest.raises(ValidationError, match=rule):
        PatchParams(**fields)


def test_a_default_that_breaks_its_own_rule_is_refused():
    class Wrong(Params):
        patch: int = field(0, ge=1, help="side")

    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Wrong()


def test_canonical_text_is_sorted_json_of_every_field():
    assert PatchParams(fill=(0, 0.5, 1)).canonical() == '{"blur":null,"fill":[0.0,0.5,1.0],"patch":29}'


@given(st.integers(1, 64), st.floats(1e-300, 1e300), st.integers(1, 64), st.floats(1e-300, 1e300))
def test_canonical_texts_are_equal_exactly_where_settings_are(patch, blur, other_patch, other_blur):
    one, other = PatchParams(patch=patch, blur=blur), PatchParams(patch=other_patch, blur=other_blur)
    assert (one.canonical() == other.canonical()) == (one == other)


def test_canonical_text_does_not_tell_how_a_number_was_written():
    assert PatchParams(blur=1).canonical() == PatchParams(blur=1.0).canonical() == PatchParams(blur="1e0").canonical()


def test_without_leaves_out_the_fields_named():
    one, other = PatchParams(patch=3, blur=2.0), PatchParams(patch=5, blur=2.0)
    assert one.without(frozenset({"patch"})) == other.without(frozenset({"patch"})) == '{"blur":2.0,"fill":"mean"}'
    assert one.without(frozenset({"blur"})) != other.without(frozenset({"blur"}))


def test_varied_validates_and_leaves_the_original():
    params = PatchParams()
    assert params.varied(patch=3) == PatchParams(patch=3)
    assert params.patch == 29
    with pytest.raises(ValidationError):
        params.varied(patch=65)


def test_field_carries_its_help():
    assert PatchParams.model_fields["patch"].description == "side"
    assert Params.model_fields == {}


def test_digest_tells_where_parts_end():
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("a") == digest(b"a")
    expected = hashlib.blake2b(b"\x01" + bytes(7) + b"a", digest_size=16).hexdigest()
    assert digest("a") == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2), False),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64), False),
        (torch.zeros(4), torch.zeros(8)[::2], True),
        (torch.arange(6).view(2, 3).T, torch.tensor([[0, 3], [1, 4], [2, 5]]), True),
        (torch.tensor(3), torch.tensor(3), True),
        (torch.tensor(3), torch.tensor(4), False),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16), True),
        (torch.tensor(0.0), torch.tensor(-0.0), False),
    ],
)
def test_tensor_digest_tells_dtype_shape_and_bytes(one, other, same):
    assert (tensor_digest(one) == tensor_digest(other)) is same


@pytest.mark.parametrize("targets", [7, [7, 7], torch.tensor([7, 7]), torch.tensor(7)])
def test_batch_of_takes_one_target_or_one_an_image(targets):
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    batch = Batch.of(images, targets)
    assert batch.targets.tolist() == [7, 7]
    assert batch.targets.dtype == torch.int64
    assert batch.images.dtype == torch.float32
    assert len(batch) == 2


def test_batch_ids_default_to_the_content():
    images = torch.rand(2, 1, 2, 2)
    batch = Batch.of(torch.cat([images, images[:1]]), 0)
    assert batch.ids[0] == batch.ids[2] == tensor_digest(images[0])
    assert batch.ids[0] != batch.ids[1]


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        (torch.zeros(3, 4, 4), 0, r"\[N, C, H, W\]; got torch.float32 \[3, 4, 4\]"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 0, "floating-point.*torch.uint8"),
        (torch.zeros(3, 3, 4, 4), [1, 2], "got 2 for 3 images"),
    ],
)
def test_batch_of_refuses_what_is_no_batch(images, targets, message):
    with pytest.raises(ComponentError, match=message):
        Batch.of(images, targets)


def test_batch_of_does_not_keep_the_graph():
    images = torch.rand(1, 3, 4, 4, requires_grad=True)
    assert not Batch.of(images * 2, 0).images.requires_grad


def test_a_batch_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        boxed_batch().ids = ()


def test_select_takes_boxes_along_and_renumbers_them():
    batch = boxed_batch()
    chosen = batch.select([2, 0])
    assert chosen.ids == ("c", "a")
    assert chosen.targets.tolist() == [7, 5]
    assert torch.equal(chosen.images, batch.images[[2, 0]])
    assert chosen.boxes.tolist() == [[0, 0, 1, 2, 3], [0, 1, 1, 4, 5], [1, 0, 0, 1, 1]]


def test_select_may_repeat_an_image():
    assert boxed_batch().select([0, 0]).boxes.tolist() == [[0, 0, 0, 1, 1], [1, 0, 0, 1, 1]]


def test_select_of_images_without_boxes_has_an_empty_table():
    chosen = boxed_batch().select([1])
    assert chosen.boxes.shape == (0, 5)
    assert chosen.boxes.dtype == torch.int64


def test_select_all_is_the_same_batch_and_unannotated_ones_stay_so():
    batch = boxed_batch()
    assert torch.equal(batch.select(range(3)).boxes, batch.boxes)
    assert Batch.of(batch.images, 0).select([1]).boxes is None


def test_with_images_keeps_what_is_asked():
    batch = boxed_batch()
    other = batch.with_images(batch.images + 1)
    assert other.ids == batch.ids
    assert other.boxes is batch.boxes
    assert torch.equal(other.images, batch.images + 1)
