"""The layout of the code: who imports whom, how large things are, and what the engine must not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sam_toolkit"
LAYERS = (
    ("allocator", "errors"),
    ("types",),
    ("rng",),
    ("images",),
    ("ops",),
    ("evaluation", "recompute", "activations", "folding", "lanes"),
    ("inference", "chunks"),
    ("model",),
    ("softplus", "incremental"),
    ("fills", "smoothing"),
    ("bounding", "promises"),
    ("study.findings",),
    ("study.results",),  # plain values, which reports read
    ("study.statistics",),
    ("study.scores",),
    ("study.advice",),
    ("study.derive",),
    ("base",),
    ("pairing",),
    ("component",),
    ("hookspecs", "functions"),
    ("installed",),
    ("choice",),
    ("methods", "metrics", "sources", "reports"),
    ("perturbations",),  # attacks have a method that they attack, and a similarity that they lower
    ("removal", "model_perturbations"),
    ("builtins",),
    ("registry",),
    ("study",),
    ("testing",),
    ("pytest_plugin",),
    ("bench",),
    ("api", "catalogue", "demo", "doctor", "drop_ins", "new_plugin", "progress", "reporting"),
    ("listing",),
    ("cli",),
    ("",),  # sam_toolkit/__init__.py gives everybody's names, when they are asked for
)
NAMED = (
    "methods",
    "metrics",
    "perturbations",
    "model_perturbations",
    "reports",
    "removal",
)  # sources have names of everyday words
OPEN_TO_PLUGINS = ("sam_toolkit", "sam_toolkit.ops", "sam_toolkit.testing")
HEAVY = {"torch", "torchvision", "scipy", "skimage", "matplotlib"}

PYTHON = [*sorted(PACKAGE.rglob("*.py")), ROOT / "setup.py", ROOT / "dev.py"]
PLUGINS = sorted(path for path in ROOT.glob("plugins/*/**/*.py") if "tests" not in path.parts)
NATIVE = sorted(path for path in (ROOT / "csrc").rglob("*") if path.suffix in {".h", ".cpp", ".cu"})
ENGINE = sorted((PACKAGE / "study").rglob("*.py"))


def named(paths: list[Path]) -> list[object]:
    """Return test parameters whose names are the paths in the repository."""
    return [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in paths]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    """Return `study.plan` for `sam_toolkit/study/plan.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Give line, module and name of everything imported from the package, wherever the statement stands."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." * node.level + (node.module or ""), alias.name) for alias in node.names)


def targets(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Give line and target, without the package's name, of each import from the package."""
    for line, source, name in imports(module):
        assert not source.startswith("."), f"line {line}: say sam_toolkit in full"
        if source.partition(".")[0] == "sam_toolkit" and name != "__version__":
            inside = f"{source}.{name}".rstrip(".").split(".")[1:]
            found = (PACKAGE.joinpath(*inside).with_suffix(".py"), PACKAGE.joinpath(*inside, "__init__.py"))
            yield line, ".".join(inside if any(path.exists() for path in found) else inside[:-1])


def layer(module: str) -> tuple[int, str]:
    """Return where a module stands, and the entry that says so: the longest that its name begins with."""
    entries = [(rank, entry) for rank, layer in enumerate(LAYERS) for entry in layer]
    held = [(rank, entry) for rank, entry in entries if module == entry or module.startswith(f"{entry}.")]
    assert held, f"say in LAYERS where sam_toolkit.{module} stands"
    return max(held, key=lambda item: len(item[1]))


def upward(module: str, source: ast.Module) -> list[str]:
    """Return the imports from above, or from a neighbour on the same level."""
    rank, entry = layer(module)
    found = [(line, target, *layer(target)) for line, target in targets(source)]
    return [f"line {line}: {target}" for line, target, at, name in found if at > rank or (at == rank and name != entry)]


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    found = function.args
    names = [item.arg for item in (*found.posonlyargs, *found.args, *found.kwonlyargs)]
    return [name for name in names if name not in {"self", "cls"}]


def is_text(node: ast.expr) -> bool:
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return any(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in items)


def is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "name"


def name_comparisons(module: ast.Module) -> list[int]:
    """Return the lines on which something's `.name` is compared with a string, or matched."""
    compared = [node for node in ast.walk(module) if isinstance(node, ast.Compare)]
    sides = [(node.lineno, [node.left, *node.comparators]) for node in compared]
    matched = [node.lineno for node in ast.walk(module) if isinstance(node, ast.Match) and is_name(node.subject)]
    return matched + [line for line, both in sides if any(map(is_name, both)) and any(map(is_text, both))]


def strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Give line and value of each string, but for what a study does where it says nothing: constants `USUAL_...`."""
    usual = [
        node
        for statement in module.body
        if isinstance(statement, ast.Assign) and target_name(statement.targets[0]).startswith("USUAL_")
        for node in ast.walk(statement)
    ]
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in usual:
            yield node.lineno, node.value


@cache
def component_names() -> set[str]:
    """Return the names that the built-in components have in study files."""
    files = [path for family in NAMED for path in (PACKAGE / family).rglob("*.py")]
    classes = [node for path in files for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    bodies = [statement for node in classes for statement in node.body]
    values = [
        statement.value
        for statement in bodies
        if isinstance(statement, ast.Assign | ast.AnnAssign) and "name" in map(target_name, assigned(statement))
    ]
    return {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def assigned(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def target_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", named(sorted(PACKAGE.rglob("*.py"))))
def test_a_module_imports_only_from_its_folder_and_from_below(path: Path) -> None:
    assert not upward(module_of(path), tree(path))


@pytest.mark.parametrize("path", named(PLUGINS))
def test_a_plugin_imports_only_what_is_open_to_plugins(path: Path) -> None:
    used = [(line, source) for line, source, _ in imports(tree(path)) if source.partition(".")[0] == "sam_toolkit"]
    assert not [f"line {line}: {source}" for line, source in used if source not in OPEN_TO_PLUGINS]


@pytest.mark.parametrize("path", named([*PYTHON, *PLUGINS, *NATIVE]))
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", named([*PYTHON, *PLUGINS]))
def test_a_function_has_at_most_60_lines(path: Path) -> None:
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(tree(path))}
    assert not {name: size for name, size in sizes.items() if size > 60}


@pytest.mark.parametrize("path", named([*PYTHON, *PLUGINS]))
def test_a_function_has_at_most_6_parameters(path: Path) -> None:
    counts = {node.name: len(parameters(node)) for node in functions(tree(path))}
    assert not {name: count for name, count in counts.items() if count > 6}


@pytest.mark.parametrize("path", named([*PYTHON, *PLUGINS]))
def test_nothing_is_imported_by_star(path: Path) -> None:
    assert not [line for line, _, name in imports(tree(path)) if name == "*"]


@pytest.mark.parametrize("path", named(ENGINE))
def test_the_engine_compares_no_name_to_a_string(path: Path) -> None:
    assert not name_comparisons(tree(path))


@pytest.mark.parametrize("path", named(ENGINE))
def test_the_engine_names_no_component(path: Path) -> None:
    assert not [item for item in strings(tree(path)) if item[1] in component_names()]


def test_the_names_of_components_are_found() -> None:
    assert {"gradient", "smoothgrad", "ssim", "gaussian-noise"} <= component_names()


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("types", "from sam_toolkit.errors import SamError", []),
        ("types", "from sam_toolkit import model", ["line 1: model"]),
        ("methods.rise", "from sam_toolkit.methods.channels import Channels", []),
        ("methods.rise", "from sam_toolkit.metrics.ssim import SSIM", ["line 1: metrics.ssim"]),
        ("model", "def late():\n    import sam_toolkit.study.plan", ["line 2: study.plan"]),
        ("reports.html", "from sam_toolkit.study.results import Results", []),
        ("reports.html", "from sam_toolkit.study import store", ["line 1: study.store"]),
    ],
)
def test_an_import_from_above_is_found(module: str, line: str, found: list[str]) -> None:
    assert upward(module, ast.parse(line)) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("use.method.name == 'lime'", [1]),
        ("if metric.name in ('ssim', 'hog'): pass", [1]),
        ("match metric.name:\n    case other: pass", [1]),
        ("one.name == other.name", []),
        ("state == 'done'", []),
    ],
)
def test_a_comparison_with_a_name_is_found(line: str, found: list[int]) -> None:
    assert name_comparisons(ast.parse(line)) == found


@pytest.mark.parametrize(
    "statement", ["import sam_toolkit", "import sam_toolkit.cli", "from sam_toolkit.cli import main; main()"]
)
def test_help_imports_nothing_heavy(statement: str) -> None:
    probe = f"import atexit, sys; atexit.register(lambda: print({HEAVY} & set(sys.modules))); {statement}"
    done = subprocess.run([sys.executable, "-c", probe, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "set()"
