"""The codecs over WebSocket: a message in, the codec's answer out. Bad input is answered with a problem; the connection stays."""

from __future__ import annotations

from functools import partial

from flask import Blueprint

from app.codec.conversion import Conversion, of_request
from app.problems import UnknownCodec
from heliograph.problems import BadOption, Problem
from heliograph.request.services import services
from heliograph.websocket.options import WebSocketOptions
from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket

bp = Blueprint("codec_sockets", __name__)

#: An answer is one message, whole in memory: at most this many times the longest message that is taken.
MAX_EXPANSION = 16


@websocket(
    bp,
    "/ws/codecs/<name>/encode",
    "Encode messages",
    "Options are in the query; a message in, the code out.",
    prepare=partial(of_request, direction="encode"),
    problems=(BadOption, UnknownCodec),
)
def encode(socket: Socket, conversion: Conversion) -> None:
    _answer_messages(socket, conversion)


@websocket(
    bp,
    "/ws/codecs/<name>/decode",
    "Decode messages",
    "Options are in the query; a code in, the message out.",
    prepare=partial(of_request, direction="decode"),
    problems=(BadOption, UnknownCodec),
)
def decode(socket: Socket, conversion: Conversion) -> None:
    _answer_messages(socket, conversion)


def _answer_messages(socket: Socket, conversion: Conversion) -> None:
    limit = MAX_EXPANSION * services().settings[WebSocketOptions].max_message
    while (message := socket.receive()) is not None:
        try:
            output = conversion.of_message(message.encode() if isinstance(message, str) else message, limit)
        except Problem as problem:
            socket.send(problem.body().decode())
        else:
            socket.send(output.decode() if conversion.medium == "text" else output)
