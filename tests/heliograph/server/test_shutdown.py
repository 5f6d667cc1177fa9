"""The end of a process with open WebSockets."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.heliograph.websocket.raw import BINARY, RawWebSocket, frame, handshake
from tests.serving import HOST, Server, gunicorn, problem

#: Seconds after which the impatient server cuts off whoever is left.
GRACE = 3


def impatient(port: int) -> list[str]:
    return [PYTHON, "-m", "tests.impatient", str(port)]


@pytest.mark.parametrize("command", [gunicorn, impatient])
def test_clients_are_told_1012_and_the_process_ends_soon(
    tmp_path: Path, command: Callable[[int], list[str]]
) -> None:
    with Server(tmp_path, command=command) as server, ExitStack() as stack:
        server.started()
        sockets = [stack.enter_context(connect(f"{server.websocket_url}/ws/echo")) for _ in range(3)]
        sockets[0].send("hello")
        assert sockets[0].recv(20) == "hello"
        began = time.monotonic()
        server.send(signal.SIGTERM)
        for socket in sockets:
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv(20)
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1012, "service restart")
        assert server.wait(10) == 0
        assert time.monotonic() - began < 7
    assert "Traceback" not in server.output


def test_a_client_that_never_reads_is_cut_off_before_the_grace_ends(tmp_path: Path) -> None:
    with Server(tmp_path, command=impatient) as server, RawWebSocket(server.started()) as deaf:
        deaf.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            deaf.send(frame(BINARY, b"x" * 500_000) * 40)
        with RawWebSocket(server) as other:
            began = time.monotonic()
            server.send(signal.SIGTERM)
            assert other.frame().code == 1012
            assert server.wait(12) == 0
            assert time.monotonic() - began < GRACE
    assert "Traceback" not in server.output


def test_what_comes_after_the_close_frame_is_dropped(tmp_path: Path) -> None:
    with (
        Server(tmp_path, command=impatient) as server,
        RawWebSocket(server.started()) as late,
        server.connect() as wire,
    ):
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        wire.answer()
        server.send(signal.SIGTERM)
        assert late.frame().code == 1012
        late.send(frame(BINARY, b"too late"))
        wire.send(handshake())
        problem(wire.answer(), 503, "stopping")
        assert late.rest() == b""
        assert server.wait(10) == 0
    assert "Traceback" not in server.output
