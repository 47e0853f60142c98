"""Runs, tests and checks sam_toolkit from a fresh checkout with nothing but Python 3.11."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / "dev.json"
BUILT = ROOT / "sam_toolkit" / "_build.json"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
OLDEST = (3, 11)
TOO_OLD = "sam_toolkit needs Python 3.11 or newer; {} is {}. Name a newer one: `dev.py COMMAND --python PATH`."
EDITABLE = ("--no-build-isolation", "--no-deps", "-e")
SWITCHES = ("SAM_TOOLKIT_BUILD", "SAM_TOOLKIT_CUDA", "CUDA_HOME", "CUDA_PATH", "TORCH_CUDA_ARCH_LIST", "CXX")
DEFAULTS = {
    "MAX_JOBS": "2",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    # Else the C library gives large buffers back after each operator, and half of the time goes to page faults.
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
    # Else threads that wait for each other spin, and on busy cores take the time that the others need.
    "OMP_WAIT_POLICY": "PASSIVE",
}
PYTHON_FILES = ("sam_toolkit", "tests", "plugins", "benchmarks", "docs", "examples", "setup.py", "dev.py")
LEFTOVERS = (".venv", "build", "dist", "htmlcov", "docs/_build", ".mypy_cache", ".pytest_cache", ".ruff_cache")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if sys.version_info < OLDEST:
        fail(TOO_OLD.format(sys.executable, sys.version.split()[0]))
    options, extra = parser().parse_known_args(arguments)
    if "--" in extra:
        extra.remove("--")
    command: Callable[[argparse.Namespace, list[str]], int] = options.command
    return command(options, extra)


def parser() -> argparse.ArgumentParser:
    """Return the command line; what it does not know goes to the tool that a command starts."""
    epilog = "Further arguments go to the tool: `dev.py test -k ssim`, `dev.py run --images photos/`."
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--python", help="make .venv with this interpreter  [default: the one that runs dev.py]")
    shared.add_argument("--system-site-packages", action="store_true", help="let .venv use what is installed")
    top = argparse.ArgumentParser("dev.py", description=__doc__, epilog=epilog, allow_abbrev=False)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in (run, test, lint, format_, bench, gpu, docs, clean):
        name, about = command.__name__.rstrip("_"), command.__doc__
        one = commands.add_parser(name, help=about, description=about, parents=[shared], allow_abbrev=False)
        one.set_defaults(command=command)
    return top


def run(options: argparse.Namespace, extra: list[str]) -> int:
    """Set everything up and run the demo; its report goes to runs/demo."""
    set_up(options, "run")
    closed = ["--no-open"] if os.environ.get("CI") else []
    return start("sam-toolkit", "demo", "--output", "runs/demo", *closed, *extra)


def test(options: argparse.Namespace, extra: list[str]) -> int:
    """Run the tests, all of them in a process for each core, up to eight."""
    left_out = [f"--ignore={folder}" for folder in set_up(options, "dev")]
    return start("python", "-m", "pytest", *left_out, *(extra or ["-n", "logical", "--maxprocesses", "8"]))


def lint(options: argparse.Namespace, extra: list[str]) -> int:
    """Check style, layout and types; change nothing."""
    install_locked(options, "dev")
    files = extra or python_files()
    checks = [("ruff", "check", *files), ("ruff", "format", "--check", *files), ("mypy", *extra)]
    if not extra:
        checks.append(("clang-format", "--dry-run", "--Werror", *native_files("csrc", "tests")))
    failed = [" ".join(check[:2]) for check in checks if start(*check)]
    say(f"Not clean: {', '.join(failed)}. `dev.py format` mends layout." if failed else "All clean.")
    return 1 if failed else 0


def format_(options: argparse.Namespace, extra: list[str]) -> int:
    """Mend layout and the order of imports."""
    install_locked(options, "dev")
    files = extra or python_files()
    codes = [
        start("ruff", "check", "--fix", "--quiet", "--exit-zero", *files),
        start("ruff", "format", *files),
    ]
    return max([*codes, 0 if extra else start("clang-format", "-i", *native_files("csrc", "tests"))])


def bench(options: argparse.Namespace, extra: list[str]) -> int:
    """Time the operators against other libraries; options are those of `sam-toolkit bench kernels`."""
    set_up(options, "dev")
    return start("sam-toolkit", "bench", "kernels", *extra)


def gpu(options: argparse.Namespace, extra: list[str]) -> int:
    """Test and check the GPU operators on this machine's GPU; results go to runs/gpu."""
    set_up(options, "dev")
    return start("python", "benchmarks/gpu.py", *extra)


