"""The command `heliograph`: what it says by itself. What `run` and `rolling` do stands in test_server and test_rolling."""

from __future__ import annotations

import re
import signal
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, Process, free_port

from heliograph.cli import COMMANDS
from tests.heliograph.cli.calling import called


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_its_help_names_every_command(arguments: tuple[str, ...]) -> None:
    ended = called(*arguments, cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: heliograph COMMAND")
    assert re.findall(r"^  (\w+)", ended.stdout, re.MULTILINE) == list(COMMANDS)


def test_it_says_its_version() -> None:
    assert called("--version", cwd=ROOT).stdout == f"heliograph {metadata.version('heliograph')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dance",), "heliograph: 'dance' is not one of its commands: run, status, "),
        (("rolling", "now"), "heliograph: rolling: unrecognized arguments: now\n"),
        (("run", "--prot", "80"), "heliograph: run: --prot is not one of its options; did you mean --"),
        (
            ("run", "--hosts", "x"),
            "heliograph: run: --hosts is not one of its options; did you mean --host?\n",
        ),
        (("run", "--zzz"), "heliograph: run: --zzz is not one of its options; --help lists them\n"),
        (("run", "--roles", "web"), "heliograph: run: --roles is not available in this version\n"),
        (("run", "--host"), "heliograph: run: --host needs a value\n"),
        (
            ("run", "a:b", "c:d"),
            "heliograph: run: it takes one application, and a:b is one, so what is 'c:d'?\n",
        ),
    ],
)
def test_what_it_does_not_know_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    ended = called(*arguments, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_starts_and_writes_nothing(tmp_path: Path, command: str) -> None:
    ended = called(command, "--help", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: heliograph {command}")
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_run_lists_every_setting_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text("= broken")
    for folder, extra in ((ROOT, {"--codec-jobs"}), (tmp_path, set())):
        ended = called("run", "hello:app", "--help", cwd=folder)
        assert (ended.returncode, ended.stderr) == (0, "")
        listed = set(re.findall(r"^  (--[a-z-]+) ", ended.stdout, re.MULTILINE))
        assert {
            "--app",
            "--instances",
            "--proxy-port",
            "--state",
            "--command",
            "--channels",
            "--open",
        } | extra <= listed
    assert [path.name for path in tmp_path.iterdir()] == ["heliograph.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--instances", "none"), "--instances='none': a whole number from 1 to 256 is allowed\n"),
        (("--instances=0",), "--instances='0': a whole number from 1 to 256 is allowed\n"),
        (("hello world",), "--app='hello world': module:callable, module:factory"),
        (
            ("--command", "uvicorn main:api"),
            "--command='uvicorn main:api': a command with {port} in it, such as ",
        ),
        (("--health", "up"), "--health='up': a path such as /health is allowed\n"),
        (("--pythonpath", "src,lib"), "--pythonpath='lib': folders that are there are allowed\n"),
        (("--settings", "no.module"), "--settings='no.module': a module that can be imported is allowed ("),
        ((), "pyproject.toml: [tool.heliograph] proxy_port='x': a whole number from 1 to 65535 is allowed\n"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_where_it_was_set(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "src").mkdir()
    if not arguments:
        (tmp_path / "pyproject.toml").write_text('[tool.heliograph]\nproxy_port = "x"\n')
    free = free_port()
    ended = called("run", *arguments, *(("--admin-port", str(free)) if arguments else ()), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Heliograph does not start: {said}")
    assert ended.stderr.count("\n") == 1


def test_the_manager_loads_neither_the_application_nor_what_serves_it() -> None:
    program = (
        "import sys, heliograph.cli.run, heliograph.stack.options as o; "
        "o.groups({'HELIOGRAPH_SETTINGS': 'app.options'}); print(*sys.modules)"
    )
    told = subprocess.run([PYTHON, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert "app.options" in loaded
    assert not {"flask", "gevent", "gunicorn", "pydantic", "wirecodes", "app.application"} & loaded


@pytest.mark.parametrize(
    ("command", "running"),
    [
        (("heliograph_client", "subscribe", "http://127.0.0.1:9", "any"), '"state"'),
        (("app", "--port", "{port}"), "http://127.0.0.1"),
    ],
)
def test_a_signal_without_a_meaning_is_ignored_with_a_line(
    tmp_path: Path, command: tuple[str, ...], running: str
) -> None:
    told = [text.format(port=free_port()) for text in command]
    with Process([PYTHON, "-m", *told], tmp_path / "output", {"HELIOGRAPH_CHANNELS": "memory://"}) as process:
        process.wait_for_output(running)
        for name in ("SIGUSR1", "SIGUSR2"):
            process.send(signal.Signals[name])
            process.wait_for_output(f"{name}: ignored")
        assert process.running()
