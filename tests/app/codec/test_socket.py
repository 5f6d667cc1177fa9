"""The codecs over WebSocket, as a client library sees them."""

from __future__ import annotations

import base64
import json
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import wirecodes
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.codec.socket import MAX_EXPANSION
from tests.serving import PATIENCE, Server, convert

#: Of the server with small limits.
SMALL_MESSAGE = 64 << 10


@contextmanager
def talking(server: Server, path: str) -> Iterator[ClientConnection]:
    with connect(f"{server.websocket_url}/ws/codecs/{path}", max_size=None) as socket:
        yield socket


def ask(socket: ClientConnection, message: str | bytes) -> str | bytes:
    socket.send(message)
    return socket.recv(PATIENCE)


def refused(answer: str | bytes, name: str) -> dict[str, Any]:
    assert isinstance(answer, str)
    document: dict[str, Any] = json.loads(answer)
    assert document["type"] == f"/problems/{name}", document
    assert document["title"]
    assert document["detail"]
    return document


def refusal(server: Server, path: str) -> dict[str, Any]:
    """The problem that a handshake is answered with."""
    with pytest.raises(InvalidStatus) as caught, talking(server, path):
        pass
    response = caught.value.response
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.body or b"")
    assert document["status"] == response.status_code
    return document


@pytest.mark.parametrize("name", [*wirecodes.names(), "huffman+base64"])
def test_a_codec_answers_in_frames_of_its_own_kind(server: Server, name: str) -> None:
    codec = wirecodes.get(name)
    with talking(server, f"{name}/encode") as encode, talking(server, f"{name}/decode") as decode:
        encoded = ask(encode, "SOS SOS")
        assert encoded == (
            codec.encode(b"SOS SOS").decode() if codec.output == "text" else codec.encode(b"SOS SOS")
        )
        assert ask(decode, encoded) == ("SOS SOS" if codec.input == "text" else b"SOS SOS")


def test_text_and_binary_messages_are_the_same_input(server: Server) -> None:
    with talking(server, "base64/encode") as socket:
        assert (
            ask(socket, "grüße")
            == ask(socket, "grüße".encode())
            == base64.b64encode("grüße".encode()).decode()
        )
        assert ask(socket, "") == ask(socket, b"") == ""


def test_options_are_in_the_query(server: Server) -> None:
    with talking(server, "morse/encode?to=units&unknown=skip") as socket:
        assert ask(socket, "SO☃S") == "1010100011101110111000101010"
    with talking(server, "morse/decode?from=units") as socket:
        assert ask(socket, "1010100011101110111000101010") == "SOS"
    with talking(server, "morse/encode?to=wav") as socket:
        sound = ask(socket, "E")
        assert isinstance(sound, bytes)
        assert sound.startswith(b"RIFF")


def test_bad_input_is_answered_with_a_problem_and_the_connection_stays(server: Server) -> None:
    with talking(server, "base64/decode") as socket:
        for _ in range(3):
            found = refused(ask(socket, "aGk*"), "decode-error")
            assert (found["position"], found["status"]) == (3, 400)
            assert ask(socket, "aGk=") == b"hi"
    with talking(server, "morse/encode") as socket:
        assert refused(ask(socket, "SOS ☃"), "encode-error")["position"] == 4
        assert refused(ask(socket, b"\xff"), "encode-error")["position"] == 0
        assert ask(socket, "SOS") == "... --- ..."
    with talking(server, "zlib+base64/decode") as socket:
        assert refused(ask(socket, "aGk="), "decode-error")["stage"] == "zlib"


def test_sound_without_morse_is_answered_with_a_problem(server: Server) -> None:
    sound = wirecodes.get("morse").encode("E", to="wav")
    with talking(server, "morse/decode?from=wav") as socket:
        found = refused(ask(socket, sound[:44] + bytes(len(sound) - 44)), "decode-error")
        assert "no Morse heard" in found["detail"]
        assert ask(socket, sound) == "E"


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_an_unknown_codec_is_refused_before_the_upgrade(server: Server, direction: str) -> None:
    for name in ("rot14", "base64+rot14"):
        found = refusal(server, f"{name}/{direction}")
        assert (found["status"], found["type"]) == (404, "/problems/unknown-codec")
        assert found["known"] == list(wirecodes.names())


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("base64/encode?colour=red", "colour"),
        ("base64/decode?max_output=9", "max_output"),
        ("morse/encode?to=smoke", "to"),
        ("morse/encode?to=text&to=units", "to"),
        ("morse/encode?wpm=500&to=wav", "wpm"),
        ("morse/decode?to=units", "to"),
    ],
)
def test_a_bad_option_is_refused_before_the_upgrade(server: Server, path: str, option: str) -> None:
    found = refusal(server, path)
    assert (found["status"], found["type"], found["option"]) == (400, "/problems/bad-option", option)


def test_a_plain_get_is_told_to_upgrade(server: Server) -> None:
    answer = server.get("/ws/codecs/base64/encode")
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


def test_an_answer_has_a_longest_length(small: Server) -> None:
    limit = MAX_EXPANSION * SMALL_MESSAGE
    with talking(small, "zlib/decode") as socket:
        assert ask(socket, zlib.compress(b"x" * limit)) == b"x" * limit
        assert refused(ask(socket, zlib.compress(b"x" * (limit + 1))), "output-too-large")["limit"] == limit
        assert ask(socket, zlib.compress(b"x")) == b"x"
    with talking(small, "morse/encode?to=wav&wpm=1&rate=48000") as socket:
        assert refused(ask(socket, "0" * 1000), "output-too-large")["limit"] == limit


def test_a_message_that_is_too_long_is_closed_with_1009(small: Server) -> None:
    with talking(small, "base64/encode") as socket:
        socket.send(b"x" * (SMALL_MESSAGE + 1))
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv(PATIENCE)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


def test_many_messages_are_answered_in_order(server: Server) -> None:
    with talking(server, "rot13/encode") as socket:
        for number in range(300):
            socket.send(f"a{number}")
        assert [socket.recv(PATIENCE) for _ in range(300)] == [f"n{number}" for number in range(300)]


def test_four_at_once_do_not_mix(server: Server) -> None:
    def talk(number: int) -> bool:
        with talking(server, "base64/encode") as socket:
            messages = [f"{number}.{turn} ".encode() * 1000 for turn in range(20)]
            return all(ask(socket, message) == base64.b64encode(message).decode() for message in messages)

    with ThreadPoolExecutor(4) as clients:
        assert all(clients.map(talk, range(4)))


def test_while_all_slots_are_taken_messages_are_refused_and_the_connection_stays(small: Server) -> None:
    slow = random.Random(5).randbytes(1_000_000)
    with talking(small, "rot13/encode") as socket, ThreadPoolExecutor(2) as clients:
        running = [clients.submit(convert, small, "xz+xz+xz", "encode", slow) for _ in range(2)]
        small.wait_for_metric("codec_jobs", 1)
        small.wait_for_metric("codec_jobs_waiting", 1)
        assert refused(ask(socket, "x"), "codecs-busy")["limit"] == 1
        assert [job.result().status for job in running] == [200, 200]
        assert ask(socket, "x") == "k"
