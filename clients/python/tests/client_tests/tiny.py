"""A tiny server that speaks the frames of a channel's WebSocket, or says what no server should, as a test wants.

It has one channel in memory. Each connection is served by the next of `visits`, or properly once these are used up.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

EPOCH = "tinyepoch"

Visit = Callable[["Tiny", ServerConnection, str | None], None]


class Tiny:
    def __init__(self) -> None:
        self.visits: deque[Visit | HTTPStatus] = deque()
        self.messages: list[Any] = []
        self.asked: list[str | None] = []
        self.requests: list[Request] = []
        self.files: dict[str, tuple[str, bytes]] = {}  # by path: what a browser gets besides
        self._grown = threading.Condition()
        self._server = serve(self._serve, "127.0.0.1", 0, process_request=self._admit, compression=None)
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Tiny:
        return self

    def __exit__(self, *_: object) -> None:
        with self._grown:
            self._stopping = True
            self._grown.notify_all()
        self._server.shutdown()
        self._thread.join()

    _stopping = False

    def publish(self, *messages: Any) -> None:
        with self._grown:
            self.messages += messages
            self._grown.notify_all()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if request.path in self.files:
            kind, body = self.files[request.path]
            fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
            return Response(200, "OK", Headers(fields), body)
        if self.visits and isinstance(self.visits[0], HTTPStatus):
            return connection.respond(self.visits.popleft(), '{"title": "No", "detail": "not now"}')  # type: ignore[arg-type]
        return None

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        after = parse_qs(urlsplit(connection.request.path).query).get("after", [None])[0]
        self.asked.append(after)
        visit = self.visits.popleft() if self.visits else Tiny.honest
        assert not isinstance(visit, HTTPStatus)
        with contextlib.suppress(ConnectionClosed):
            visit(self, connection, after)

    def begin(self, connection: ServerConnection, after: str | None) -> int:
        """The first frame; returns the offset that the stream begins behind."""
        epoch, _, offset = (after or "").rpartition(":")
        start, recovered = len(self.messages), None if after is None else False
        if after == "earliest":
            start, recovered = 0, True
        elif epoch == EPOCH and int(offset) <= len(self.messages):
            start, recovered = int(offset), True
        first = {"type": "subscribed", "channel": "c", "epoch": EPOCH, "offset": start}
        connection.send(json.dumps({**first, "recovered": recovered}))
        return start

    def honest(self, connection: ServerConnection, after: str | None) -> None:
        offset = self.begin(connection, after)
        threading.Thread(target=self._listen, args=(connection,), daemon=True).start()
        while not self._stopping:
            with self._grown:
                if len(self.messages) == offset:
                    self._grown.wait(0.05)
                new = self.messages[offset:]
            for data in new:
                offset += 1
                connection.send(message(offset, data))
            if not new:
                connection.ping()  # raises once the client has gone

    def _listen(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            for frame in connection:
                asked = json.loads(frame)
                self.publish(asked["data"])
                answer = {"type": "published", "offset": len(self.messages), "ref": asked["ref"]}
                connection.send(json.dumps(answer))


def message(offset: int, data: Any) -> str:
    shown = {"type": "message", "channel": "c", "offset": offset, "time": 1.5, "data": data}
    return json.dumps(shown)


def saying(*frames: str | bytes, first: bool = True) -> Visit:
    """A visit that says these frames, after the proper first one or instead of it, and then waits for the client to go."""

    def visit(tiny: Tiny, connection: ServerConnection, after: str | None) -> None:
        if first:
            tiny.begin(connection, after)
        for frame in frames:
            connection.send(frame)
        for _ in connection:
            continue

    return visit


def closing(code: int, sent: int) -> Visit:
    """A visit that ends with a close code after so many messages."""

    def visit(tiny: Tiny, connection: ServerConnection, after: str | None) -> None:
        offset = tiny.begin(connection, after)
        for number, data in enumerate(tiny.messages[offset : offset + sent], offset + 1):
            connection.send(message(number, data))
        connection.close(code, "enough")

    return visit


def mute(tiny: Tiny, connection: ServerConnection, after: str | None) -> None:
    """A visit that begins properly, takes what comes and answers nothing, until something was taken."""
    tiny.begin(connection, after)
    connection.recv()
    connection.close(1011)


@contextlib.contextmanager
def tiny_with(*messages: Any) -> Iterator[Tiny]:
    with Tiny() as tiny:
        tiny.publish(*messages)
        yield tiny
