"""Channels over WebSocket: with cursors and acknowledgements at /ws/channels/<name>, as plain texts at /events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
from flask import Blueprint, request
from gevent.hub import get_hub
from geventwebsocket.exceptions import WebSocketError

from heliograph.channels.errors import ChannelError
from heliograph.channels.live.events import Event, Form, Lost, Subscribed
from heliograph.channels.live.start import Start, parse_start
from heliograph.channels.problems import (
    BadChannel,
    BadCursorProblem,
    ChannelsOverloaded,
    TooManyChannelsProblem,
    problem_of,
)
from heliograph.channels.service import channels_of_app
from heliograph.channels.transports import access
from heliograph.channels.transports.forms import json_frames, plain_frames
from heliograph.channels.transports.publisher import Objects, OnlyProblems, Publisher
from heliograph.channels.transports.tokens import Grant
from heliograph.problems import BadOption
from heliograph.websocket.broadcast import Prepared
from heliograph.websocket.connection import WebSocketConnection
from heliograph.websocket.frames import TOO_SLOW
from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket

bp = Blueprint("channel_sockets", __name__)

#: Close codes: the token has expired (as Centrifugo has it); try again later (IANA's registry).
TOKEN_EXPIRED, TRY_AGAIN = 3005, 1013

#: Seconds that a client may take for one batch of the history, which is 64 KiB or one message.
REPLAY_PATIENCE = 30.0

_PROBLEMS = (*access.PROBLEMS, BadChannel, BadCursorProblem, ChannelsOverloaded, TooManyChannelsProblem)


@dataclass(frozen=True, slots=True)
class Session:
    """What was asked for, and allowed, before the upgrade."""

    channel: str
    granted: Grant
    start: Start


class SocketMember:
    """A member of an audience."""

    __slots__ = ("connection", "form", "offer")

    def __init__(self, connection: WebSocketConnection, form: Form) -> None:
        self.connection, self.form = connection, form
        self.offer: Callable[[bytes], None] = connection.offer

    def tell(self, event: Event) -> None:
        """Send, and wait until it is out: the history goes no faster than the client reads."""
        frames = event.made(self.form)
        if frames:
            _send(self.connection, frames)

    def report_loss(self, event: Lost) -> None:
        self.offer(event.made(self.form))


class PlainMember(SocketMember):
    __slots__ = ()

    def tell(self, event: Event) -> None:
        if isinstance(event, Lost) or (isinstance(event, Subscribed) and event.recovered is False):
            self.connection.close(TRY_AGAIN, "messages were lost")
        else:
            super().tell(event)

    def report_loss(self, event: Lost) -> None:
        """Plain texts cannot tell; the end can."""
        self.connection.close(TRY_AGAIN, "messages were lost")


def _prepare(name: str) -> Session:
    granted = access.subscriber(channels_of_app(), name, stream=True)
    start = parse_start(request.args.get("after"))
    channels_of_app().hub.probe(name)
    return Session(name, granted, start)


def _prepare_plain() -> Session:
    name = request.args.get("channel")
    if name is None:
        raise BadOption("Give the name of one: /events?channel=lebowski", option="channel")
    granted = access.subscriber(channels_of_app(), name, stream=True)
    # Nothing tells this client when it is subscribed, so it is from now on: before its handshake is complete.
    return Session(name, granted, channels_of_app().hub.probe(name))


@websocket(
    bp,
    "/ws/channels/<name>",
    "Subscribe and publish",
    'First `{"type": "subscribed", …}`, then messages; `{"type": "publish", "data", "ref", "key"}` publishes, and is acknowledged. '
    "`?after=` resumes behind a cursor, or from `earliest`; `?ticket=` stands for a token.",
    prepare=_prepare,
    problems=_PROBLEMS,
)
def channel(socket: Socket, session: Session) -> None:
    connection = socket.accept()
    publisher = Publisher(connection, channels_of_app(), session.channel, session.granted, Objects())
    member = SocketMember(connection, json_frames(socket.deflate))
    _talk(socket, session, member, publisher.take_object)


@websocket(
    bp,
    "/events",
    "Plain texts both ways",
    "What is published on `?channel=` arrives, what the client sends is published. `?ticket=` stands for a token.",
    prepare=_prepare_plain,
    problems=(*_PROBLEMS, BadOption),
)
def plain(socket: Socket, session: Session) -> None:
    connection = socket.accept()
    publisher = Publisher(connection, channels_of_app(), session.channel, session.granted, OnlyProblems())
    member = PlainMember(connection, plain_frames(socket.deflate))
    _talk(socket, session, member, publisher.take_plain)


def _talk(
    socket: Socket, session: Session, member: SocketMember, take: Callable[[str | bytes], None]
) -> None:
    connection, hub = member.connection, channels_of_app().hub
    with _until(session.granted.expires, connection):
        try:
            with hub.subscribed(session.channel, "websocket", member, session.start) as events:
                for event in events:
                    member.tell(event)
                while (message := socket.receive()) is not None:
                    take(message)
        except ChannelError as exc:  # the log failed since the upgrade
            connection.offer(Prepared(Objects().refused("null", problem_of(exc))).frame(None))
            connection.close(TRY_AGAIN, "the channel cannot be subscribed to now")


def _send(connection: WebSocketConnection, frames: bytes) -> None:
    try:
        with gevent.Timeout(REPLAY_PATIENCE):
            connection.send(frames)
    except gevent.Timeout:
        connection.close(TOO_SLOW, "too slow")
        raise WebSocketError("the client takes nothing") from None
    gevent.sleep(0)


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
