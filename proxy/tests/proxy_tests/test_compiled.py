"""The compiled twin: used while it is that of these sources, and only then; the sources work without it."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import heliograph_proxy
import pytest
from heliograph_proxy import compiled

from tests.processes import ROOT, clean_environment

TELL = "import heliograph_proxy.session; print(heliograph_proxy.COMPILED, heliograph_proxy.session.__file__)"

MODULES = ["proxy." + name.replace("/", ".") for name in compiled.HOT]

needs_twin = pytest.mark.skipif(
    not compiled.folder(sys.prefix).is_dir() and os.environ.get("CI") != "true",
    reason="the proxy is not compiled",
)


def told(*options: str, folder: Path = ROOT) -> list[str]:
    command = [sys.executable, *options, "-c", TELL]
    output = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, check=True
    ).stdout
    return output.decode().split()


@needs_twin
def test_the_twin_of_these_sources_is_used() -> None:
    used, file = told()
    assert used == "True"
    assert file.startswith(str(compiled.folder(sys.prefix)))
    assert file.endswith(".so")


@needs_twin
@pytest.mark.skipif(not heliograph_proxy.COMPILED, reason="these tests run interpreted")
@pytest.mark.parametrize("name", MODULES)
def test_each_hot_module_is_compiled(name: str) -> None:
    assert str(importlib.import_module(name).__file__).endswith(".so")


def test_a_changed_source_is_used_instead_of_the_twin_of_what_it_was(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proxy", tmp_path / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "proxy/src/heliograph_proxy/retry.py").open("a") as source:
        source.write("# changed\n")
    assert told(folder=tmp_path) == ["False", str(tmp_path / "proxy/src/heliograph_proxy/session.py")]


def test_the_twin_can_be_left_unused() -> None:
    assert told("-X", "interpreted") == ["False", str(ROOT / "proxy/src/heliograph_proxy/session.py")]


@pytest.mark.parametrize("path", compiled.sources(), ids=lambda path: path.stem)
def test_no_slice_has_a_call_in_its_bounds(path: Path) -> None:
    """mypyc evaluates the bounds twice when it does not know what is sliced: a write would write twice."""
    slices = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Slice)]
    bounds = [bound for one in slices for bound in (one.lower, one.upper) if bound is not None]
    calls = [
        ast.unparse(bound) for bound in bounds if any(isinstance(part, ast.Call) for part in ast.walk(bound))
    ]
    assert calls == []
