"""What a study file's text becomes, and what it is refused for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_toolkit.errors import SpecError
from sam_toolkit.study.document import Document, Place
from sam_toolkit.study.yaml_loader import parse_study, read_mapping, read_study_file


def _parsed(text: str) -> Document:
    return parse_study(text, "study.yaml", Path())


def _problems(text: str) -> list[str]:
    return [problem.message for problem in _parsed(text).problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1.e-3", 0.001),
        ("-.5", -0.5),
        ("2E+2", 200.0),
        ("1.", 1.0),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xfF", 255),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("null", None),
        ("'50'", "50"),
        ('"true"', "true"),
        ("!!str 50", "50"),
        ("!!float 1", 1.0),
        ("<<", "<<"),
        ("1e", "1e"),
        ("e5", "e5"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: Any) -> None:
    read = _parsed(f"key: {written}").data["key"]
    assert (read, type(read)) == (value, type(value))


def test_not_a_number_is_read() -> None:
    assert math.isnan(_parsed("key: .nan").data["key"])


def test_every_value_and_key_has_its_place() -> None:
    document = _parsed("seed: 3\nmethods:\n  - smoothgrad: {samples: [50,\n      100]}\n")
    assert document.values["seed",] == Place(1, 7)
    assert document.keys["methods",] == Place(2, 1)
    assert document.keys["methods", 0, "smoothgrad", "samples"] == Place(3, 18)
    assert document.values["methods", 0, "smoothgrad", "samples", 1] == Place(4, 7)


def test_an_alias_repeats_a_value() -> None:
    assert _parsed("a: &m [1, 2]\nb: *m\n").data == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", ["b.c: stands twice, first at line 2; keep one."]),
        ("5: x\n", ["a key must be text; got '5'."]),
        ("a: {[1]: 2}\n", ["a: a key must be text; got a list or a mapping."]),
        ("a: !!set {x}\n", ["a: the tag !!set has no meaning in a study; leave it out."]),
        ("a: !!int x\n", ["a: 'x' cannot be read as int."]),
        ("a: [&b [*b]]\n", ["a[0][0]: an alias stands inside what it repeats."]),
        ('a: "\\ud800"\n', ["a: '\\\\ud800' cannot be read as str."]),
    ],
)
def test_what_is_refused_is_noted_and_the_rest_read(text: str, problems: list[str]) -> None:
    assert _problems(text) == [problem.replace("\\\\", "\\") for problem in problems]


def test_a_tag_runs_nothing() -> None:
    document = _parsed("a: !!python/object/apply:os.system ['exit 3']\n")
    assert "!!python/object/apply:os.system" in document.problems[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "study.yaml is empty: "),
        ("# nothing\n", "study.yaml is empty: "),
        ("- a\n", "study.yaml:1:1: not a mapping of keys to values: "),
        (
            "a: [1, 2\nb: 3\n",
            "study.yaml:2:2: not valid YAML: expected ',' or ']', but got ':' (while parsing",
        ),
        ("a:\n\t- b\n", "study.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token"),
        ("a: *b\n", "study.yaml:1:4: not valid YAML: found undefined alias 'b'."),
        ("a: 1\n---\nb: 2\n", "study.yaml:2:1: not valid YAML: but found another document"),
        ("a: b\x01c\n", "study.yaml:1: not a text file: YAML does not allow the character '\\x01'."),
        (
            "a: " + "[" * 60 + "]" * 60,
            "study.yaml: not a study: it holds more than 100,000 values, or values nested",
        ),
        ("{a: " * 4000, "study.yaml: not a study: it holds values nested more than 50 deep."),
    ],
)
def test_what_is_no_study_gets_one_clear_message(text: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        _parsed(text)
    assert str(refused.value).startswith(message)


def test_tabs_get_a_hint_and_a_caret() -> None:
    with pytest.raises(SpecError, match="does not allow tabs") as refused:
        _parsed("a:\n\t- b\n")
    assert str(refused.value).splitlines()[1:] == ["    \t- b", "    ^"]


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(SpecError, match="more than 100,000 values"):
        _parsed("\n".join(levels))


def test_a_missing_file_is_named_with_those_like_it(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("a: 1")
    with pytest.raises(SpecError, match=r"There is no study file .*stdy\.yaml'\. Did you mean 'study\.yaml'\?"):
        read_study_file(tmp_path / "stdy.yaml")


def test_a_folder_a_binary_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    (tmp_path / "weights.pth").write_bytes(b"a" * 1_000_001)
    for name, message in [
        ("", "is a folder; a study is a YAML file"),
        ("picture.png", "is not a text file in UTF-8: see byte 0"),
        ("weights.pth", "has 1,000,001 bytes; a study is a YAML file of at most 1,000,000"),
        ("x" * 300, "cannot be read"),
    ]:
        with pytest.raises(SpecError, match=message):
            read_study_file(tmp_path / name)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes("\ufeffa: 1\r\nb: é\r\n".encode())
    document = read_study_file(file)
    assert document.data == {"a": 1, "b": "é"}
    assert document.values["b",] == Place(2, 4)


_LETTERS = st.characters(max_codepoint=0xD7FF, categories=["L", "N", "P", "S", "Zs"])
_TRICKY = ["1e3", "no", "010", "~", ".inf", "1_0", "-", "a: b", "# c", "0o7", "12:30", "<<", "="]
_TEXT = st.text(_LETTERS, max_size=8) | st.sampled_from(_TRICKY)
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
_PLAIN = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)
_STUDIES = st.dictionaries(_TEXT, _PLAIN, min_size=1, max_size=4)


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


@given(_STUDIES)
def test_the_text_of_a_mapping_reads_back_as_the_mapping(mapping: dict[str, Any]) -> None:
    document = read_mapping(mapping)
    again = _parsed(document.text)
    assert (document.data, again.data, again.problems) == (mapping, mapping, [])


@given(_STUDIES)
def test_json_reads_as_json(mapping: dict[str, Any]) -> None:
    assert _parsed(json.dumps(mapping, ensure_ascii=False)).data == mapping


@given(_STUDIES)
def test_every_key_of_a_file_stands_where_its_place_says(mapping: dict[str, Any]) -> None:
    document = _parsed(json.dumps(mapping, ensure_ascii=False, indent=1))
    lines = document.text.splitlines()
    for address, place in document.keys.items():
        key = json.dumps(address[-1], ensure_ascii=False)
        assert lines[place.line - 1][place.column - 1 :].startswith(key)
    assert len(document.keys) == _keys(mapping)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = parse_study(text, "study.yaml", Path())
    except SpecError:
        return
    assert isinstance(document.data, dict)


def test_a_mapping_of_other_things_is_refused() -> None:
    with pytest.raises(SpecError, match=r"A study holds text, numbers, lists and mappings of them: .*object"):
        read_mapping({"seed": object()})


def test_arrays_tuples_and_paths_become_plain_values() -> None:
    numpy = pytest.importorskip("numpy")
    mapping = {"a": numpy.linspace(0, 1, 3), "b": (1, Path("x/y")), "c": numpy.int64(4)}
    assert read_mapping(mapping).data == {"a": [0.0, 0.5, 1.0], "b": [1, "x/y"], "c": 4}
