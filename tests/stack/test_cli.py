"""The command `heliograph`: what it says by itself. What `run` and `rolling` do stands in test_server and test_rolling."""

from __future__ import annotations

import re
import signal
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, Process, clean_environment, free_port

from heliograph.cli import COMMANDS


def called(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = Path(PYTHON).parent / "heliograph"
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_its_help_names_every_command(arguments: tuple[str, ...]) -> None:
    ended = called(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: heliograph COMMAND")
    assert re.findall(r"^  (\w+)", ended.stdout, re.MULTILINE) == list(COMMANDS)


def test_it_says_its_version() -> None:
    assert called("--version").stdout == f"heliograph {metadata.version('heliograph')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dance",), "heliograph: 'dance' is not one of its commands: run, status, "),
        (("run", "--port", "80"), "heliograph: run takes one application, such as wsgi:app; "),
        (("run", "no application"), "heliograph: run takes one application, such as wsgi:app; "),
        (("rolling", "now"), "heliograph: rolling: unrecognized arguments: now\n"),
    ],
)
def test_what_it_does_not_know_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    ended = called(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_starts_and_writes_nothing(tmp_path: Path, command: str) -> None:
    ended = called(command, "--help", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: heliograph {command}")
    assert list(tmp_path.iterdir()) == []


def test_the_manager_loads_neither_the_application_nor_what_serves_it() -> None:
    program = "import sys, heliograph.cli.run, heliograph.stack.options as o; o.groups(); print(*sys.modules)"
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
