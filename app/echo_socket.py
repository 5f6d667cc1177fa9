"""The WebSockets of this service that belong to no other room."""

from __future__ import annotations

import json

from flask import Blueprint

from heliograph.websocket.frames import UNSUPPORTED
from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket

bp = Blueprint("websockets", __name__)


@websocket(bp, "/ws/echo", "Every message back", "Every text or binary message comes back as it was.")
def echo(socket: Socket) -> None:
    while (message := socket.receive()) is not None:
        socket.send(message)


@websocket(
    bp, "/ws", "Every text back, with words before it", "The text `x` is answered `Message text was: x`."
)
def answer(socket: Socket) -> None:
    _answer_texts(socket, "Message text was: ")


@websocket(bp, "/chat/", "What you said", "The text `x` is answered `You said: x`.")
def chat(socket: Socket) -> None:
    _answer_texts(socket, "You said: ")


def _answer_texts(socket: Socket, words: str) -> None:
    while (message := socket.receive()) is not None:
        if isinstance(message, bytes):
            socket.close(UNSUPPORTED, "texts only")
            return
        socket.send(words + message)


@websocket(bp, "/ws/ping", "ping, pong!", "`ping` is answered `pong!`, anything else by an error object.")
def ping(socket: Socket) -> None:
    while (message := socket.receive()) is not None:
        if message == "ping":
            socket.send("pong!")
        else:
            socket.send(json.dumps({"type": "error", "detail": "Only the text ping is answered here."}))