def docs(options: argparse.Namespace, extra: list[str]) -> int:
    """Write the documentation to docs/_build/html."""
    set_up(options, "dev")
    return start("sphinx-build", "-W", "--keep-going", "docs", "docs/_build/html", *extra)


def clean(options: argparse.Namespace, extra: list[str]) -> int:
    """Remove .venv and everything built; keep runs."""
    del options, extra
    compiled = [*(ROOT / "sam_toolkit").glob("*.so"), BUILT, *ROOT.glob("*.egg-info")]
    for path in (*(ROOT / name for name in LEFTOVERS), *compiled):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return 0


def set_up(options: argparse.Namespace, kind: str) -> list[Path]:
    """Make .venv and install all but what has not changed; returns the plugins that had to be left out."""
    install_locked(options, kind)
    install_package()
    return install_plugins() if kind == "dev" else []


def install_locked(options: argparse.Namespace, kind: str) -> None:
    """Bring .venv to the locked packages; where it uses what is installed, add what is missing."""
    make_venv(options)
    borrows = re.search(r"^include-system-site-packages = true", (VENV / "pyvenv.cfg").read_text(), re.MULTILINE)
    for part in ("run", "dev") if kind == "dev" else ("run",):
        needs = ranges(part) if borrows else ["--no-deps", "-r", str(LOCKS[part])]
        what = "running" if part == "run" else "tests and checks"
        install_once(part, fingerprint(LOCKS[part], words=needs), f"Installing the packages for {what}", *needs)


def make_venv(options: argparse.Namespace) -> None:
    """Make .venv unless it is there."""
    python = options.python or sys.executable
    if all((BIN / name).exists() for name in ("python", "pip")):
        if options.python or options.system_site_packages:
            say("Keeping the .venv that is there; `dev.py clean` removes it, and then the options count.")
        return
    probe = [python, "-c", "import sys; print(*sys.version_info[:2]); import ensurepip, venv"]
    try:
        found = subprocess.run(probe, capture_output=True, text=True, check=False)
    except OSError as error:
        fail(f"{python} does not start: {error}.")
    if found.stdout and tuple(map(int, found.stdout.split())) < OLDEST:
        fail(TOO_OLD.format(python, ".".join(found.stdout.split())))
    if found.returncode:
        reason = (found.stderr.strip().splitlines() or ["no reason given"])[-1]
        fail(f"{python} cannot make an environment ({reason}). Debian and Ubuntu: apt-get install python3-venv")
    with step(f"Making .venv with {python}"):
        borrowed = ["--system-site-packages"] if options.system_site_packages else []
        if subprocess.run([python, "-m", "venv", "--clear", *borrowed, str(VENV)], check=False).returncode:
            fail("Python could not make .venv; its own words are above.")


def ranges(part: str) -> list[str]:
    """Return the requirements in pyproject.toml that a lock stands for."""
    project = read_project(ROOT)
    extras = project["optional-dependencies"]
    if part == "dev":
        return [*extras["bench"], *extras["test"], *extras["lint"], *extras["docs"], *extras["plugins"]]
    return [*project["dependencies"], *extras["models"], "setuptools>=77", "wheel", "ninja", "pybind11"]


