"""What input variants are called where they are compared: what they have in common, and what one of them is."""

from __future__ import annotations

from collections.abc import Sequence

from sam_toolkit.study.labels import perturbation_text, setting_text
from sam_toolkit.study.spec import CLEAN, InputUse


def variant_names(inputs: Sequence[InputUse]) -> list[tuple[str, str]]:
    """Return the factor and the value of each variant; an empty factor for the clean one.

    Of a perturbation with several variants, the field with most values is the value ("eps=2/255"), and what else was
    said is part of the factor ("attribution-attack w=1"), so that its values make one curve.
    """
    return [_names(use, [other for other in inputs if other.perturbation is use.perturbation]) for use in inputs]


def _names(use: InputUse, kin: Sequence[InputUse]) -> tuple[str, str]:
    if use.perturbation is None or use.params is None:
        return "", CLEAN
    name = use.perturbation.name
    values = {field: len({getattr(other.params, field) for other in kin}) for field in type(use.params).model_fields}
    swept = max(values, key=lambda field: values[field], default="")
    if not swept or values[swept] == 1:
        return name, use.name.removeprefix(name).strip() or name
    others = perturbation_text(use.perturbation, use.params, without=swept)
    return others, setting_text(use.params, None, only=(swept,))
