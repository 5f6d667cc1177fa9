"""script/setup, script/setup.py and script/checks.py: what they decide, on real folders and real processes.

A stand-in for uv notes how it is called and makes an empty environment: what uv itself installs is another's to test.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, Process, alive, clean_environment, until

from script.setup import COMPLETE, KEPT, PROFILES, UV, key

#: The stand-in. What it does to `sync` is told by a file beside it, so that a test changes it while others run.
STANDIN = """\
#!/bin/sh
[ "$1" = --version ] && echo "uv 0.13.9 (of the tests)" && exit
here=$(dirname "$0")
echo "$BUILD_EXTENSION: $*" >>"$here/calls"
{python} -m venv --without-pip "$UV_PROJECT_ENVIRONMENT" || exit
case $(cat "$here/behaviour") in
  broken) echo "this is why" >&2; exit 3 ;;
  endless) exec sleep 60 ;;
esac
"""

BECOME = ("--", "-c", "import sys; print('became', sys.prefix)")


class Checkout:
    """The scripts, a library that is enough for them, and distributions to build that are never built."""

    def __init__(self, folder: Path) -> None:
        self.root, self.tools = folder / "checkout", folder / "tools"
        shutil.copytree(ROOT / "script", self.root / "script", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "src/heliograph/stack", self.root / "src/heliograph/stack")
        for name in ("proxy/src/heliograph_proxy/retry.py", "codecs/src/wirecodes/kernels.pyx"):
            (self.root / name).parent.mkdir(parents=True)
            (self.root / name).touch()
        for name in ("pyproject.toml", "uv.lock", "src/heliograph/__init__.py"):
            (self.root / name).write_text("# nothing\n")
        self.tools.mkdir()
        self.behave("good")
        (self.tools / "uv").write_text(STANDIN.format(python=sys.executable))
        (self.tools / "uv").chmod(0o755)
        # Which Python a machine has is not what is tested here.
        (self.tools / "python3.13").symlink_to(sys.executable)

    def behave(self, how: str) -> None:
        (self.tools / "behaviour").write_text(how)

    @property
    def calls(self) -> list[str]:
        """How uv was called."""
        noted = self.tools / "calls"
        return noted.read_text().splitlines() if noted.exists() else []

    @property
    def environments(self) -> list[Path]:
        return sorted(path for path in (self.root / ".venvs").iterdir() if path.name != "link")

    def environment(self, **extra: str) -> dict[str, str]:
        path = f"{self.tools}:{os.environ['PATH']}"
        return {**clean_environment(), "PATH": path, "BUILD_EXTENSION": "", **extra}

    def ended(self, profile: str = "app", **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["script/setup", profile, *BECOME],
            cwd=self.root,
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def set_up(self, profile: str = "app", **extra: str) -> Path:
        """The environment that a set-up, which has to succeed, became a command of."""
        ended = self.ended(profile, **extra)
        assert ended.returncode == 0, ended.stderr
        return Path(ended.stdout.removeprefix("became ").rstrip("\n"))

    def process(self, output: Path) -> Process:
        return Process(["script/setup", "app", *BECOME], output, self.environment(), self.root)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_it_installs_once_and_becomes_the_command_by_the_real_path(checkout: Checkout) -> None:
    first = checkout.ended()
    [venv] = checkout.environments
    assert first.stdout == f"became {venv}\n"
    assert "Setting up .venvs/" in first.stderr
    assert (checkout.root / ".venv").resolve() == venv
    second = checkout.ended()
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert len(checkout.calls) == 1


def test_each_profile_has_an_environment_and_the_link_leads_to_the_last(checkout: Checkout) -> None:
    app, dev, bench = (checkout.set_up(profile) for profile in ("app", "dev", "bench"))
    assert len({app, dev, bench}) == 3
    assert (checkout.root / ".venv").resolve() == bench
    checkout.set_up("app")
    assert (checkout.root / ".venv").resolve() == app
    assert [re.search(r"--group (\w+)", call)[1] for call in checkout.calls] == ["app", "dev", "dev"]  # type: ignore[index]
    built = ["--no-editable-package heliograph-proxy" in call for call in checkout.calls]
    assert built == [True, False, True]


def test_a_folder_named_venv_that_somebody_made_is_left_alone(checkout: Checkout) -> None:
    (checkout.root / ".venv").mkdir()
    venv = checkout.set_up()
    assert venv.parent.name == ".venvs"
    assert not (checkout.root / ".venv").is_symlink()


@pytest.mark.parametrize(
    ("changed", "profile"),
    [
        ("uv.lock", "dev"),
        ("pyproject.toml", "dev"),
        ("codecs/src/wirecodes/kernels.pyx", "dev"),
        ("proxy/src/heliograph_proxy/retry.py", "app"),
    ],
)
def test_a_change_of_what_is_installed_needs_another_environment(
    checkout: Checkout, changed: str, profile: str
) -> None:
    before = key(checkout.root, PROFILES[profile], "")
    with (checkout.root / changed).open("a") as file:
        file.write("# changed\n")
    assert key(checkout.root, PROFILES[profile], "") != before


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "made",
    [
        "src/heliograph/new.py",
        "proxy/src/heliograph_proxy/__pycache__/retry.pyc",
        "proxy/src/heliograph_proxy.egg-info/PKG-INFO",
        "codecs/src/wirecodes/kernels.c",
        "codecs/src/wirecodes/kernels.so",
    ],
)
def test_an_edit_of_the_library_and_what_builds_leave_behind_do_not(
    checkout: Checkout, made: str, profile: str
) -> None:
    before = key(checkout.root, PROFILES[profile], "")
    (checkout.root / made).parent.mkdir(exist_ok=True)
    (checkout.root / made).write_text("new")
    assert key(checkout.root, PROFILES[profile], "") == before


def test_another_version_of_python_needs_another_environment(checkout: Checkout) -> None:
    keys = {key(checkout.root, PROFILES["app"], "", python) for python in ("3.11.7", "3.11.8")}
    assert len(keys) == 2


def test_the_way_the_extensions_are_wanted_is_passed_on_and_counts(checkout: Checkout) -> None:
    assert checkout.set_up(BUILD_EXTENSION="no") != checkout.set_up(BUILD_EXTENSION="yes")
    assert [call.partition(":")[0] for call in checkout.calls] == ["no", "yes"]


def test_a_wrong_wish_for_the_extensions_is_one_line(checkout: Checkout) -> None:
    ended = checkout.ended(BUILD_EXTENSION="perhaps")
    assert ended.returncode == 1
    assert ended.stderr == "The set-up failed: BUILD_EXTENSION=perhaps: must be yes, no or not set\n"


def test_a_failing_installation_is_one_more_line_status_1_and_leaves_nothing(checkout: Checkout) -> None:
    checkout.behave("broken")
    ended = checkout.ended()
    assert ended.returncode == 1
    assert ended.stdout == ""
    *_, why, told = ended.stderr.splitlines()
    assert why == "this is why"
    assert re.fullmatch(r"The set-up failed: uv sync .* ended with status 3; its lines above say why", told)
    assert checkout.environments == []
    checkout.behave("good")
    checkout.set_up()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_installation_leaves_nothing(
    checkout: Checkout, tmp_path: Path, signum: int
) -> None:
    checkout.behave("endless")
    with checkout.process(tmp_path / "output") as process:
        until(lambda: list(checkout.root.glob(".venvs/*/bin/python")), "the installation")
        pids = process.tree()
        assert process.stop(signum) == 128 + signum
    until(lambda: not any(alive(pid) for pid in pids), "the end of the installer")
    assert checkout.environments == []


def test_two_at_once_wait_for_each_other_and_one_installs(checkout: Checkout, tmp_path: Path) -> None:
    with checkout.process(tmp_path / "first") as first, checkout.process(tmp_path / "second") as second:
        assert (first.wait(), second.wait()) == (0, 0)
    assert len(checkout.calls) == 1
    assert first.output.count("became") == second.output.count("became") == 1


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    venv = checkout.set_up()
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/nowhere/python3")
    assert checkout.set_up() == venv
    assert len(checkout.calls) == 2


def test_environments_not_used_for_longest_are_removed_but_never_one_in_use(checkout: Checkout) -> None:
    in_use, unused = checkout.set_up(), checkout.set_up("dev")
    held = os.open(in_use, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    for number in range(KEPT):
        other = checkout.root / ".venvs" / str(number)
        other.mkdir()
        (other / COMPLETE).touch()
    os.utime(in_use / COMPLETE, (0, 0))
    os.utime(unused / COMPLETE, (0, 0))
    checkout.set_up("bench")
    os.close(held)
    assert in_use.exists()
    assert not unused.exists()


def test_what_was_started_holds_its_environment(checkout: Checkout) -> None:
    program = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.prefix, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    ended = subprocess.run(
        ["script/setup", "app", "--", "-c", program],
        cwd=checkout.root,
        env=checkout.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "BlockingIOError" in ended.stderr


def test_without_a_python_it_says_what_is_needed(checkout: Checkout, tmp_path: Path) -> None:
    tools = tmp_path / "few"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "readlink"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "python3").write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2\nexit 1\n")
    (tools / "python3").chmod(0o755)
    ended = checkout.ended(PATH=str(tools))
    assert ended.returncode == 1
    assert "needs Python 3.11 or newer with its venv module" in ended.stderr
    assert "Python 3.9.2" in ended.stderr


#: A build backend in the tree of what it builds, which needs no index: an editable wheel with nothing in it.
BACKEND = """\
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/nothing-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nothing-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: nothing\\nVersion: 1\\n")
        wheel.writestr("nothing-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("nothing-1.dist-info/RECORD", "")
    return "nothing-1-py3-none-any.whl"
"""


@pytest.mark.slow  # pip is made anew for two environments
def test_where_uv_cannot_be_had_pip_installs_the_requirements(checkout: Checkout) -> None:
    (checkout.tools / "uv").write_text("#!/bin/sh\nexit 1\n")
    (checkout.root / "backend.py").write_text(BACKEND)
    (checkout.root / "requirements.txt").write_text("# nothing\n")
    (checkout.root / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    no_index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
    ended = checkout.ended("app", **no_index)
    assert ended.returncode == 0, ended.stderr
    assert "uv cannot be had, so pip installs requirements.txt" in ended.stderr
    venv = Path(ended.stdout.removeprefix("became ").rstrip("\n"))
    assert list(venv.glob("lib/python3.*/site-packages/nothing-1.dist-info"))
    refused = checkout.ended("dev", **no_index)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("The set-up failed: python -m pip install ")


def test_the_uv_that_is_installed_is_the_one_the_lock_has() -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert [package["version"] for package in locked if package["name"] == "uv"] == [UV]


def test_the_requirements_are_those_of_the_lock() -> None:
    comment, options, *exported = (ROOT / "requirements.txt").read_text().splitlines()
    command = options.removeprefix("# uv ").split()
    told = subprocess.run(
        [PYTHON, "-m", "uv", "--offline", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert exported == told.stdout.splitlines()
    assert {".", "./codecs", "./proxy"} < set(exported)
    assert comment.startswith("# ")


def test_the_lock_names_the_public_index_and_no_place_of_this_machine() -> None:
    text = (ROOT / "uv.lock").read_text()
    assert set(re.findall(r'registry = "([^"]*)"', text)) == {"https://pypi.org/simple"}
    assert set(re.findall(r'url = "(https?://[^/"]*)', text)) == {"https://files.pythonhosted.org"}
    assert not re.search(r'"(file:|/)', text)


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    """A checkout with an unformatted file and three tests, one of which lacks what it may not lack."""
    root = tmp_path / "untidy"
    shutil.copytree(ROOT / "script", root / "script", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pyproject.toml").write_text(
        "[tool.ruff]\n[tool.mypy]\nfiles = ['wsgi.py']\n"
        "[tool.pytest.ini_options]\naddopts = \"-m 'not slow'\"\nmarkers = ['slow: long']\n"
    )
    (root / "tests").mkdir()
    for plugin in ("failed_checks", "only_allowed_skips"):
        shutil.copy(ROOT / f"tests/{plugin}.py", root / "tests")
    (root / "wsgi.py").write_text("import   os\n")
    (root / "tests/test_one.py").write_text(
        "import pytest\n\n\n"
        "def test_passes() -> None:\n    assert True\n\n\n"
        "@pytest.mark.slow\ndef test_takes_long() -> None:\n    assert True\n\n\n"
        "def test_lacks() -> None:\n    pytest.skip('redis is not installed')\n\n\n"
        "def test_may_lack() -> None:\n    pytest.skip('Python 2.7 is not to be had')\n"
    )
    (root / "package.json").write_text(
        '{"name": "x", "version": "1.0.0", "scripts": {"types": "exit 3", "lint": "exit 0"}}\n'
    )
    (root / "package-lock.json").write_text(
        '{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "1.0.0"}}}\n'
    )
    return root


def checked(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # At its start pytest closes the folder of all runs, through which the nginx of a test beside this may have to get.
    # Neither workers nor other plugins than the one that script/test has options for: they take a minute to load.
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    environment = {**clean_environment(), **plugins, "PYTEST_DEBUG_TEMPROOT": str(root)}
    return subprocess.run(
        [PYTHON, "-m", "script.checks", *arguments, "-n0"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_checks_of_a_test_run_are_all_run_and_pytest_ends_it(untidy: Path) -> None:
    ended = checked(untidy)
    assert ended.returncode == 1, ended.stdout
    for check in ("ruff check", "ruff format --check", "uv lock --check"):
        assert f"── {check} FAILED" in ended.stdout
    for check in ("mypy", "shellcheck"):
        assert f"── {check}" in ended.stdout
        assert f"── {check} FAILED" not in ended.stdout
    assert (
        "── npm run --silent types FAILED" if shutil.which("npm") else "── npm is missing"
    ) in ended.stdout
    failed, closing = ended.stdout.splitlines()[-2:]
    assert failed.startswith(
        "Checks before the tests that failed: ruff check, ruff format --check, uv lock --check"
    )
    assert " 1 passed, 2 skipped, 1 deselected in " in closing


def test_in_ci_a_test_may_lack_less_and_all_has_the_slow_ones(untidy: Path) -> None:
    ended = checked(untidy, "--ci", "--all", "-q")
    assert ended.returncode == 1
    assert "not allowed here: Skipped: redis is not installed" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("1 failed, 2 passed, 1 skipped in ")


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


@pytest.mark.parametrize("name", ["server", "test", "bench", "rolling"])
@pytest.mark.parametrize("arguments", [["--help"], ["more", "-h"]])
def test_help_comes_at_once_and_sets_nothing_up(tmp_path: Path, name: str, arguments: list[str]) -> None:
    if name in {"server", "rolling"}:
        arguments = arguments[-1:]
    shutil.copytree(ROOT / "script", tmp_path / "script")
    ended = subprocess.run(
        [f"script/{name}", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"script/{name}")
    assert [path.name for path in tmp_path.iterdir()] == ["script"]


@pytest.mark.parametrize("name", ["server", "rolling"])
def test_arguments_are_refused_before_anything_is_set_up(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "script", tmp_path / "script")
    ended = subprocess.run(
        [f"script/{name}", "--unknown"], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n"), "--unknown" in ended.stderr) == (2, 1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["script"]
