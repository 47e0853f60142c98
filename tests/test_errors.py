from __future__ import annotations

import pytest

from sam_toolkit import errors
from sam_toolkit.errors import ComponentError, OpError, SamError, near


@pytest.mark.parametrize(
    "name", [name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")]
)
def test_every_error_is_caught_by_the_base(name):
    assert issubclass(getattr(errors, name), SamError)


@pytest.mark.parametrize("error", [ComponentError, OpError])
def test_wrong_values_are_value_errors_too(error):
    with pytest.raises(ValueError, match="sigma"):
        raise error("sigma must be positive")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("smoothgrd", " Did you mean 'smoothgrad'?"),
        ("grad", " Did you mean 'gradient' or 'smoothgrad'?"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_near_names_are_offered_and_far_ones_are_not(name, text):
    assert near(name, {"smoothgrad", "gradient", "lime"}) == text


def test_near_does_not_depend_on_the_order_of_what_is_known():
    known = ["aab", "aac", "aad", "aae"]
    assert near("aaa", known) == near("aaa", known[::-1]) == near("aaa", set(known))
