"""Operators that are used by themselves, as docs/operators.md shows them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from sam_toolkit import ops

PAGE = (Path(__file__).parents[1] / "docs" / "operators.md").read_text(encoding="utf-8")
COMPONENTS = {f"sam_toolkit.{name}" for name in ("component", "registry", "methods", "metrics", "study")}


def test_the_page_s_examples_run_and_give_what_they_say() -> None:
    said: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block.replace("50", "3"), said)  # with fewer maps: the test is quick
    assert said["similarity"].shape == (3,)
    assert said["similarity"].requires_grad
    assert said["hidden"].shape == (3, 3, 64, 64)
    assert bool((said["hidden"][1, :, 8:24, 8:24] == 0.5).all())
    windows = torch.tensor([(0, *window) for window in said["windows"]])
    whole = said["network"](ops.occlude(said["images"][:1], windows, 0.0))
    torch.testing.assert_close(said["logits"], whole, rtol=1e-4, atol=1e-4)


def test_one_import_each_brings_the_operators_and_no_component() -> None:
    lines = re.findall(r"^from sam_toolkit.* import \w+", PAGE, re.MULTILINE)
    assert len(lines) == 5
    code = f"import sys; {'; '.join(lines)}; print(sorted({COMPONENTS} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
