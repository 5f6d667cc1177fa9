"""The service's WebSockets as a client library sees them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.serving import Server


def client(server: Server, path: str) -> ClientConnection:
    return connect(f"{server.websocket_url}{path}", max_size=None)


@pytest.mark.parametrize(
    "message", ["hello", "", "grüße ☃", b"\x00\xff", b"", "x" * 100_000, b"x" * (1 << 20)]
)
def test_every_message_comes_back_as_it_was(server: Server, message: str | bytes) -> None:
    with client(server, "/ws/echo") as socket:
        socket.send(message)
        assert socket.recv(20) == message


def test_many_messages_come_back_in_order(server: Server) -> None:
    with client(server, "/ws/echo") as socket:
        for number in range(300):
            socket.send(str(number))
        assert [socket.recv(20) for _ in range(300)] == [str(number) for number in range(300)]


@pytest.mark.parametrize(("path", "words"), [("/ws", "Message text was: "), ("/chat/", "You said: ")])
def test_a_text_comes_back_with_words_before_it(server: Server, path: str, words: str) -> None:
    with client(server, path) as socket:
        for text in ("hello", "", "grüße"):
            socket.send(text)
            assert socket.recv(20) == words + text
        socket.send(b"bytes")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


def test_ping_is_answered_pong_and_anything_else_an_error(server: Server) -> None:
    with client(server, "/ws/ping") as socket:
        socket.send("ping")
        assert socket.recv(20) == "pong!"
        for other in ("PING", "", "pong!", b"ping"):
            socket.send(other)
            answer = json.loads(socket.recv(20))
            assert answer["type"] == "error"
            assert answer["detail"]
        socket.send("ping")
        assert socket.recv(20) == "pong!"


def test_a_ping_frame_is_answered(server: Server) -> None:
    with client(server, "/ws/echo") as socket:
        assert socket.ping().wait(20)


def test_a_message_that_is_too_long_is_closed_with_1009(small: Server) -> None:
    with client(small, "/ws/echo") as socket:
        socket.send("x" * 2_000_000)
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv(20)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        assert "65536 bytes" in caught.value.rcvd.reason


def test_a_page_of_elsewhere_is_refused_before_the_upgrade(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{server.websocket_url}/ws/echo", origin=Origin("https://evil.example"))
    assert caught.value.response.status_code == 403


def test_open_websockets_are_counted(server: Server) -> None:
    with client(server, "/ws/echo"), client(server, "/ws/ping"):
        server.wait_for_metric("websockets", 2)
    server.wait_for_metric("websockets", 0)


def test_a_hundred_at_once_each_get_their_own(server: Server) -> None:
    def talk(number: int) -> bool:
        with client(server, "/ws/echo") as socket:
            for turn in range(5):
                socket.send(f"{number}.{turn}")
                if socket.recv(20) != f"{number}.{turn}":
                    return False
        return True

    with ThreadPoolExecutor(50) as clients:
        assert all(clients.map(talk, range(100)))
