"""`pytest --sam-toolkit-conformance PACKAGE`."""

from __future__ import annotations

import subprocess
import sys

pytest_plugins = "pytester"

PLUGIN = """
import torch
from sam_toolkit import PairMetric, PairScores, field, hookimpl, method

@method(reference="A control", rows=0)
def constant(model, batch, *, level: float = field(1.0, help="of every pixel")):
    '''The same value everywhere.'''
    return torch.full((len(batch), *batch.images.shape[-2:]), level)

class Lopsided(PairMetric):
    '''What depends on the order of two maps.'''
    name, reference = "lopsided", "Nobody"
    def compare(self, prepared, pairs, settings):
        first, second = prepared[pairs[:, 0]].double(), prepared[pairs[:, 1]].double()
        value = 1 - (first - second).relu().mean(dim=(-1, -2))
        return PairScores(value.expand(len(settings), -1, -1))

@hookimpl
def sam_toolkit_components():
    return [constant, Lopsided]
"""


def test_each_component_is_a_test_that_says_what_to_change(pytester) -> None:
    pytester.makepyfile(mine=PLUGIN)
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess("--sam-toolkit-conformance", "mine", "-v", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*mine::Constant PASSED*", "*mine::Lopsided FAILED*", "*declare `symmetric = False`*"])
    assert "Traceback" not in result.stdout.str()
    assert "verdict.py" not in result.stdout.str()


def test_what_is_no_plugin_is_said_before_anything_runs(pytester) -> None:
    pytester.makepyfile(hookless="x = 1")
    pytester.syspathinsert()
    for module, said in (("absent", "cannot be imported"), ("hookless", "no hook sam_toolkit_components")):
        result = pytester.runpytest_inprocess("--sam-toolkit-conformance", module, "-p", "no:cacheprovider")
        assert result.ret != 0
        result.stderr.fnmatch_lines([f"*{module}: it*{said}*"])


def test_it_costs_other_runs_of_pytest_no_import_of_torch() -> None:
    code = "import sys, sam_toolkit.pytest_plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
