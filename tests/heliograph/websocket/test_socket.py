"""Messages and close codes, frame by frame."""

from __future__ import annotations

import random
import socket

import pytest

from tests.heliograph.websocket.breaches import BREACHES
from tests.heliograph.websocket.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawWebSocket,
    frame,
)
from tests.serving import Server

LIMIT = 64 << 10  # the small server's


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000, LIMIT])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_up_to_the_limit_come_back(small: Server, size: int, opcode: int) -> None:
    message = b"x" * size if opcode == TEXT else random.Random(size).randbytes(size)
    with RawWebSocket(small) as client:
        client.send(frame(opcode, message))
        assert client.frame() == Frame(opcode, message)


def test_fragments_are_joined_and_pings_between_them_answered(server: Server) -> None:
    with RawWebSocket(server) as client:
        pieces = [
            frame(TEXT, "gr\u00fc".encode()[:3], fin=False),
            frame(PING, b"?"),
            frame(CONTINUATION, "\u00fc".encode()[1:], fin=False),
            frame(CONTINUATION, b"ss"),
        ]
        client.send(b"".join(pieces))
        assert client.frame() == Frame(PONG, b"?")
        assert client.frame() == Frame(TEXT, "gr\u00fcss".encode())


def test_a_message_is_taken_however_it_is_cut(server: Server) -> None:
    with RawWebSocket(server) as client:
        for byte in frame(BINARY, b"slow" * 40):
            client.send(bytes([byte]))
        assert client.frame() == Frame(BINARY, b"slow" * 40)


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "bytes"])
@pytest.mark.parametrize("name", BREACHES)
def test_what_breaks_the_protocol_is_closed_with_its_code(
    small: Server, name: str, byte_by_byte: bool
) -> None:
    sent, code = BREACHES[name]
    with RawWebSocket(small) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = frame(TEXT, b"first") + sent  # what came before the breach is answered before it
        for at in range(min(len(first), 200) if byte_by_byte else 0):
            client.send(first[at : at + 1])
        client.send(first[200:] if byte_by_byte else first)
        assert client.frame() == Frame(TEXT, b"first")
        assert client.frame().code == code
        assert client.rest() == b""


def test_after_a_fragmented_message_the_next_one_may_be_long_again(small: Server) -> None:
    with RawWebSocket(small) as client:
        for _ in range(3):
            half = b"x" * (LIMIT // 2)
            client.send(frame(BINARY, half, fin=False) + frame(CONTINUATION, half))
            assert client.frame() == Frame(BINARY, half + half)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 1012, 3000, 4999])
def test_a_close_is_answered_with_its_code(server: Server, code: int) -> None:
    with RawWebSocket(server) as client:
        client.send(frame(CLOSE, code.to_bytes(2, "big") + b"bye"))
        assert client.frame().code == code
        assert client.rest() == b""


def test_a_close_without_a_code_is_answered(server: Server) -> None:
    with RawWebSocket(server) as client:
        client.send(frame(CLOSE))
        assert client.frame() == Frame(CLOSE, b"")
        assert client.rest() == b""


@pytest.mark.parametrize("sent", [b"", b"\x81", frame(TEXT, b"whole")[:-2], frame(BINARY, b"x", fin=False)])
@pytest.mark.parametrize("way", ["closes", "resets"])
def test_a_client_that_goes_away_leaves_nothing(server: Server, sent: bytes, way: str) -> None:
    name = f"gone-socket-{way}-{len(sent)}"
    with RawWebSocket(server, fields={"X-Request-Id": name}) as client:
        client.send(sent)
        if way == "resets":
            client.reset()
    assert server.logged(request_id=name)["status"] == 101


def test_a_client_that_goes_away_before_its_answer_leaves_nothing(server: Server) -> None:
    for _ in range(20):
        with RawWebSocket(server) as client:
            client.send(frame(BINARY, b"x" * 100_000) * 3)
            client.reset()
