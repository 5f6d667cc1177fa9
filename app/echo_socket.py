"""The WebSockets of this service that belong to no other room."""

from __future__ import annotations

import json

from flask import Blueprint

from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket

bp = Blueprint("websockets", __name__)


@websocket(bp, "/ws/echo", "Every message back", "Every text or binary message comes back as it was.")
def echo(socket: Socket) -> None:
    while (message := socket.receive()) is not None:
        socket.send(message)


@websocket(bp, "/ws/ping", "ping, pong!", "`ping` is answered `pong!`, anything else by an error object.")
def ping(socket: Socket) -> None:
    while (message := socket.receive()) is not None:
        if message == "ping":
            socket.send("pong!")
        else:
            socket.send(json.dumps({"type": "error", "detail": "Only the text ping is answered here."}))