def install_package() -> None:
    """Compile and install sam_toolkit for editing, if what it is made from has changed."""
    source = (ROOT / "sam_toolkit" / "__init__.py").read_text(encoding="utf-8")
    words = re.findall("^__version__.*", source, re.MULTILINE) + [str(os.environ.get(name)) for name in SWITCHES]
    native = [Path(name) for name in native_files("csrc")]
    stamp = fingerprint(ROOT / "setup.py", ROOT / "pyproject.toml", LOCKS["run"], *native, words=words)
    text = "Compiling the operators and installing sam_toolkit for editing"
    if install_once("package", stamp, text, *EDITABLE, ".", again=not BUILT.exists()):
        for name, state in json.loads(BUILT.read_text(encoding="utf-8")).items():
            if name != "torch" and not state["built"]:
                say(f"  Without the {name} operators, which nothing depends on: {state['reason']}.")


def install_plugins() -> list[Path]:
    """Install for editing each plugin of this repository whose dependencies are there; returns the others."""
    left_out = []
    folders = map(str, VENV.glob("lib/python*/site-packages"))
    there = {normal(found.name) for found in importlib.metadata.distributions(path=list(folders))}
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        folder, stamp = file.parent, fingerprint(file)
        missing = sorted({normal(need) for need in read_project(folder).get("dependencies", [])} - there)
        if missing:
            say(f"Leaving out the plugin {folder.name}, which needs {', '.join(missing)}.")
            left_out.append(folder)
        else:
            text = f"Installing the plugin {folder.name} for editing"
            install_once(folder.name, stamp, text, *EDITABLE, str(folder))
    return left_out


def install_once(name: str, stamp: str, text: str, *arguments: str, again: bool = False) -> bool:
    """Install with pip, unless that was done for this stamp and not `again`; returns whether it did."""
    stamps: dict[str, str] = json.loads(STAMPS.read_text(encoding="utf-8")) if STAMPS.exists() else {}
    if stamps.get(name) == stamp and not again:
        return False
    quiet = [] if sys.stdout.isatty() else ["-qq"]
    with step(text):
        if start("python", "-m", "pip", "install", *quiet, *arguments):
            fail("pip failed; its own words are above. Once that is mended, the same command goes on from here.")
    STAMPS.write_text(json.dumps({**stamps, name: stamp}, indent=1), encoding="utf-8")
    return True


def start(*command: str) -> int:
    """Run a program of .venv in the root of the repository and return its exit code."""
    program = shutil.which(command[0], path=str(BIN))
    if program is None:
        fail(f"{command[0]} is not in .venv; after `dev.py clean`, the same command makes it anew.")
    with subprocess.Popen([program, *command[1:]], cwd=ROOT, env=environment()) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the program has got it as well, and ends in its own way
                continue


def environment() -> dict[str, str]:
    """Return the environment for what is started: programs of .venv first, defaults where nothing is set."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    return {**DEFAULTS, **os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}


def fingerprint(*files: Path, words: list[str] | None = None) -> str:
    """Return a digest of files, by name and content, and of words."""
    contents = [[file.relative_to(ROOT).as_posix(), hashlib.sha256(file.read_bytes()).hexdigest()] for file in files]
    return hashlib.sha256(json.dumps([contents, words]).encode()).hexdigest()


def read_project(folder: Path) -> dict[str, Any]:
    """Return the table `project` of a folder's pyproject.toml."""
    import tomllib  # noqa: PLC0415 - an older Python has none, and is to get as far as the sentence about its age

    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def normal(requirement: str) -> str:
    """Return the name in a requirement as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def python_files() -> list[str]:
    """Return the files and folders of Python code."""
    return [name for name in PYTHON_FILES if (ROOT / name).exists()]


def native_files(*folders: str) -> list[str]:
    """Return the C++ and CUDA files in folders."""
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(str(path) for path in paths if path.suffix in {".h", ".cpp", ".cu"})


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is done, and then how long it took."""
    begun = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"  {time.monotonic() - begun:.0f} s")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    """End with a sentence."""
    raise SystemExit(f"dev.py: {text}")


if __name__ == "__main__":
    raise SystemExit(main())
