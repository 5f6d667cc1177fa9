"""script/bootstrap, script/environment.py and script/checks.py: what they decide, on real folders and real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, Process, alive, clean_environment, until

from script.environment import Stamp, digest
from tests.stack.checkout import make_venv

PIP_RUNS = "Installing requirements.txt"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts with a requirements file that pip has nothing to do for, and codecs that nothing builds."""
    root = tmp_path / "checkout"
    for name in ("proxy", "script"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "codecs/src/wirecodes").mkdir(parents=True)
    (root / "codecs/pyproject.toml").write_text("[project]\n")
    (root / "codecs/src/wirecodes/__init__.py").write_text("")
    (root / "requirements.txt").write_text("# nothing\n")
    make_venv(root / ".venv", sys.executable)
    return root


def bootstrap(extension: str = "") -> list[str]:
    return [
        "script/bootstrap",
        f"--extension={extension}",
        "requirements.txt",
        "--",
        "-c",
        "import sys; print('became', sys.prefix)",
    ]


def bootstrapped(root: Path, extension: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bootstrap(extension),
        cwd=root,
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def run(root: Path, extension: str = "", **environment: str) -> str:
    """What a set-up prints, which has to succeed."""
    ended = bootstrapped(root, extension, **environment)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_it_installs_once_and_becomes_the_command(checkout: Path) -> None:
    first = run(checkout)
    assert PIP_RUNS in first
    assert f"became {checkout}/.venv" in first
    second = run(checkout)
    assert second == f"became {checkout}/.venv\n"


@pytest.mark.parametrize(
    "changed", ["requirements.txt", "codecs/pyproject.toml", "codecs/src/wirecodes/__init__.py"]
)
def test_it_installs_again_when_this_changed(checkout: Path, changed: str) -> None:
    requirements, stamp = checkout / "requirements.txt", Stamp(checkout / ".venv")
    requirements.write_text("./codecs\n")
    stamp.write(requirements, "")
    assert stamp.holds(requirements, "")
    (checkout / changed).write_text((checkout / changed).read_text() + "\n# changed\n")
    assert not stamp.holds(requirements, "")


def test_what_a_build_leaves_behind_changes_nothing(checkout: Path) -> None:
    requirements = checkout / "requirements.txt"
    requirements.write_text("./codecs\n")
    before = digest(requirements)
    (checkout / "codecs/src/wirecodes/_kernels.c").write_text("made by Cython")
    (checkout / "codecs/build").mkdir()
    (checkout / "codecs/build/setup.py").write_text("")
    assert digest(requirements) == before


def test_an_included_file_counts(checkout: Path) -> None:
    (checkout / "requirements-dev.txt").write_text("-r requirements.txt\n")
    before = digest(checkout / "requirements-dev.txt")
    (checkout / "requirements.txt").write_text("# changed\n")
    assert digest(checkout / "requirements-dev.txt") != before


def test_installing_a_file_installs_what_it_includes(checkout: Path) -> None:
    (checkout / "requirements-dev.txt").write_text("-r requirements.txt\n")
    stamp = Stamp(checkout / ".venv")
    stamp.write(checkout / "requirements-dev.txt", "yes")
    assert stamp.holds(checkout / "requirements.txt", "")
    assert stamp.holds(checkout / "requirements.txt", "yes")


def test_the_way_the_extension_is_wanted_counts_when_it_is_said(checkout: Path) -> None:
    run(checkout, "no")
    assert PIP_RUNS not in run(checkout)
    assert PIP_RUNS not in run(checkout, "no")
    assert PIP_RUNS in run(checkout, "yes")


#: No package index answers here, so nothing can be compiled.
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
COMPILES = "Compiling the proxy"


def test_a_proxy_that_cannot_be_compiled_is_said_once_and_runs_interpreted(checkout: Path) -> None:
    (checkout / "proxy/src/heliograph_proxy/retry.py").write_text("# changed\n")
    first = run(checkout, **NO_INDEX)
    assert COMPILES in first
    assert "runs interpreted" in first
    assert first.endswith(f"became {checkout}/.venv\n")
    assert COMPILES not in run(checkout, **NO_INDEX)
    (checkout / "proxy/src/heliograph_proxy/retry.py").write_text("# changed again\n")
    assert COMPILES in run(checkout, **NO_INDEX)


def test_a_proxy_that_must_be_compiled_and_cannot_ends_the_setup(checkout: Path) -> None:
    (checkout / "proxy/src/heliograph_proxy/retry.py").write_text("# changed\n")
    ended = bootstrapped(checkout, "yes", **NO_INDEX)
    assert ended.returncode == 1
    assert "could not be compiled" in ended.stdout
    assert "became" not in ended.stdout


def test_a_proxy_that_is_not_to_be_compiled_is_not(checkout: Path) -> None:
    (checkout / "proxy/src/heliograph_proxy/retry.py").write_text("# changed\n")
    assert COMPILES not in run(checkout, "no", **NO_INDEX)


def test_an_old_build_of_the_codecs_is_removed_first(checkout: Path) -> None:
    (checkout / "codecs/build").mkdir()
    run(checkout)
    assert not (checkout / "codecs/build").exists()


def test_a_failing_installation_is_one_more_line_status_1_and_no_stamp(checkout: Path) -> None:
    Stamp(checkout / ".venv").write(checkout / "requirements.txt", "")
    (checkout / "requirements.txt").write_text("./nowhere\n")
    ended = subprocess.run(
        bootstrap(),
        cwd=checkout,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("The set-up failed: ")
    assert "became" not in ended.stdout
    assert Stamp(checkout / ".venv").read() == {}


def test_a_broken_venv_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to("/nowhere/python3")
    output = run(checkout, "no")
    assert ".venv is broken or of another Python: making it anew" in output
    assert f"became {checkout}/.venv" in output


def test_without_a_python_it_says_what_is_needed(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "readlink"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "python3").write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2\nexit 1\n")
    (tools / "python3").chmod(0o755)
    ended = subprocess.run(
        bootstrap(),
        cwd=checkout,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "needs Python 3.11 or newer with its venv module" in ended.stderr
    assert "Python 3.9.2" in ended.stderr


def test_two_at_once_wait_for_each_other_and_one_installs(checkout: Path, tmp_path: Path) -> None:
    with (
        Process(bootstrap(), tmp_path / "first", cwd=checkout) as first,
        Process(bootstrap(), tmp_path / "second", cwd=checkout) as second,
    ):
        assert (first.wait(), second.wait()) == (0, 0)
    assert (first.output + second.output).count(PIP_RUNS) == 1
    assert first.output.count("became") == second.output.count("became") == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_installation_leaves_nothing(checkout: Path, tmp_path: Path, signum: int) -> None:
    backend = checkout / "codecs/backend.py"
    backend.write_text("import time\ntime.sleep(60)\n")
    (checkout / "codecs/pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    (checkout / "requirements.txt").write_text("./codecs\n")
    with Process(bootstrap(), tmp_path / "output", cwd=checkout) as process:
        builder = until(lambda: _building(process), "the build")
        pids = process.tree()
        assert builder in pids
        assert process.stop(signum) == 128 + signum
    until(lambda: not any(alive(pid) for pid in pids), "the end of pip and its build")


def _building(process: Process) -> int | None:
    """The build is a child of pip."""
    tree = process.tree()
    return tree[2] if len(tree) > 2 else None


def test_the_checks_of_a_test_run_are_all_run_and_pytest_ends_it(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "script", root / "script", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "tests").mkdir()
    (root / "codecs/tests").mkdir(parents=True)
    shutil.copy(ROOT / "tests/only_allowed_skips.py", root / "tests")
    for name in ("app", "proxy", "conf", "codecs/src"):
        (root / name).mkdir()
    (root / "wsgi.py").write_text("import   os\n")
    (root / "tests/test_one.py").write_text(
        "import pytest\n\n\n"
        "def test_passes() -> None:\n    assert True\n\n\n"
        "def test_lacks() -> None:\n    pytest.skip('redis is not installed')\n\n\n"
        "def test_may_lack() -> None:\n    pytest.skip('Python 2.7 is not to be had')\n"
    )
    (root / "package.json").write_text(
        '{"name": "x", "version": "1.0.0", "scripts": {"types": "exit 3", "lint": "exit 0"}}\n'
    )
    (root / "package-lock.json").write_text(
        '{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "1.0.0"}}}\n'
    )
    # At its start pytest closes the folder of all runs, through which the nginx of a test beside this may have to get.
    environment = {**clean_environment(), "PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    ended, strict = (
        subprocess.run(
            [PYTHON, "-m", "script.checks", *arguments],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for arguments in ([], ["--ci", "-q"])
    )
    assert ended.returncode == 1, ended.stdout
    assert "── ruff check FAILED" in ended.stdout
    assert "── ruff format --check FAILED" in ended.stdout
    assert "── mypy" in ended.stdout
    assert (
        "── npm run --silent types FAILED" if shutil.which("npm") else "── npm is missing"
    ) in ended.stdout
    assert " 1 passed, 2 skipped in " in ended.stdout.splitlines()[-1]
    assert strict.returncode == 1
    assert "not allowed here: Skipped: redis is not installed" in strict.stdout
    assert strict.stdout.splitlines()[-1].startswith("1 failed, 1 passed, 1 skipped in ")


def test_ci_calls_script_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set "))]
    assert len(commands) == 1
    assert commands[0].endswith('script/test"')
    assert os.access(ROOT / ".ci/run", os.X_OK)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "bench", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_comparisons_are_listed_and_an_unknown_one_is_refused_with_their_names() -> None:
    listed = bench()
    assert listed.returncode == 0
    names = [line.split()[1] for line in listed.stdout.splitlines()]
    assert "stack" in names
    unknown = bench("no-such-thing")
    assert unknown.returncode == 1
    assert unknown.stderr == f"script/bench takes one of these names: {', '.join(names)}\n"
