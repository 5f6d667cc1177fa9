"""wsgi.py under each server that the interface names: cooperative, quiet, with raised limits, and ending as it should."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, Process, alive, clean_environment, descriptors, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect, unix_connect
from websockets.typing import Origin

from tests.heliograph.websocket.raw import CLOSE, TEXT, Frame, RawWebSocket, frame, handshake
from tests.serving import PATIENCE, Server, gunicorn, problem

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


def library_worker(port: int) -> list[str]:
    """The line that programs for gevent-websocket have."""
    worker = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"
    return [worker if part == "gevent" else part for part in plain_gunicorn(port)]


def library_handler(port: int) -> list[str]:
    program = f"""
from gevent import monkey
monkey.patch_all()
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from wsgi import app
WSGIServer(("127.0.0.1", {port}), app, handler_class=WebSocketHandler).serve_forever()
"""
    return [PYTHON, "-c", program]


@pytest.mark.parametrize("command", [library_worker, library_handler])
def test_websockets_are_served_by_the_library_s_own_worker_and_handler(
    tmp_path: Path, command: Command
) -> None:
    """These complete the handshake before the application is asked: a refusal is a close frame."""
    with Server(tmp_path, command=command) as server:
        server.started()
        with connect(f"{server.websocket_url}/ws/echo") as websocket:
            for message in ("hello", b"bytes", "x" * 100_000):
                websocket.send(message)
                assert websocket.recv(PATIENCE) == message
        with (
            connect(f"{server.websocket_url}/ws/echo", origin=Origin("https://evil.example")) as websocket,
            pytest.raises(ConnectionClosed) as closed,
        ):
            websocket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        with RawWebSocket(server) as websocket:
            websocket.send(frame(TEXT, b"with the next") + frame(TEXT, b"frame"))
            assert [websocket.frame().payload, websocket.frame().payload] == [b"with the next", b"frame"]
            websocket.send(frame(CLOSE, b"\x03\xe8"))
            assert websocket.frame() == Frame(CLOSE, b"\x03\xe8")
            assert websocket.rest() == b""
        server.wait_for_metric("websockets", 0)
        assert "Traceback" not in server.output


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
        with contextlib.suppress(ProcessLookupError):  # the one may have taken the other along
            os.kill(pid, signal.SIGTERM)
    server.wait()
    until(lambda: not any(map(alive, tree)), "all processes to end")


def test_many_slow_requests_take_no_longer_than_one(running_here: Server) -> None:
    port = str(running_here.port)
    client = [PYTHON, "-m", "tests.simultaneous", port, str(AT_ONCE), "/echo/delay/1"]
    done = subprocess.run(client, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert 1.0 <= float(done.stdout) < AT_MOST


def test_the_worker_may_open_as_many_descriptors_as_the_system_lets_it(running_here: Server) -> None:
    limits = Path(f"/proc/{running_here.worker}/limits").read_text()
    found = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits)
    assert found
    assert found[1] == found[2] == str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    running_here.wait_for_output(rf"limits: {found[1]} open descriptors")  # written by a thread


def test_a_websocket_works_under_every_server(running_here: Server) -> None:
    with connect(f"{running_here.websocket_url}/ws/echo", max_size=None) as websocket:
        for message in ("hello", "", "grüße ☃", bytes(range(256)), "x" * 70_000, b"x" * (1 << 20)):
            websocket.send(message)
            assert websocket.recv(PATIENCE) == message
        assert websocket.ping(b"?").wait(PATIENCE)
        websocket.close(4000, "enough")
    assert websocket.close_code == 4000


def test_frames_that_come_with_the_handshake_are_not_lost_under_any_server(running_here: Server) -> None:
    with running_here.connect() as wire:
        wire.send(handshake() + frame(TEXT, b"early"))
        data = b""
        while not data.endswith(b"early"):
            data += wire.socket.recv(1000)


@pytest.mark.parametrize(
    ("fields", "status", "name"),
    [
        ({"Origin": "https://evil.example"}, 403, "foreign-origin"),
        ({"Sec-WebSocket-Version": "8"}, 426, "upgrade-required"),
        ({"Sec-WebSocket-Key": "short"}, 400, "bad-request"),
        ({"Upgrade": None}, 426, "upgrade-required"),
    ],
)
def test_a_handshake_is_refused_under_every_server(
    running_here: Server, fields: dict[str, str | None], status: int, name: str
) -> None:
    with running_here.connect() as wire:
        wire.send(handshake(fields=fields))
        problem(wire.answer(), status, name)


def test_a_breach_of_the_protocol_has_its_code_under_every_server(running_here: Server) -> None:
    with RawWebSocket(running_here) as client:
        client.send(frame(TEXT, b"first") + frame(TEXT, b"\xff"))
        assert client.frame() == Frame(TEXT, b"first")
        assert client.frame().code == 1007
        assert client.rest() == b""


def test_a_websocket_that_has_ended_leaves_nothing_under_any_server(running_here: Server) -> None:
    def sockets() -> int:
        return sum(file.startswith("socket:") for file in descriptors(running_here.worker))

    until(lambda: running_here.metrics()["heliograph_websockets"] == 0, "all to be closed")
    before = sockets()
    for way in ("close", "vanish", "reset"):
        with RawWebSocket(running_here, fields={"X-Request-Id": f"ended-by-{way}"}) as client:
            client.send(frame(TEXT, b"hello"))
            client.frame()
            if way == "close":
                client.send(frame(CLOSE, b"\x03\xe8"))
                assert client.frame().code == 1000
                assert client.rest() == b""
            elif way == "reset":
                client.reset()
        line = running_here.logged(request_id=f"ended-by-{way}")
        assert (line["status"], line["complete"]) == (101, True)
    until(lambda: running_here.metrics()["heliograph_websockets"] == 0, "all to be closed")
    until(lambda: sockets() <= before, "their sockets to go")


def gunicorn_on(path: Path) -> list[str]:
    return [
        *(PYTHON, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py"),
        *("--bind", f"unix:{path}", "wsgi:app"),
    ]


def plain_gunicorn_on(path: Path) -> list[str]:
    return [
        PYTHON,
        "-m",
        "gunicorn",
        "-k",
        "gevent",
        "--no-control-socket",
        "--bind",
        f"unix:{path}",
        "wsgi:app",
    ]


def flask_on(path: Path) -> list[str]:
    return [PYTHON, "-m", "flask", "--app", "wsgi", "run", "--host", f"unix://{path}"]


@pytest.mark.parametrize("command", [gunicorn_on, plain_gunicorn_on, flask_on])
def test_websockets_work_over_unix_sockets(tmp_path: Path, command: Callable[[Path], list[str]]) -> None:
    path = tmp_path / "server.sock"
    with Process(command(path), tmp_path / "log", {"HELIOGRAPH_SPOOL": str(tmp_path / "spool")}) as server:

        def answers() -> bool:
            assert server.running(), server.output
            with socket.socket(socket.AF_UNIX) as probe:
                return path.exists() and probe.connect_ex(str(path)) == 0

        until(answers, "the server to answer")
        with ExitStack() as stack:  # several at once: all of them have the same address
            clients = [
                stack.enter_context(unix_connect(str(path), "ws://localhost/ws/echo")) for _ in range(3)
            ]
            for number, client in enumerate(clients):
                client.send(f"hello {number}")
            assert [client.recv(PATIENCE) for client in clients] == ["hello 0", "hello 1", "hello 2"]
        assert "Traceback" not in server.output


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


@pytest.mark.parametrize("name", ["HELIOGRAPH_MAX_BODY", "HELIOGRAPH_HISTORY_SIZE", "HELIOGRAPH_CODEC_JOBS"])
def test_an_instance_with_a_wrong_setting_starts_no_worker(tmp_path: Path, name: str) -> None:
    with Server(tmp_path, {name: "huge"}, gunicorn) as server:
        assert server.wait() == 1
        [line] = server.output.splitlines()
        assert line.startswith(f"{name}='huge': ")


def test_listening_beyond_loopback_is_refused_unless_it_is_wanted(tmp_path: Path) -> None:
    with Server(tmp_path, {"PORT": "1"}) as server:
        assert server.wait() == 1
        assert server.output.startswith("PORT='1': listens beyond loopback")


def test_python_is_told_of_the_app_without_being_patched_late(tmp_path: Path) -> None:
    command = [PYTHON, "-W", "error", "-c", "import wsgi; print(type(wsgi.app).__name__)"]
    with Process(command, tmp_path / "log", clean_environment()) as process:
        assert process.wait() == 0
        assert "Flask" in process.output.splitlines()
