"""The short ways to a channel: `POST /push` publishes a member of an object, the WebSocket `/events` carries plain texts."""

from __future__ import annotations

import json

from flask import Blueprint, Response, request

from heliograph.channels.live.events import Event, Lost, Subscribed
from heliograph.channels.message import Kind
from heliograph.channels.problems import MessageTooLongProblem
from heliograph.channels.transports import access, http, posts, sockets
from heliograph.channels.transports.current import current_channels
from heliograph.channels.transports.forms import plain_frames
from heliograph.channels.transports.jsontext import JsonMember, is_text
from heliograph.channels.transports.models import PushDocument, PushedMessage
from heliograph.channels.transports.publisher import ProblemAnswers
from heliograph.problems import BadDocument
from heliograph.request import bodies
from heliograph.request.openapi import Answer, operation
from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket

bp = Blueprint("heliograph_events", __name__)


@bp.post("/push")
@operation(
    "Publish a member of an object",
    description="Its member `message` is published as JSON. Without `channel` HELIOGRAPH_DEFAULT_CHANNEL is used.",
    tag=http.TAG,
    parameters=http.key_parameter,
    body={"application/json": PushDocument},
    answers={200: Answer("Published", model=PushedMessage)},
    problems=(*http.PUBLISHING_PROBLEMS, MessageTooLongProblem),
)
def push() -> Response:
    channels = current_channels()
    access.require_grant(channels)
    channel, message = _pushed(posts.document_of_request(), channels.default_channel)
    granted = access.require_publish(channels, channel)
    data = message.text.encode()
    append = posts.new_message(channel, Kind.JSON, data, posts.header_key(), granted.subject)
    appended = http.publish_append(channels, append)
    answer = (
        f'{{"channel": {json.dumps(channel)}, "message": {message.text}, '
        f'"epoch": {json.dumps(appended.epoch)}, "offset": {appended.offset}}}'
    )
    return bodies.sandboxed(Response(answer, mimetype="application/json"))


def _pushed(members: dict[str, JsonMember], default: str) -> tuple[str, JsonMember]:
    channel = members.get("channel")
    if members.keys() | {"channel"} != {"channel", "message"} or (channel and not is_text(channel)):
        raise BadDocument(
            "The members message and, optionally, channel (a text) are expected, and no others."
        )
    return channel.value if channel else default, members["message"]


class PlainSubscriber(sockets.SocketSubscriber):
    __slots__ = ()

    def send(self, event: Event) -> None:
        if isinstance(event, Lost) or (isinstance(event, Subscribed) and event.recovered is False):
            self.connection.close(sockets.TRY_AGAIN, "messages were lost")
        else:
            super().send(event)

    def report_loss(self, event: Lost) -> None:
        """Plain texts cannot tell it; a close frame can."""
        self.connection.close(sockets.TRY_AGAIN, "messages were lost")


def _prepare_plain() -> sockets.SubscribeRequest:
    name = request.args.get("channel", current_channels().default_channel)
    granted = access.require_subscribe(current_channels(), name, stream=True)
    # This client is not told when it is subscribed, so its stream begins now: before its handshake is complete.
    return sockets.SubscribeRequest(name, granted, sockets.probe_channel(name))


@websocket(
    bp,
    "/events",
    "Plain texts both ways",
    "What is published on `?channel=` (or HELIOGRAPH_DEFAULT_CHANNEL) arrives, what the client sends is published. "
    "`?ticket=` stands for a token.",
    prepare=_prepare_plain,
    problems=sockets.PROBLEMS,
)
def plain(socket: Socket, wanted: sockets.SubscribeRequest) -> None:
    connection = socket.accept()
    publisher = sockets.publisher_for(connection, wanted, ProblemAnswers())
    subscriber = PlainSubscriber(connection, plain_frames(socket.deflate))
    sockets.serve(socket, wanted, subscriber, publisher.take_plain)
