"""Listening sockets: where they can be had, what is said where not, and what a handler gets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.listener import ProxyListener, bind
from heliograph_proxy.values import Address

from proxy_tests.conftest import until
from proxy_tests.processes import free_port


@dataclass
class Accepted:
    """What a handler was given, while it had it: the listener closes it afterwards."""

    kind: type
    peer: Any
    blocking: bool
    no_delay: bool


@contextmanager
def listening(address: Address) -> Iterator[list[Accepted]]:
    accepted: list[Accepted] = []

    def handle(sock: socket.socket, peer: Any) -> None:
        no_delay = (
            sock.family != socket.AF_UNIX and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        )
        accepted.append(Accepted(type(sock), peer, sock.getblocking(), no_delay))

    listener = ProxyListener(address, handle)
    listener.start()
    try:
        yield accepted
    finally:
        listener.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_handler_gets_a_plain_socket_that_waits_for_nothing(host: str) -> None:
    address = Address(host, free_port())
    with listening(address) as accepted, socket.create_connection((host, address.port)) as client:
        until(lambda: accepted, "the connection")
        [one] = accepted
        assert one.peer[:2] == client.getsockname()[:2]
        assert (one.kind, one.blocking, one.no_delay) == (socket.socket, False, True)


def test_a_unix_socket_is_there_while_it_is_listened_on(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with listening(Address(path=str(path))) as accepted, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        until(lambda: accepted, "the connection")
    assert not path.exists()


def test_a_socket_file_that_nobody_answers_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with closing(bind(Address(path=str(path)))), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def refused(address: Address) -> str:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SettingsError) as error:
        bind(address)
    assert len(os.listdir("/proc/self/fd")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_socket_file_that_somebody_answers_on_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert (
            refused(Address(path=str(path))) == f"unix:{path}: cannot be listened on: Address already in use"
        )
        assert path.is_socket()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")
    assert "Address already in use" in refused(Address(path=str(path)))
    assert path.read_text() == "content"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (Address("192.0.2.1", 80), "Cannot assign requested address"),
        (Address("nobody.invalid", 80), ""),
        (Address(path="/nowhere/at/all"), "No such file or directory"),
    ],
)
def test_what_cannot_be_listened_on_is_named(address: Address, reason: str) -> None:
    assert refused(address).startswith(f"{address}: cannot be listened on: {reason}")


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert (
            refused(Address("127.0.0.1", port))
            == f"127.0.0.1:{port}: cannot be listened on: Address already in use"
        )
