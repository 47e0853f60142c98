"""What is said of method entries that break rules, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import refusal

_HEAD = "models: [resnet50]\nimages: bundled\n"
_MANY = list(range(1, 200))

BAD = [
    (_HEAD + "methods: gradient\n", ["3:10: methods: should be a list of methods; got 'gradient'."]),
    (
        _HEAD + "methods: []\n",
        [
            "3:10: methods: a study needs a method: a list of names, or of mappings such as "
            "{smoothgrad: {samples: [50, 100]}}."
        ],
    ),
    (
        _HEAD + "methods:\n  - gradient\n  - smothgrad: {samples: 50}\n",
        [
            "5:5: methods[1]: there is no method 'smothgrad'. Did you mean 'smoothgrad'? "
            "Known: concept, gradient, sliding-patch, smoothgrad."
        ],
    ),
    (
        _HEAD + "methods: [ssim]\n",
        [
            "3:11: methods[0]: there is no method 'ssim'. Known: concept, gradient, sliding-patch, "
            "smoothgrad. "
            "'ssim' is a pair-metric: it belongs elsewhere in the study."
        ],
    ),
    (
        _HEAD + "methods:\n  - smoothgrad:\n    samples: [50]\n",
        ["4:5: methods[0]: one method an entry; got the keys smoothgrad, samples. Indent the fields below the name."],
    ),
    (
        _HEAD + "methods: [{name: smoothgrad, samples: 50}]\n",
        ["3:11: methods[0]: one method an entry; got the keys name, samples. Write {name: {field: value}}."],
    ),
    (
        _HEAD + "methods: [3]\n",
        ["3:11: methods[0]: should be a method: name or {name: {field: value}}; got 3."],
    ),
    (
        _HEAD + "methods: [gradient: 5]\n",
        ["3:21: methods[0]: should be a mapping of keys to values (channels, default, grid); got 5."],
    ),
    (
        _HEAD + "methods:\n  - smoothgrad: {sample: 50}\n",
        [
            "4:18: methods[0].sample: smoothgrad has no 'sample' (it has: samples, spread, nested, "
            "default, grid). "
            "Did you mean 'samples' or 'spread'?"
        ],
    ),
    (
        _HEAD + "methods:\n  - gradient\n  - smoothgrad: {samples: [50, 100, '50'], spread: [0.1, true, -1]}\n",
        [
            "5:37: methods[1].samples[2]: should be a valid integer; got '50'.",
            "5:58: methods[1].spread[1]: should be a valid number; got true.",
            "5:64: methods[1].spread[2]: should be greater than 0; got -1.",
        ],
    ),
    (
        _HEAD + "methods:\n  - smoothgrad:\n      samples: []\n      nested: 'yes'\n",
        [
            "5:16: methods[0].samples: an empty list sweeps nothing; give values, or leave it out.",
            "6:15: methods[0].nested: should be a valid boolean; got 'yes'.",
        ],
    ),
    (
        _HEAD + "methods:\n  - smoothgrad: {samples: [50, 100, 50], spread: [1, 1.0]}\n",
        [
            "4:37: methods[0].samples[2]: 50 stands twice, first at methods[0].samples[0]; keep one.",
            "4:54: methods[0].spread[1]: 1.0 stands twice, first at methods[0].spread[0]; keep one.",
        ],
    ),
    (
        _HEAD + "methods:\n  - smoothgrad: {samples: [50, 5000], spread: 1, default: {samples: 0, spread: 2, "
        "seed: 1}}\n",
        [
            "4:32: methods[0].samples[1]: should be less than or equal to 1000; got 5000.",
            "4:69: methods[0].default.samples: should be greater than or equal to 1; got 0.",
            "4:72: methods[0].default.spread: spread is 1 beside `default` already; keep one.",
            "4:83: methods[0].default.seed: smoothgrad has no 'seed' (it has: samples, spread, nested). "
            "Did you mean 'spread' or 'nested'?",
        ],
    ),
    (
        _HEAD + "methods: [smoothgrad: {grid: 1}]\n",
        ["3:30: methods[0].grid: should be true or false; got 1."],
    ),
    (
        _HEAD + "methods:\n  - sliding-patch: {patch: [4, 29], stride: 8}\n",
        ["4:29: methods[0].patch[0]: stride 8 leaves gaps between patches of 4; got 4."],
    ),
    (
        _HEAD + "methods:\n  - sliding-patch: {patch: 4}\n",
        ["4:20: methods[0]: sliding-patch: stride 8 leaves gaps between patches of 4."],
    ),
    (
        _HEAD + "methods:\n  - sliding-patch: {patch: [4, 9], stride: [3, 8], default: {patch: 9, stride: 3}, "
        "grid: true}\n",
        ["4:20: methods[0]: the grid has patch=4, stride=8: stride 8 leaves gaps between patches of 4."],
    ),
    (
        _HEAD + "methods:\n  - sliding-patch: {colour: [0, x, 1], fill: [0.1, {}, true]}\n  - sliding-patch: "
        "{colour: [[1, 2]]}\n",
        [
            "4:33: methods[0].colour[1]: should be a valid integer; got 'x'.",
            "4:52: methods[0].fill[1]: should be 'mean' or 'black' or a valid number or a list or a valid "
            "string; got {}.",
            "4:56: methods[0].fill[2]: should be 'mean' or 'black' or a valid number or a list or a valid "
            "string; got true.",
            "5:30: methods[1].colour[0]: needs at least 3 values; got [1, 2].",
        ],
    ),
    (
        _HEAD + "methods: [concept, concept: {bank: [a, b]}]\n",
        [
            "3:11: methods[0]: concept needs 'bank' (file of concepts).",
            "3:29: methods[1]: concept needs 'bank' (file of concepts).",
        ],
    ),
    (
        _HEAD + "methods: [gradient: {channels: [mean, abs-summ]}]\n",
        [
            "3:39: methods[0].channels[1]: should be 'mean', 'abs-sum' or 'abs-max'; got 'abs-summ'. "
            "Did you mean 'abs-sum' or 'abs-max'?"
        ],
    ),
    (
        _HEAD + f"methods: [smoothgrad: {{samples: {_MANY}, spread: {_MANY}, grid: true}}]\n",
        ["3:23: methods[0]: makes 39,800 settings; one entry may make 10,000."],
    ),
    (_HEAD + "methods: &a [gradient, *a]\n", ["3:10: methods[1]: an alias stands inside what it repeats."]),
]


@pytest.mark.parametrize(("text", "problems"), BAD)
def test_every_problem_is_told_with_its_place(text: str, problems: list[str], tmp_path: Path) -> None:
    lines = refusal(text, tmp_path).splitlines()
    assert lines[::3] == [f"study.yaml:{problem}" for problem in problems]
