"""Channels as server-sent events (HTML, 9.2)."""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, request
from gevent.event import Event as Signal
from gevent.hub import get_hub

from heliograph.channels.errors import InvalidCursor
from heliograph.channels.live.events import Event, Form, Lost
from heliograph.channels.live.start import Start, parse_start
from heliograph.channels.problems import (
    BadChannel,
    BadCursorProblem,
    ChannelsOverloaded,
    TooManyChannelsProblem,
)
from heliograph.channels.service import ChannelService
from heliograph.channels.transports import access
from heliograph.channels.transports.current import current_channels, current_limits
from heliograph.channels.transports.forms import server_sent
from heliograph.channels.transports.models import NAME
from heliograph.channels.transports.tokens import Ticket
from heliograph.problems import Stopping, TooManyRequests
from heliograph.request import bodies
from heliograph.request.client import current_client
from heliograph.request.environ import CONNECTIONS, EXCHANGE, client_socket
from heliograph.request.openapi import TEXT, Answer, operation
from heliograph.request.pauses import pause
from heliograph.request.services import services
from heliograph.websocket.memory import FLOOR, MemoryLimit

bp = Blueprint("heliograph_channel_events", __name__)

#: Bytes in the queue of a client. A client that cannot keep up is disconnected, and resumes by its last id.
MAX_WAITING = 1 << 20

#: Seconds between comments: under the 60 s after which proxies close silent connections, and soon enough to notice a lost client.
COMMENT_INTERVAL = 15.0

COMMENT = b": still here\n\n"

#: Milliseconds that a browser waits before it reconnects: each another time, so that not all come at once after a restart.
RETRY = (1000, 5000)

_READ = 1  # the event bit of loop.io()


def _parameters() -> list[dict[str, object]]:
    text = dict(TEXT)
    return [
        {
            "in": "query",
            "name": "after",
            "description": "A cursor to resume from, or earliest; live only without",
            "schema": text,
        },
        {"in": "header", "name": "Last-Event-ID", "description": "The same, by a browser", "schema": text},
        {"in": "query", "name": "ticket", "description": "Instead of a token", "schema": text},
    ]


