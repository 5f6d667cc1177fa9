"""Views of a user, in front of them a program for gevent-websocket, under a server whose pings are quick. For Gunicorn.

`app` is the service with a blueprint more; what is below /plain is answered by a WSGI function that knows no Flask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gevent
from flask import Blueprint, request

from heliograph.websocket import pings
from heliograph.websocket.routing import websocket
from heliograph.websocket.socket import Socket
from wsgi import app as service

pings.INTERVAL, pings.PATIENCE = 0.5, 0.25

bp = Blueprint("views", __name__, url_prefix="/ws/views")


@websocket(service, "/ws/of-the-app")
def of_the_app(socket: Socket) -> None:
    socket.send("hello")


@websocket(bp, "/greet/<name>/<int:times>")
def greet(socket: Socket, name: str, times: int) -> None:
    for _ in range(times):
        socket.send(f"{name}{request.args.get('mark', '.')} {request.headers['Host']}")


@websocket(bp, "/fail")
def fail(socket: Socket) -> None:
    socket.receive()
    raise RuntimeError("on purpose")


@websocket(bp, "/close")
def close(socket: Socket) -> None:
    socket.close(4321, "seen enough")


@websocket(bp, "/busy")
def busy(socket: Socket) -> None:
    """Never receives, and ends with the connection."""
    while not socket.closed:
        gevent.sleep(0.01)


@websocket(bp, "/push")
def push(socket: Socket) -> None:
    while True:
        socket.send("x" * 50_000)
        gevent.sleep(0.001)


service.register_blueprint(bp)


def plain(environ: dict[str, Any]) -> list[bytes]:
    """As gevent-websocket's own examples are written."""
    socket = environ["wsgi.websocket"]
    message = socket.receive()
    if message == "fail":
        raise RuntimeError("on purpose")
    if message == "attributes":
        socket.send(
            repr((socket.path, socket.origin, socket.protocol, socket.version, socket.closed, message))
        )
        assert socket.stream.handler is socket.handler
        socket.send_frame("still there?", socket.OPCODE_PING)
        socket.stream.write(b"\x81\x03raw")
        socket.send(bytearray(b"bytes"))
        socket.send("text as bytes", binary=True)
        assert socket.receive() is None
    return [b"never sent"]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/plain":
        answer: Iterable[bytes] = service(environ, start_response)
        return answer
    start_response("200 OK", [("Content-Type", "text/plain")])
    return plain(environ)
