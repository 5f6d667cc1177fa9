"""A Flask-SocketIO program as its documentation writes them: rooms, acknowledgements, bytes, a task in the background."""

from __future__ import annotations

from flask import Flask, request
from flask_socketio import SocketIO, emit, join_room, leave_room

app = Flask(__name__)
socketio = SocketIO(app, async_mode="gevent")


@socketio.on("connect")
def welcome() -> None:
    emit("welcome", {"transport": socketio.server.transport(request.sid)})  # type: ignore[attr-defined]


@socketio.on("say")
def say(data: object) -> object:
    """The answer is the acknowledgement."""
    emit("said", data)
    return data


@socketio.on("join")
def join(room: str) -> str:
    join_room(room)
    return room


@socketio.on("leave")
def leave(room: str) -> str:
    leave_room(room)
    return room


@socketio.on("tell")
def tell(message: dict[str, str]) -> None:
    emit("told", message["text"], to=message["room"], include_self=False)


@socketio.on("count")
def count(upto: int) -> None:
    """What comes is sent by another greenlet."""
    socketio.start_background_task(_count, upto, request.sid)  # type: ignore[attr-defined]


def _count(upto: int, sid: str) -> None:
    for number in range(upto):
        socketio.emit("number", number, to=sid)
        socketio.sleep(0)
