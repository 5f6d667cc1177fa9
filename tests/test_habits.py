"""What contributors rely on: hooks and workflow use the tools and versions that the rest of the repository names."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

from proxy_tests.processes import ROOT

WORKFLOW = (ROOT / ".github/workflows/test.yml").read_text()
HOOKS = re.findall(r"entry: (.+)", (ROOT / ".pre-commit-config.yaml").read_text())


def test_the_workflow_runs_each_python_that_the_distributions_promise() -> None:
    matrices = [json.loads(found) for found in re.findall(r"python: (\[.+\])", WORKFLOW)]
    assert len(matrices) == 2
    for folder in (".", "proxy", "codecs", "clients/python"):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        listed = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
        assert all(matrix == listed for matrix in matrices), folder
        assert project["requires-python"] == f">={listed[0]}"


def test_the_workflow_builds_with_the_uv_of_the_lock() -> None:
    locked = {
        p["name"]: p["version"]
        for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
        if "version" in p
    }
    assert re.findall(r"uv==(\S+)", WORKFLOW) == [locked["uv"]]


def test_hooks_call_tools_that_are_installed() -> None:
    programs = [hook.split()[0] for hook in HOOKS if hook.startswith(".venv/bin/")]
    assert len(programs) >= 4
    for program in programs:
        assert (Path(sys.executable).parent / Path(program).name).exists(), program


def test_hooks_of_the_javascript_are_scripts_of_the_package() -> None:
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    called = [hook.split()[-1] for hook in HOOKS if hook.startswith("npm ")]
    assert sorted(called) == sorted(scripts)
