"""A user's application with what `Heliograph` adds. It patches nothing: its server does, or does not."""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, g, request, session

from heliograph import Heliograph, WebSocketEndpoint
from heliograph.websocket.socket import Socket

app = Flask(__name__)
app.secret_key = "of the program"
live = Heliograph(app, endpoints=("channels", "events", "health"), prefix="/live")

#: What happened to requests and connections, in order.
happened: list[str] = []


@app.before_request
def load_user() -> None:
    g.user = session.get("user", "nobody")


@app.teardown_request
def unload(error: BaseException | None) -> None:
    if request.path.startswith("/ws/chat"):
        happened.append(f"{g.user} left {request.view_args} with {type(error).__name__}")


@app.get("/")
def index() -> str:
    return "<p>mine</p>"


@app.get("/login/<name>")
def login(name: str) -> str:
    session["user"] = name
    return name


@app.get("/happened")
def tell() -> list[str]:
    return happened


@app.get("/publish/<channel>/<data>")
def publish(channel: str, data: str) -> dict[str, Any]:
    sent = live.channels.publish(channel, {"said": data})
    return {"offset": sent.offset, "top": live.channels.history(channel).top}


@app.get("/disconnect/<subject>")
def disconnect(subject: str) -> str:
    live.channels.disconnect(subject)
    return subject


@live.websocket("/ws/chat/<room>", subprotocols=("chat.v2", "chat.v1"))
def chat(socket: Socket, room: str) -> None:
    socket.send(f"{g.user} is in {room} by {socket.subprotocol}")
    while (message := socket.receive(timeout=20)) is not None:
        socket.send(str(live.channels.publish(room, message).offset))


class Shout(WebSocketEndpoint):
    def on_connect(self, socket: Socket) -> None:
        socket.send(f"hello {g.user}")

    def on_receive(self, socket: Socket, data: str) -> None:
        if data == "close":
            socket.close(4001, "as you wish")
        elif data == "fail":
            raise RuntimeError("on purpose")
        else:
            socket.send(data.upper())

    def on_disconnect(self, socket: Socket, code: int) -> None:
        happened.append(f"shout ended with {code}")


class Sum(WebSocketEndpoint):
    encoding = "json"

    def on_receive(self, socket: Socket, data: Any) -> None:
        socket.send(str(sum(data)))


class Size(WebSocketEndpoint):
    encoding = "bytes"

    def on_receive(self, socket: Socket, data: bytes) -> None:
        socket.send(str(len(data)))


live.add_websocket("/ws/shout", Shout)
live.add_websocket("/ws/sum", Sum)
live.add_websocket("/ws/size", Size)


@live.check("mood")
def mood() -> bool:
    return current_app.name == app.name
