"""Publishing by HTTP against servers that refuse, cut their answers, or answer nonsense."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from heliograph_client import Client, Uncertain, Violation

ANSWER = b'{"channel": "c", "epoch": "e", "offset": 1, "time": 1.5}'
WHOLE = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)

#: What a connection gives before it ends: nothing, half a head, a head without its body, half a body.
CUTS = (0, 30, len(WHOLE) - len(ANSWER), len(WHOLE) - 20)


def serve(listening: socket.socket, asked: list[bytes]) -> None:
    for end in (*CUTS, len(WHOLE)):
        connection, _ = listening.accept()
        with connection:
            request = b""
            while not request.endswith(b"hello"):
                request += connection.recv(65536)
            asked.append(request)
            connection.sendall(WHOLE[:end])


def test_a_cut_answer_is_no_answer_and_the_same_key_asks_again() -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening, asked))
        server.start()
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}", chance=lambda: 0.01) as client:
            published = client.publish("c", "hello", timeout=20)
        server.join()
    assert (published.cursor.epoch, published.cursor.offset, published.time) == ("e", 1, 1.5)
    keys = {
        line for request in asked for line in request.split(b"\r\n") if line.startswith(b"Idempotency-Key: ")
    }
    assert (len(asked), len(keys)) == (len(CUTS) + 1, 1)


def impatient() -> float:
    return 0.05


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers each POST with the next of the server's `answers`: a status, header fields and a body; None cuts the connection."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.seen.append(dict(self.headers))
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, fields, body = answer
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def scripted() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.seen, server.answers = [], []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


STORED: tuple[int, dict[str, str], bytes] = (
    201,
    {},
    b'{"channel": "c", "epoch": "e", "offset": 7, "time": 1.5}',
)


def test_publishing_is_repeated_with_the_same_key_until_there_is_an_answer(scripted: Any) -> None:
    scripted.answers += [None, (503, {"Retry-After": "0"}, b"busy"), (502, {}, b"{}"), STORED]
    with Client(scripted.url, chance=impatient) as client:
        assert client.publish("c", "x").offset == 7
    assert len({seen["Idempotency-Key"] for seen in scripted.seen}) == 1
    assert len(scripted.seen) == 4


def test_without_an_answer_in_time_the_key_to_go_on_with_is_said(scripted: Any) -> None:
    scripted.answers += [None, STORED]
    with Client(scripted.url, chance=lambda: 1.0) as client:
        with pytest.raises(Uncertain) as caught:
            client.publish("c", "x", timeout=0.3)
        client.publish("c", "x", key=caught.value.key)
    assert scripted.seen[0]["Idempotency-Key"] == scripted.seen[1]["Idempotency-Key"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"epoch": "e", "offset": "x"}', b"{" * 100_000])
def test_an_acknowledgement_that_is_none_is_not_believed(scripted: Any, body: bytes) -> None:
    scripted.answers += [(201, {}, body)]
    with Client(scripted.url) as client, pytest.raises(Violation):
        client.publish("c", "x")
