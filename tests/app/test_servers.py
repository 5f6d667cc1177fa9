"""wsgi.py under each server that the interface names: cooperative, quiet, with raised limits, and ending as it should."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.serving import Server, gunicorn
from tests.processes import PYTHON, ROOT, Process, alive, clean_environment, until

#: Simultaneous requests, each of which takes a second; and the seconds all of them may take.
AT_ONCE, AT_MOST = 200, 3.0

Command = Callable[[int], list[str]]


def plain_gunicorn(port: int) -> list[str]:
    return [
        PYTHON,
        "-m",
        "gunicorn",
        "-k",
        "gevent",
        "--no-control-socket",
        "--bind",
        f"127.0.0.1:{port}",
        "wsgi:app",
    ]


def flask(port: int) -> list[str]:
    return [PYTHON, "-m", "flask", "--app", "wsgi", "run", "--port", str(port)]


def flask_debug(port: int) -> list[str]:
    return [PYTHON, "-m", "flask", "--app", "wsgi", "run", "--debug", "--port", str(port)]


def pywsgi(port: int) -> list[str]:
    return ["/usr/bin/env", f"HELIOGRAPH_PORT_BASE={port}", PYTHON, "-m", "app"]


COMMANDS: list[Command] = [gunicorn, plain_gunicorn, flask, flask_debug, pywsgi]


@pytest.fixture(scope="module", params=COMMANDS, ids=lambda command: command.__name__)
def running_here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server of each kind, which SIGTERM ends with status 0 where the server has a say in it."""
    with Server(tmp_path_factory.mktemp("server"), command=request.param) as server:
        server.wait_for_port(server.port)
        assert server.get("/healthz").json()["status"] == "ok"
        yield server
        if request.param in (flask, flask_debug):
            end(server, server.tree())
        else:
            assert server.stop() == 0
            assert "Traceback" not in server.output


def end(server: Server, tree: list[int]) -> None:
    """End Flask's server, which has no status for it, and the child that its reloader leaves behind."""
    for pid in tree:
        os.kill(pid, signal.SIGTERM)
    server.wait()
    until(lambda: not any(map(alive, tree)), "all processes to end")


def test_many_slow_requests_take_no_longer_than_one(running_here: Server) -> None:
    port = str(running_here.port)
    client = [PYTHON, "-m", "tests.app.simultaneous", port, str(AT_ONCE), "/echo/delay/1"]
    done = subprocess.run(client, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert 1.0 <= float(done.stdout) < AT_MOST


def test_the_worker_may_open_as_many_descriptors_as_the_system_lets_it(running_here: Server) -> None:
    limits = Path(f"/proc/{running_here.worker}/limits").read_text()
    found = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits)
    assert found
    assert found[1] == found[2] == str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert re.search(rf"limits: {found[1]} open descriptors", running_here.output)


def test_nothing_is_warned_of(running_here: Server) -> None:
    lines = [line for line in running_here.output.splitlines() if "warn" in line.lower()]
    assert all("development server" in line for line in lines), lines  # Flask's own
    assert "Traceback" not in running_here.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_ends_the_start_with_one_line(tmp_path: Path, command: Command) -> None:
    with Server(tmp_path, {"HELIOGRAPH_MAX_BODY": "huge"}, command) as server:
        assert server.wait() != 0
        ours = [line for line in server.output.splitlines() if "HELIOGRAPH" in line]
        assert ours == [
            "HELIOGRAPH_MAX_BODY='huge': a size of at least 1 bytes, such as 1048576, 64MiB or 4 GiB, is allowed"
        ]
        assert "Traceback" not in server.output


def test_listening_beyond_loopback_is_refused_unless_it_is_wanted(tmp_path: Path) -> None:
    with Server(tmp_path, {"PORT": "1"}) as server:
        assert server.wait() == 1
        assert server.output.startswith("PORT='1': listens beyond loopback")


def test_python_is_told_of_the_app_without_being_patched_late(tmp_path: Path) -> None:
    command = [PYTHON, "-W", "error", "-c", "import wsgi; print(wsgi.app.name)"]
    with Process(command, tmp_path / "log", clean_environment()) as process:
        assert process.wait() == 0
        assert "app" in process.output.splitlines()
