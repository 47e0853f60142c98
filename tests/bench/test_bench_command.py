from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from bench.fake_clock import any_work
from click.testing import CliRunner
from rich.console import Console

from sam_toolkit import allocator, ops
from sam_toolkit.bench import run, tables
from sam_toolkit.bench.records import Agreement, CaseResult, Row, Work, load
from sam_toolkit.bench.settings import Settings
from sam_toolkit.cli import BAD_INPUT, main
from sam_toolkit.errors import BenchError

TINY = (
    *("--maps", "3", "--growth", "2", "--growth", "3", "--size", "20", "--window", "5"),
    *("--patch", "6", "--stride", "6", "--rounds", "1", "--peer-pairs", "2", "--threads", "1"),
)


@pytest.fixture(autouse=True)
def ready(monkeypatch):
    """This process must not start again; without a compiler, the reference is what there is to measure."""
    for name, value in allocator.VARIABLES.items():
        monkeypatch.setenv(name, value)
    if not ops.status()[0].loaded:
        monkeypatch.setenv("SAM_TOOLKIT_OPS", "reference")


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A benchmark's file, which no clock has seen."""
    return tmp_path_factory.mktemp("bench") / "file.json"


@pytest.mark.filterwarnings("default")  # what other libraries warn about is theirs
def test_kernels_prints_a_table_a_case_and_writes_all_of_it(file, monkeypatch):
    monkeypatch.setattr(run, "Stopwatch", lambda finish: any_work())
    done = call("bench", "kernels", *TINY, "--json", file)
    found = load(file)
    assert done.exit_code == 0
    firsts = ["SSIM", "SSIM", "Hiding", "Replacing,", "Windows", "Map", "Sliding", "Ranks", "Neighbourhoods,",
              *["Diverse"] * 3, "Top-k", "Kendall's", "Every", "SSIM", "HOG", "Spearman", "Kendall", "LensSpearman",
              "LensKendall", "TopKIntersection", "LensRecall", "LensPrecision", "SignAgreement",
              "MassCentreDistance"]  # fmt: skip
    assert [case.name.split()[0] for case in found.cases] == firsts
    assert all(" ".join(case.name.split()[:3]) in done.stdout for case in found.cases)
    assert "scikit-image" in done.stdout
    assert found.settings["maps"] == [3]
    assert set(found.machine) >= {"processor", "device", "operators", "allocator"}
    assert found.versions["torch"] == torch.__version__.partition("+")[0]
    assert all(len(row.samples) == 1 for row in found.cases[1].rows[1:])
    same = call("bench", "compare", file, file)
    assert same.exit_code == 0
    assert "verdict" in same.stdout


def test_the_number_of_threads_is_pytorchs_own_again(monkeypatch):
    usual, seen = torch.get_num_threads(), []
    monkeypatch.setitem(run._FAMILIES, "ssim", lambda *rest: seen.append(torch.get_num_threads()) or [])
    run.run(Settings(operators=("ssim",), threads=(usual + 1, 0)), lambda case: None)
    assert seen == [usual + 1, usual]
    assert torch.get_num_threads() == usual


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "9"), "--size must be at least the window, 11; got 9"),
        (("--op", "occlusion", "--patch", "8", "--stride", "9"), "--stride <= --patch < --size must hold; got 9, 8"),
        (("--op", "occlusion", "--patch", "224"), "--stride <= --patch < --size must hold; got 16, 224 and 224"),
        (("--device", "tpu"), "--device must be cpu, cuda or cuda:NUMBER; got tpu"),
        (("--dtype", "float16"), "half precision needs --device cuda"),
        (("--json", "no/such/folder.json"), "--json must name a file in a folder that is there"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_rule(arguments, message):
    done = call("bench", "kernels", *arguments)
    assert done.exit_code == BAD_INPUT
    assert message in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named():
    done = call("bench", "kernels", "--device", "cuda")
    assert (done.exit_code, "needs a GPU that PyTorch sees" in done.stderr) == (BAD_INPUT, True)


def test_missing_operators_are_not_measured_unawares(monkeypatch):
    missing = ops.Backend("cpu", False, None, "it was not built", "Build it.")
    monkeypatch.setattr(ops, "status", lambda: (missing, missing))
    monkeypatch.delenv("SAM_TOOLKIT_OPS", raising=False)
    with pytest.raises(BenchError, match=r"it was not built\. Build it\. Or set SAM_TOOLKIT_OPS=reference"):
        run.machine("cpu")
    monkeypatch.setenv("SAM_TOOLKIT_OPS", "reference")
    assert run.machine("cpu")["operators"] == "reference"


@pytest.mark.parametrize(("load", "said"), [(0.1, False), (3.0, True)])
def test_a_busy_machine_is_said(monkeypatch, load, said):
    monkeypatch.setattr(run.os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(run.os, "cpu_count", lambda: 2)
    assert ("3.0 of 2 cores busy" in run.caution()) == said


def test_compare_refuses_a_file_of_something_else(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    done = call("bench", "compare", path, path)
    assert done.exit_code == BAD_INPUT
    assert "is not a benchmark's file" in done.stderr


def test_quick_changes_defaults_and_leaves_what_is_chosen():
    found = Settings.of(True, maps=(30, 30), sizes=(), rounds=None)
    assert (found.maps, found.sizes, found.growth, found.rounds) == ((30,), (224,), (10, 20), 5)


def test_help_imports_no_torch():
    start = "from sam_toolkit.cli import main\ntry: main(['bench', 'kernels', '--help'])\nexcept SystemExit: pass"
    check = "import sys\nassert not {'torch', 'skimage', 'scipy', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{start}\n{check}"], check=True, capture_output=True)


def test_times_and_ratios_have_three_digits():
    assert [tables.duration(value) for value in (2.5, 0.25, 1.234e-5, 1e-9)] == [
        "2.50 s",
        "250 ms",
        "12.3 µs",
        "0.00100 µs",
    ]
    assert [tables.times(value) for value in (0.5, 1.0, 12.34, 99.99, 1234.5)] == [
        "0.500×",
        "1.00×",
        "12.3×",
        "100×",
        "1234×",
    ]


def test_a_result_that_is_not_ours_is_said_loudly():
    wrong = Agreement(difference=0.25, tolerance=0.1, against="ours")
    rows = [
        Row(contestant=name, work=Work(units=1), calls=1, samples=(1.0,), agreement=agreement)
        for name, agreement in (("ours", None), ("peer", wrong))
    ]
    console = Console(width=100)
    with console.capture() as captured:
        console.print(tables.case_table(CaseResult(name="case", unit="pair", rows=tuple(rows))))
    assert "RESULT IS NOT OURS, to 2e-01" in captured.get()
