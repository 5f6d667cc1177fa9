"""Listening beyond loopback is refused, however the address was given, unless a secret or a clear word allows it."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, Process, answers, clean_environment, free_port

from heliograph.given import SettingError
from heliograph.request.options import AccessOptions
from heliograph.server import guard

CLOSED = AccessOptions.read({})
GUNICORN = (PYTHON, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py")
SECRET = "0123456789abcdef0123456789abcdef"


def ended(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """A start that must be refused."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refusal(output: str) -> str:
    """The one line that says why."""
    [line] = [line for line in output.splitlines() if "beyond loopback" in line]
    assert all(name in line for name in ("HELIOGRAPH_AUTH_SECRET", "HELIOGRAPH_OPEN=1"))
    return line


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--bind", "0.0.0.0:{port}"), {}),
        (("-b", "[::]:{port}"), {}),
        (("-b", "127.0.0.1:{other}", "-b", ":{port}"), {}),
        ((), {"GUNICORN_CMD_ARGS": "--bind=0.0.0.0:{port}"}),
    ],
)
def test_gunicorn_ends_before_it_listens(
    arguments: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    port, other = free_port(), free_port()
    told = [text.format(port=port, other=other) for text in arguments]
    given = {name: text.format(port=port) for name, text in environment.items()}
    pidfile = tmp_path / "pid"
    result = ended([*GUNICORN, "--pid", str(pidfile), *told, "wsgi:app"], **given)
    assert result.returncode == 1, result.stderr
    assert refusal(result.stderr).startswith("--bind=")
    assert "Listening at" not in result.stderr
    assert not pidfile.exists()


def test_gunicorn_looks_at_a_socket_that_it_inherits() -> None:
    with socket.create_server(("0.0.0.0", free_port())) as listener:
        number = listener.fileno()
        command = [*GUNICORN, "--bind", f"fd://{number}", "wsgi:app"]
        result = subprocess.run(
            command,
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            pass_fds=(number,),
            timeout=60,
            check=False,
        )
    assert (result.returncode, refusal(result.stderr)[:7]) == (1, "--bind=")


def test_gunicorn_without_our_configuration_is_refused_by_the_application(tmp_path: Path) -> None:
    command = [PYTHON, "-m", "gunicorn", "-k", "gevent", "--bind", f"0.0.0.0:{free_port()}", "wsgi:app"]
    result = ended(command)
    assert (result.returncode, refusal(result.stderr)[:18]) == (3, "a listening socket")


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (("-m", "flask", "--app", "wsgi", "run", "--host", "0.0.0.0"), {}),
        (("-m", "flask", "--app", "wsgi", "run"), {"FLASK_RUN_HOST": "::"}),
        (("-m", "app", "--host", "0.0.0.0"), {}),
    ],
)
def test_development_servers_are_refused_as_well(
    command: tuple[str, ...], environment: dict[str, str]
) -> None:
    result = ended([PYTHON, *command], **environment)
    assert result.returncode in (1, 3)
    assert refusal(result.stderr).startswith("--host=")


@pytest.mark.parametrize("environment", [{"HELIOGRAPH_AUTH_SECRET": SECRET}, {"HELIOGRAPH_OPEN": "1"}])
def test_a_secret_or_a_clear_word_allows_it(environment: dict[str, str]) -> None:
    access = AccessOptions.read(environment)
    guard.refuse_open(access, [("0.0.0.0", 1), ("::", 1)], "--bind")
    with socket.create_server(("0.0.0.0", 0)):
        guard.refuse_open_sockets(access)


def test_loopback_and_unix_sockets_are_always_allowed(tmp_path: Path) -> None:
    addresses: list[guard.Address] = [
        ("127.0.0.1", 1),
        ("127.9.9.9", 1),
        ("localhost", 1),
        ("::1", 1),
        ("::ffff:127.0.0.1", 1),
        "/run/app.sock",
    ]
    guard.refuse_open(CLOSED, addresses, "--bind")
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as inner:
        unix.bind(str(tmp_path / "socket"))
        unix.listen()
        guard.refuse_open(CLOSED, [unix.fileno(), inner.fileno()], "--bind")
        guard.refuse_open_sockets(CLOSED)


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "a..b." + "y" * 300])
def test_what_can_be_no_name_is_refused_in_the_same_words(host: str) -> None:
    with pytest.raises(SettingError, match="beyond loopback"):
        guard.refuse_open(CLOSED, [(host, 1)], "--host")


def test_a_process_that_listens_for_everybody_is_seen() -> None:
    guard.refuse_open_sockets(CLOSED)
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6),
        pytest.raises(SettingError, match=r"^a listening socket='::'"),
    ):
        guard.refuse_open_sockets(CLOSED)


#: A process of its own: other tests may have listeners in this one.
LATE = """
import socket
from flask import Flask
from heliograph import Heliograph
from heliograph.options import LIBRARY
from heliograph.settings import load

app = Flask("late")
settings = load({"HELIOGRAPH_CHANNELS": "memory://", "HELIOGRAPH_SPOOL": "spool"}, LIBRARY)
live = Heliograph(app, endpoints=("channels", "events"), settings=settings)
print(app.test_client().get("/channels").status_code)
with socket.create_server(("0.0.0.0", 0)):
    for _ in range(2):
        answer = app.test_client().get("/channels")
        print(answer.status_code, answer.json["detail"])
live.close()
"""


def test_a_server_that_binds_after_the_application_was_made_serves_nobody(tmp_path: Path) -> None:
    ended = subprocess.run(
        [PYTHON, "-c", LATE],
        check=True,
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    before, *after = ended.stdout.splitlines()
    assert before == "200"  # nothing listens: this is no server yet
    assert [(line[:3], refusal(line[4:])[:18]) for line in after] == [("503", "a listening socket")] * 2


@pytest.mark.parametrize("option", [True, False])
def test_the_dev_server_takes_a_port(tmp_path: Path, option: bool) -> None:
    port = free_port()
    command = [PYTHON, "-m", "app", "--host", "127.0.0.1", *(["--port", str(port)] if option else [])]
    environment = {"HELIOGRAPH_CHANNELS": "memory://", "PORT": str(free_port() if option else port)}
    with Process(command, tmp_path / "output", environment).wait_for_port(port):
        assert answers(port)


def test_a_wrong_port_is_told_in_one_line() -> None:
    result = ended([PYTHON, "-m", "app", "--port", "70000"])
    assert result.stderr.splitlines()[-1].endswith("--port: a whole number from 1 to 65535 is allowed")
