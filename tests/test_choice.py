from __future__ import annotations

import pickle
from typing import Annotated

import pytest
from pydantic_core import to_json

from sam_toolkit.choice import Choice, ChoiceOf, finding
from sam_toolkit.component import Method
from sam_toolkit.errors import ComponentError, PluginError
from sam_toolkit.methods import Gradient, SmoothGrad
from sam_toolkit.perturbations import AttributionAttack, GaussianNoise
from sam_toolkit.types import Params, field


class Wanting(Params):
    """A component's hyperparameters, of which one is a method."""

    of: Annotated[Choice, ChoiceOf(Method)] = field(Choice(Gradient, Gradient.setting()), help="a method")


def test_a_component_is_chosen_by_name_by_fields_or_as_an_instance() -> None:
    expected = Wanting(of=SmoothGrad(samples=7))
    assert Wanting(of={"smoothgrad": {"samples": 7}}) == expected
    assert hash(Wanting(of={"smoothgrad": {"samples": 7}})) == hash(expected)
    assert Wanting(of="gradient") == Wanting() == Wanting(of={"gradient": None})
    assert expected.of.make().params.samples == 7
    assert str(expected.of) == "smoothgrad samples=7"


def test_it_goes_through_json_copies_and_processes() -> None:
    setting = Wanting(of=SmoothGrad(samples=7))
    assert Wanting.model_validate_json(setting.canonical(), strict=True) == setting
    assert setting.varied() == setting == pickle.loads(pickle.dumps(setting))


def test_its_version_is_part_of_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Wanting().canonical()
    monkeypatch.setattr(Gradient, "version", "99")
    assert Wanting().canonical() != before
    with pytest.raises(ValueError, match="gradient has version 99 now; the setting is of version"):
        Wanting.model_validate_json(before)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("gradiant", "no method 'gradiant'.* Did you mean 'gradient'"),
        ("ssim", "no method 'ssim'"),
        ({"smoothgrad": {"samples": 0}}, "smoothgrad: samples: .*greater than or equal to 1"),
        ({"smoothgrad": {"sample": 3}}, "smoothgrad: no hyperparameter 'sample'"),
        ({"smoothgrad": 3}, "should be a method: its name"),
        ({"gradient": {}, "smoothgrad": {}}, "should be a method: its name"),
        (7, "should be a method: its name"),
        (GaussianNoise(), "should be a method: its name"),
    ],
)
def test_a_wrong_choice_is_refused(value: object, message: str) -> None:
    with pytest.raises(ComponentError, match=f"AttributionAttack: of: .*{message}"):
        AttributionAttack(of=value)


def test_text_is_no_number_in_a_study_file() -> None:
    with pytest.raises(ValueError, match="samples"):
        Wanting.model_validate_json(to_json({"of": {"smoothgrad": {"samples": "7"}}}), strict=True)


def test_a_study_looks_in_its_own_host() -> None:
    def find(kind: object, name: str) -> type[Method]:  # type: ignore[type-arg]
        raise PluginError(f"nothing is called {name!r} here")

    with finding(find), pytest.raises(ValueError, match="nothing is called 'gradient' here"):
        Wanting(of="gradient")
    assert Wanting(of="gradient") == Wanting()