@bp.get("/channels/<name>/events")
@operation(
    "Subscribe by server-sent events",
    description=(
        "Each `id` is a cursor, each `data` a message: JSON, the text itself, or base64 in an object. An event `lost` says that "
        "messages before it are lost. A comment every 15 s."
    ),
    tag="Channels",
    path={"name": NAME},
    parameters=_parameters,
    answers={200: Answer("Events without end", "text/event-stream", TEXT)},
    problems=(
        *access.PROBLEMS,
        BadChannel,
        BadCursorProblem,
        ChannelsOverloaded,
        Stopping,
        TooManyChannelsProblem,
        TooManyRequests,
    ),
)
def events(name: str) -> Response:
    own = current_channels()
    ticket = access.require_events(own, name)
    start = _requested_start()
    if services().lifecycle.stopping:
        raise Stopping()
    body = _stream(name, start, ticket) if request.method == "GET" else ()
    response = Response(body, mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx passes each event on at once
    response.headers["Referrer-Policy"] = "no-referrer"  # the URL may have a ticket
    return bodies.sandboxed(response)


def _stream(name: str, start: Start, ticket: Ticket) -> EventStream:
    limits, client = current_limits(), current_client()
    limits.require_subscription(client)
    if ticket.events_channel is not None:
        limits.require_ticket_use(client)
    with limits.using(name, client):
        return EventStream(current_channels(), name, start, ticket)


def _requested_start() -> Start:
    """The last id of a browser goes before the start that its page asked for at first."""
    last = request.headers.get("Last-Event-ID", "").strip()
    try:
        return parse_start(last or request.args.get("after"))
    except InvalidCursor as exc:
        raise BadCursorProblem(str(exc), option="Last-Event-ID" if last else "after") from exc


class EventQueue:
    """A subscriber by server-sent events: the queue of one client."""

    form: Form = staticmethod(server_sent)

    def __init__(self, shut_down: Callable[[], None], memory: MemoryLimit) -> None:
        """`shut_down` ends a connection whose client takes nothing. `memory` is what all connections of the server may hold."""
        self.ended = False
        self._shut_down, self._memory = shut_down, memory
        self._pieces: deque[bytes] = deque()
        self._size = self._sending = 0
        self._ready = Signal()

    def offer(self, data: bytes) -> None:
        if self.ended:
            return
        if self._size and self._size + len(data) > MAX_WAITING:
            self.abort()
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > FLOOR:
            self._memory.report(self, self._sending + self._size)
        self._ready.set()

    def report_loss(self, event: Lost) -> None:
        self.offer(event.made(server_sent))

    def end(self) -> None:
        """Drop the queue: the client knows its last id."""
        self.ended = True
        self._pieces.clear()
        self._size = 0
        self._ready.set()

    def take(self, seconds: float) -> bytes:
        """What is queued, or what comes within `seconds`; empty if nothing does, or at the end."""
        if self._sending > FLOOR:
            self._memory.report(self, self._size)
        self._sending = 0
        self._ready.wait(max(0.0, seconds))
        self._ready.clear()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._sending, self._size = self._size, 0
        return data

    # What the limit of the memory ends, see `websocket.memory`: the client knows its last id.

    def close(self, code: int, reason: str, *, drop: bool) -> None:
        self.abort()

    def abort(self) -> None:
        self.end()
        self._shut_down()

    def release(self) -> None:
        """The stream is over. What is sent to all subscribers at this moment may still come, and is dropped."""
        self.end()
        self._memory.forget(self)


class StreamSocket:
    """The socket of a stream. Its client has nothing more to send, so its end can be noticed at once.

    Where the server shows no socket, a client that left is noticed when the next event or comment cannot be sent.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        # gevent's sockets have the kernel's inside. With TLS what can be read need not be the client's end.
        watched = connection is not None and not isinstance(connection, ssl.SSLSocket)
        self._bare: socket.socket | None = getattr(connection, "_sock", connection) if watched else None
        self._watcher: Any = None

    def watch(self, on_hang_up: Callable[[], None]) -> None:
        if self._bare is not None:
            self._watcher = get_hub().loop.io(self._bare.fileno(), _READ)
            self._watcher.start(self._readable, on_hang_up)

    def _readable(self, on_hang_up: Callable[[], None]) -> None:
        assert self._bare is not None
        try:
            gone = not self._bare.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        self.close()  # also if there is another request already, which is not read here
        if gone:
            on_hang_up()

    def shut_down(self) -> None:
        if self._connection is not None:
            try:
                getattr(self._connection, "_sock", self._connection).shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                return

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None


class EventStream:
    """The answer of one subscriber. Raises like `Hub.subscribed`, before the answer begins; to be closed, also if never begun."""

    def __init__(self, channels: ChannelService, channel: str, start: Start, ticket: Ticket) -> None:
        hub, expires = channels.hub, ticket.grant.expires
        self._expires = float("inf") if expires is None else expires
        self._exchange = request.environ.get(EXCHANGE)
        socket_ = StreamSocket(client_socket(request.environ))
        self._queue = EventQueue(socket_.shut_down, request.environ[CONNECTIONS].memory)
        with ExitStack() as stack:
            stack.callback(self._queue.release)
            stack.callback(socket_.close)
            stack.enter_context(current_limits().subscriptions.holding(current_client()))
            stack.callback(hub.on_stop(self._queue.end))
            stack.enter_context(channels.disconnects.connected(ticket.grant.subject, self._queue.end))
            if ticket.events_channel is not None:
                stack.enter_context(channels.stream_tickets.using(ticket.id, self._queue.end))
            following = stack.enter_context(hub.subscribed(channel, "sse", self._queue, start))
            first = next(following)
            socket_.watch(self._client_left)
            self._ending = stack.pop_all()
        self._pieces = self._run(first, following)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def _client_left(self) -> None:
        if self._exchange is not None:
            self._exchange.left = True  # for the log: the stream itself ends as it should
        self._queue.end()

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]
        self._ending.close()

    def _run(self, first: Event, following: Iterator[Event]) -> Iterator[bytes]:
        yield f"retry: {random.randint(*RETRY)}\n\n".encode() + first.made(server_sent)
        for event in following:
            yield event.made(server_sent)
            pause()
        comment_at = time.monotonic() + COMMENT_INTERVAL
        while not self._queue.ended and time.time() < self._expires:
            left = min(comment_at - time.monotonic(), self._expires - time.time())
            data = self._queue.take(left)
            if data:
                yield data
            if time.monotonic() >= comment_at:
                comment_at = time.monotonic() + COMMENT_INTERVAL
                yield COMMENT
