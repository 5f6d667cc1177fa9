"""Publishing by HTTP from Python, against a server whose answers are cut."""

from __future__ import annotations

import socket
import threading

from heliograph_client import Client

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
