"""One message to many sockets: one frame for each way of compressing, nobody waits, the slow are closed and nobody else notices."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from gevent import socket as green

from heliograph.websocket.broadcast import Prepared, broadcast
from heliograph.websocket.deflate import MAX_INLINE, Deflate
from heliograph.websocket.handshake import agree
from heliograph.websocket.registry import ConnectionRegistry
from heliograph.websocket.socket import Socket
from tests.heliograph.websocket.raw import KEY, Frame
from tests.heliograph.websocket.test_deflate import read


class PairHost:
    """A server of one connection, whose request has been read."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.socket = green.socket(fileno=ours.detach())
        self.client = green.socket(fileno=theirs.detach())
        self.client.settimeout(10)

    def take_over(self) -> bytes:
        return b""


class Subscriber:
    def __init__(self, offer: str | None = None, registry: ConnectionRegistry | None = None) -> None:
        environ: dict[str, Any] = {
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "HTTP_SEC_WEBSOCKET_KEY": KEY,
            **({"HTTP_SEC_WEBSOCKET_EXTENSIONS": offer} if offer else {}),
        }
        self.host = PairHost()
        self.socket = Socket(environ, None, self.host, agree(environ), registry or ConnectionRegistry())

    def open(self) -> Subscriber:
        self.socket.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.exactly(1)
        return self

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.host.client.recv(size - len(data))
            assert piece
            data += piece
        return data

    def raw_frame(self) -> bytes:
        head = self.exactly(2)
        more = {126: 2, 127: 8}.get(head[1], 0)
        length = self.exactly(more)
        return head + length + self.exactly(int.from_bytes(length, "big") if more else head[1])


@contextmanager
def subscribers(*offers: str | None) -> Iterator[list[Subscriber]]:
    with ExitStack() as stack:
        found = []
        for offer in offers:
            one = Subscriber(offer)
            stack.callback(one.host.socket.close)
            stack.callback(one.host.client.close)
            stack.callback(one.socket.abort)
            found.append(one.open())
        yield found


def test_all_get_the_message() -> None:
    with subscribers(*[None] * 20) as many:
        broadcast([one.socket for one in many], "hello")
        broadcast((one.socket for one in many), b"\x00\x01")
        for one in many:
            assert one.raw_frame() == b"\x81\x05hello"
            assert one.raw_frame() == b"\x82\x02\x00\x01"


DEFLATE, NINE = "permessage-deflate", "permessage-deflate; server_max_window_bits=9"


def test_a_message_is_compressed_once_for_each_window(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    compressobj = zlib.compressobj

    def counting(*args: Any) -> Any:
        made.append(args)
        return compressobj(*args)

    monkeypatch.setattr(zlib, "compressobj", counting)
    message = "the same words again and again " * 100
    client_window = "permessage-deflate; client_max_window_bits=10"
    with subscribers(None, DEFLATE, NINE, client_window, DEFLATE, None, NINE) as many:
        broadcast([one.socket for one in many], message)
        frames = [one.raw_frame() for one in many]
    assert len(made) == 2
    assert frames[0] == frames[5]
    assert frames[1] == frames[3] == frames[4]
    assert frames[2] == frames[6]
    for data, bits in ((frames[1], 12), (frames[2], 9)):
        assert read(data, bits).data == message.encode()
    assert frames[0].endswith(message.encode())


def test_a_message_too_long_to_compress_in_passing_goes_as_it_is() -> None:
    prepared = Prepared(b"x" * (MAX_INLINE + 1))
    assert prepared.frame(Deflate(12)) is prepared.frame(None)
    assert prepared.frame(None)[:2] == b"\x82\x7f"


def test_a_slow_one_is_closed_and_the_others_do_not_notice() -> None:
    message = "x" * 50_000
    with subscribers(None, None, None) as (first, slow, last):
        sockets = [first.socket, slow.socket, last.socket]
        count = 0
        while not slow.socket.closed:
            count += 1
            broadcast(sockets, message)
            for one in (first, last):
                assert one.raw_frame()[4:] == message.encode()
        assert 21 <= count < 60
        broadcast(sockets, "on it goes")
        for one in (first, last):
            assert one.raw_frame() == b"\x81\x0aon it goes"
        data = slow.raw_frame()
        while data[0] == 0x81:
            data = slow.raw_frame()
        assert Frame(8, data[2:]).code == 3008


def test_a_socket_that_is_closed_is_passed_over() -> None:
    with subscribers(None, None) as (gone, there):
        gone.socket.close()
        broadcast([gone.socket, there.socket], "hello")
        assert there.raw_frame() == b"\x81\x05hello"
        assert gone.raw_frame()[0] == 0x88


def test_a_socket_that_is_accepted_during_shutdown_is_closed_as_the_others_were() -> None:
    registry = ConnectionRegistry()
    registry.stop()
    late = Subscriber(registry=registry)
    with late.host.socket, late.host.client:
        late.open()
        assert Frame(8, late.raw_frame()[2:]) == Frame(8, b"\x03\xf4service restart")
