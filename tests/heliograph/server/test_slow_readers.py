"""Clients that take their answers slowly, at the server itself. proxy_tests/test_slow_clients.py has those of the proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.heliograph.server.test_hosting import CONFIGURED
from tests.serving import HOST, Server

#: More than the kernel keeps.
SIZE = 16 << 20

#: Seconds that the program lets a client be silent.
SILENCE = 2.0


def program(port: int) -> list[str]:
    application = "tests.heliograph.server.slow_readers_program:app"
    return [*CONFIGURED, "--bind", f"127.0.0.1:{port}", application]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("slow-readers"), command=program) as running:
        running.wait_for_port(running.port)
        yield running


def begin(name: str) -> bytes:
    return f"GET /{SIZE}?{name} HTTP/1.1\r\n".encode() + HOST + b"Connection: close\r\n\r\n"


def cut(server: Server, name: str) -> bool:
    return any(line.get("query") == name and not line["complete"] for line in server.log_lines())


def test_a_large_piece_may_take_longer_than_silence(server: Server) -> None:
    size, begun = 0, time.monotonic()
    with server.connect() as wire:
        wire.send(begin("steady"))
        while piece := wire.socket.recv(64 << 10):
            size += len(piece)
            time.sleep(0.015)
    assert size > SIZE
    assert time.monotonic() - begun > SILENCE


def test_a_reader_below_the_rate_is_cut(server: Server) -> None:
    deadline = time.monotonic() + 30
    with server.connect() as wire:
        wire.send(begin("slow"))
        while not cut(server, "slow"):
            assert wire.socket.recv(64 << 10)
            time.sleep(0.4)
            assert time.monotonic() < deadline


def test_a_reader_who_takes_nothing_is_cut(server: Server) -> None:
    with server.connect() as wire:
        wire.send(begin("silent"))
        server.logged(query="silent", complete=False)
