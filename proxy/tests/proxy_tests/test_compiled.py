"""The compiled twin: a wheel has it, it runs while it is that of these sources, and the sources work without it."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from heliograph_proxy import compiled

PROJECT = Path(__file__).resolve().parents[2]

MODULES = ["heliograph_proxy." + name.replace("/", ".") for name in compiled.HOT]

TELL = """\
import heliograph_proxy as proxy
import heliograph_proxy.retry as retry
print(proxy.COMPILED, proxy.OUTDATED, retry.__file__)
"""

#: A twin of these alone behaves as the whole one does, and is built in a few seconds.
FEW = ("retry", "readsize")

#: Seconds: a build takes 40 on a fast machine.
BUILD_PATIENCE = 600


def copy_project(folder: Path, hot: Sequence[str] = FEW) -> Path:
    """What an sdist has, with these hot modules."""
    folder.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "VERSION", "LICENSE"):
        shutil.copy(PROJECT / name, folder)
    shutil.copytree(
        PROJECT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    file = folder / "src/heliograph_proxy/compiled.py"
    text, count = re.subn(r"^HOT = \(.*?^\)", f"HOT = {tuple(hot)!r}", file.read_text(), flags=re.M | re.S)
    assert count == 1
    file.write_text(text)
    return folder


def build(project: Path, result: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A wheel, made in an isolated environment by pip or uv, whichever is there."""
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(result), str(project)]
    else:
        uv = [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else ["uv"]
        command = [*uv, "build", "--wheel", "-p", sys.executable, "-o", str(result), str(project)]
    return subprocess.run(
        command,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=BUILD_PATIENCE,
        check=False,
    )


def unpack(result: Path) -> Path:
    [wheel] = result.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(result / "installed")
    return result / "installed"


def told(installed: Path, *options: str) -> list[str]:
    """Whether the twin runs, whether it is outdated, and which file a hot module comes from."""
    env = {**os.environ, "PYTHONPATH": str(installed)}
    ended = subprocess.run(
        [sys.executable, *options, "-c", TELL], env=env, capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a twin of a few modules."""
    folder = tmp_path_factory.mktemp("wheel")
    built = build(copy_project(folder / "project"), folder / "result", {"BUILD_EXTENSION": "yes"})
    assert built.returncode == 0, built.stdout + built.stderr
    return unpack(folder / "result")


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(wheel, tmp_path / "installed"))


def test_a_twin_runs(wheel: Path) -> None:
    assert told(wheel) == ["True", "False", str(wheel / f"heliograph_proxy/retry{EXTENSION_SUFFIXES[0]}")]


@pytest.mark.slow
def test_each_hot_module_is_compiled(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project", compiled.HOT)
    built = build(project, tmp_path / "result", {"BUILD_EXTENSION": "yes"})
    assert built.returncode == 0, built.stdout + built.stderr
    installed = unpack(tmp_path / "result")
    load = "import importlib, sys\nfor one in sys.argv[1:]: print(importlib.import_module(one).__file__)"
    ended = subprocess.run(
        [sys.executable, "-c", load, *MODULES],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    files = ended.stdout.splitlines()
    assert files == [
        str(installed / f"heliograph_proxy/{name}{EXTENSION_SUFFIXES[0]}") for name in compiled.HOT
    ]


def test_a_wheel_has_the_page_the_types_and_the_version(wheel: Path) -> None:
    assert (wheel / "heliograph_proxy/admin/page/index.html").is_file()
    assert (wheel / "heliograph_proxy/py.typed").is_file()
    version = (PROJECT / "VERSION").read_text().strip()
    metadata = (wheel / f"heliograph_proxy-{version}.dist-info/METADATA").read_text()
    assert f"\nVersion: {version}\n" in metadata
    assert (wheel / f"heliograph_proxy-{version}.dist-info/licenses/LICENSE").is_file()


def test_a_changed_source_runs_instead_of_the_twin_of_what_it_was(installed: Path) -> None:
    with (installed / "heliograph_proxy/errors.py").open("a") as source:
        source.write("# changed\n")
    assert told(installed) == ["False", "True", str(installed / "heliograph_proxy/retry.py")]


def test_an_outdated_twin_is_logged_at_the_start(installed: Path, tmp_path: Path) -> None:
    with (installed / "heliograph_proxy/errors.py").open("a") as source:
        source.write("# changed\n")
    file = tmp_path / "proxy.toml"
    file.write_text(
        f'listen = "unix:{tmp_path}/listen"\nadmin = "unix:{tmp_path}/admin"\n'
        f'[log]\naccess = ""\n[[backend]]\nname = "b1"\naddress = "unix:{tmp_path}/b1"\n'
    )
    command = [sys.executable, "-m", "heliograph_proxy", "run", "-c", str(file)]
    env = {**os.environ, "PYTHONPATH": str(installed)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as proxy:
        assert proxy.stderr is not None
        lines: list[str] = []
        for line in proxy.stderr:
            lines.append(line)
            if line.startswith("proxy:"):
                break
        proxy.terminate()
    assert any('"event": "kernel-outdated"' in line for line in lines), lines
    assert "kernel: pure" in lines[-1]


def test_the_twin_can_be_left_unused(wheel: Path) -> None:
    assert told(wheel, "-X", "interpreted") == ["False", "False", str(wheel / "heliograph_proxy/retry.py")]


#: A mistake of types that mypy finds.
MISTAKE = "\nBROKEN: int = 'no number'\n"


@pytest.mark.slow
def test_a_twin_that_cannot_be_built_is_left_out(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    with (project / "src/heliograph_proxy/retry.py").open("a") as source:
        source.write(MISTAKE)
    built = build(project, tmp_path / "result", {"BUILD_EXTENSION": ""})
    assert built.returncode == 0, built.stdout + built.stderr
    installed = unpack(tmp_path / "result")
    assert told(installed) == ["False", "False", str(installed / "heliograph_proxy/retry.py")]
    assert not list(installed.rglob("*.so"))


@pytest.mark.slow
def test_a_twin_that_must_be_built_and_cannot_ends_the_build(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    with (project / "src/heliograph_proxy/retry.py").open("a") as source:
        source.write(MISTAKE)
    built = build(project, tmp_path / "result", {"BUILD_EXTENSION": "yes"})
    assert built.returncode != 0
    assert "Incompatible types in assignment" in built.stdout + built.stderr


def test_a_twin_that_is_not_wanted_is_not_built(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    built = build(project, tmp_path / "result", {"BUILD_EXTENSION": "no"})
    assert built.returncode == 0, built.stdout + built.stderr
    assert [one.name.split("-", 2)[2] for one in (tmp_path / "result").glob("*.whl")] == ["py3-none-any.whl"]


def test_another_value_of_the_switch_is_refused(tmp_path: Path) -> None:
    built = build(copy_project(tmp_path / "project"), tmp_path / "result", {"BUILD_EXTENSION": "maybe"})
    assert built.returncode != 0
    assert "must be yes, no or not set" in built.stdout + built.stderr


@pytest.mark.parametrize("path", compiled.sources(), ids=lambda path: Path(path).stem)
def test_no_slice_has_a_call_in_its_bounds(path: str) -> None:
    """mypyc evaluates the bounds twice when it does not know what is sliced: a write would write twice."""
    tree = ast.parse(Path(path).read_text())
    slices = [node for node in ast.walk(tree) if isinstance(node, ast.Slice)]
    bounds = [bound for one in slices for bound in (one.lower, one.upper) if bound is not None]
    calls = [
        ast.unparse(bound) for bound in bounds if any(isinstance(part, ast.Call) for part in ast.walk(bound))
    ]
    assert calls == []
