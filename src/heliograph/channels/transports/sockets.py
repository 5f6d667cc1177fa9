"""Channels over WebSocket, with cursors and acknowledgements, at /ws/channels/<name>."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from flask import Blueprint, request
from gevent.hub import get_hub
from geventwebsocket.exceptions import WebSocketError

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError
from heliograph.channels.live.events import Event, Form, Lost
from heliograph.channels.live.start import Start, parse_start
from heliograph.channels.problems import (
    BadChannel,
    BadCursorProblem,
    ChannelsOverloaded,
    TooManyChannelsProblem,
    problem_of,
)
from heliograph.channels.transports import access
from heliograph.channels.transports.current import current_channels, current_limits
from heliograph.channels.transports.forms import json_frames
from heliograph.channels.transports.publisher import (
    JsonAnswers,
    PublishAnswers,
    SocketPublisher,
)
from heliograph.channels.transports.tokens import Grant
from heliograph.problems import TooManyRequests
from heliograph.request.client import current_client
from heliograph.request.pauses import pause
from heliograph.websocket.broadcast import Prepared
from heliograph.websocket.connection import WebSocketConnection
from heliograph.websocket.frames import POLICY, TOO_SLOW
from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket

bp = Blueprint("heliograph_channel_sockets", __name__)

#: Close codes: the token has expired (as Centrifugo has it); try again later (IANA's registry).
TOKEN_EXPIRED, TRY_AGAIN = 3005, 1013

#: Seconds that a client may take for one batch of the history, which is 64 KiB or one message.
REPLAY_PATIENCE = 30.0

PROBLEMS = (
    *access.PROBLEMS,
    BadChannel,
    BadCursorProblem,
    ChannelsOverloaded,
    TooManyChannelsProblem,
    TooManyRequests,
)


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """What was requested, and allowed, before the upgrade."""

    channel: str
    granted: Grant
    start: Start


class SocketSubscriber:
    """A subscriber over WebSocket."""

    __slots__ = ("connection", "form", "offer")

    def __init__(self, connection: WebSocketConnection, form: Form) -> None:
        self.connection, self.form = connection, form
        self.offer: Callable[[bytes], None] = connection.offer

    def send(self, event: Event) -> None:
        """Send, and wait until it is out: the history goes no faster than the client reads."""
        frames = event.made(self.form)
        if frames:
            _send(self.connection, frames)

    def report_loss(self, event: Lost) -> None:
        self.offer(event.made(self.form))


def _prepare(name: str) -> SubscribeRequest:
    granted = access.require_subscribe(current_channels(), name, stream=True)
    start = parse_start(request.args.get("after"))
    probe_channel(name)
    return SubscribeRequest(name, granted, start)


def probe_channel(name: str) -> Cursor:
    """The top. Raises what the subscription would be refused with now."""
    limits, client = current_limits(), current_client()
    limits.require_subscription(client)
    with limits.using(name, client):
        return current_channels().hub.probe(name)


@websocket(
    bp,
    "/ws/channels/<name>",
    "Subscribe and publish",
    'First `{"type": "subscribed", …}`, then messages; `{"type": "publish", "data", "ref", "key"}` publishes, and is acknowledged. '
    "`?after=` resumes behind a cursor, or from `earliest`; `?ticket=` stands for a token.",
    prepare=_prepare,
    problems=PROBLEMS,
)
def channel(socket: Socket, wanted: SubscribeRequest) -> None:
    connection = socket.accept()
    publisher = publisher_for(connection, wanted, JsonAnswers())
    subscriber = SocketSubscriber(connection, json_frames(socket.deflate))
    serve(socket, wanted, subscriber, publisher.take_object)


def publisher_for(
    connection: WebSocketConnection, wanted: SubscribeRequest, answers: PublishAnswers
) -> SocketPublisher:
    return SocketPublisher(
        connection, current_channels(), current_limits(), wanted.channel, wanted.granted, answers
    )


def serve(
    socket: Socket,
    wanted: SubscribeRequest,
    subscriber: SocketSubscriber,
    take: Callable[[str | bytes], None],
) -> None:
    connection, hub = subscriber.connection, current_channels().hub
    subscriptions, client = current_limits().subscriptions, current_client()
    disconnected = partial(connection.close, POLICY, "disconnected")
    with _until(wanted.granted.expires, connection), subscriptions.holding(client):
        try:
            with (
                current_channels().disconnects.connected(wanted.granted.subject, disconnected),
                hub.subscribed(wanted.channel, "websocket", subscriber, wanted.start) as events,
            ):
                for event in events:
                    subscriber.send(event)
                while (message := socket.receive()) is not None:
                    take(message)
        except ChannelError as exc:  # the log failed since the upgrade
            connection.offer(Prepared(JsonAnswers().refused("null", problem_of(exc))).frame(None))
            connection.close(TRY_AGAIN, "the channel cannot be subscribed to now")


def _send(connection: WebSocketConnection, frames: bytes) -> None:
    try:
        with gevent.Timeout(REPLAY_PATIENCE):
            connection.send(frames)
    except gevent.Timeout:
        connection.close(TOO_SLOW, "too slow")
        raise WebSocketError("the client takes nothing") from None
    pause()


@contextlib.contextmanager
def _until(expires: float | None, connection: WebSocketConnection) -> Iterator[None]:
    """Close the connection when the token expires."""
    if expires is None:
        yield
        return
    timer: Any = get_hub().loop.timer(max(0.0, expires - time.time()))
    timer.start(connection.close, TOKEN_EXPIRED, "the token has expired")
    try:
        yield
    finally:
        timer.stop()
        timer.close()
