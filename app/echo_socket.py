"""The WebSockets of this service that need nothing but a socket: two as functions, two as classes."""

from __future__ import annotations

import json
from typing import ClassVar

from heliograph import Heliograph, WebSocketEndpoint
from heliograph.websocket.socket import Socket


def echo(socket: Socket) -> None:
    """Every message back

    Every text or binary message comes back as it was.
    """
    while (message := socket.receive()) is not None:
        socket.send(message)


def ping(socket: Socket) -> None:
    """ping, pong!

    `ping` is answered `pong!`, anything else by an error object.
    """
    while (message := socket.receive()) is not None:
        if message == "ping":
            socket.send("pong!")
        else:
            socket.send(json.dumps({"type": "error", "detail": "Only the text ping is answered here."}))


class EveryText(WebSocketEndpoint):
    """Every text back, with words before it

    The text `x` is answered `Message text was: x`.
    """

    words: ClassVar[str] = "Message text was: "

    def on_receive(self, socket: Socket, data: str) -> None:
        socket.send(self.words + data)


class Chat(EveryText):
    """What you said

    The text `x` is answered `You said: x`.
    """

    words = "You said: "


def add_to(live: Heliograph) -> None:
    live.websocket("/ws/echo", endpoint="echo_socket")(echo)
    live.add_websocket("/ws", EveryText)
    live.add_websocket("/chat/", Chat)
    live.websocket("/ws/ping")(ping)
