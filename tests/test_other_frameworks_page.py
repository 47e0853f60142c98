"""What docs/other-frameworks.md tells users of captum and Quantus to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "other-frameworks.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")  # captum, Quantus and what they import warn of many things
def test_the_page_s_examples_run_and_give_what_they_say() -> None:
    for plugin in ("sam_toolkit_captum", "sam_toolkit_quantus"):
        pytest.importorskip(plugin, reason="the plugin is not installed", exc_type=ImportError)
    said: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, said)
    assert said["smooth"].shape == (2, 3, 32, 32)
    assert said["moved"].shape == (2,)
    assert bool((said["moved"] < 0.2).all())  # integrated gradients converge
    occlusion = pytest.importorskip("captum.attr").Occlusion(said["network"])
    expected = occlusion.attribute(said["images"], (3, 8, 8), strides=(3, 4, 4), target=3)
    torch.testing.assert_close(said["hidden"], expected, rtol=1e-4, atol=1e-5)
    assert set(said["scores"]["SmoothGrad"]) == {"settings", "noise"}


def test_the_page_names_every_plugin_of_the_repository_but_the_example() -> None:
    plugins = {folder.name for folder in (ROOT / "plugins").iterdir() if (folder / "pyproject.toml").exists()}
    assert set(re.findall(r"^\| `(sam-toolkit-\w+)`", PAGE, re.MULTILINE)) == plugins - {"sam-toolkit-example"}
