"""Views of a user, in front of them a program for gevent-websocket, under a server whose pings are quick. For Gunicorn.

`app` is the service with a blueprint more; what is below /plain is answered by a WSGI function that knows no Flask.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from flask import Blueprint, g, request

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


#: What happened to the requests of /ws/views/context, in order.
happened: list[str] = []


@bp.before_request
def load() -> None:
    g.user = request.args.get("user", "")


@bp.teardown_request
def unload(error: BaseException | None) -> None:
    if g.user:
        happened.append(f"teardown of {g.pop('user')} with {type(error).__name__}")


@websocket(bp, "/context")
def context(socket: Socket) -> None:
    g.more = "set in the view"
    socket.send(g.user)
    happened.append(f"{g.user} got {socket.receive()!r}")
    if request.args.get("fail"):
        raise LookupError(g.more)


@bp.get("/happened")
def tell() -> list[str]:
    return happened


class Odd(BaseException):
    """No Exception."""


@websocket(bp, "/end/<how>")
def end(socket: Socket, how: str) -> None:
    if how == "timeout":
        with gevent.Timeout(0.01):
            socket.receive()
    elif how == "exit":
        sys.exit(3)
    elif how == "killed":
        raise gevent.GreenletExit
    raise Odd


@websocket(bp, "/patient")
def patient(socket: Socket) -> None:
    with contextlib.suppress(TimeoutError):
        socket.receive(timeout=0.01)
    socket.send("nothing came")
    socket.send(f"then {socket.receive(timeout=20)!r}")


@websocket(bp, "/hurried")
def hurried(socket: Socket) -> None:
    """Has less time in all than for a message."""
    try:
        with gevent.Timeout(0.01) as mine:
            socket.receive(timeout=20)
    except (gevent.Timeout, TimeoutError) as exc:
        socket.send(f"its own: {exc is mine}")


@websocket(bp, "/protocols", subprotocols=("chat.v2", "chat.v1"))
def protocols(socket: Socket) -> None:
    socket.send(str(socket.subprotocol))


@websocket(bp, "/loop")
def loop(socket: Socket) -> None:
    """As loops for gevent-websocket are written, which do not expect None."""
    while not socket.closed:
        message: Any = socket.receive()
        socket.send(message.upper())


@websocket(bp, "/mistaken/<after>")
def mistaken(socket: Socket, after: str) -> None:
    """Has a mistake of its own after the end."""
    if after == "close":
        socket.close(4000)
    while after == "receive" and socket.receive() is not None:
        pass
    bp.no_such_cleanup()  # type: ignore[attr-defined]


@websocket(bp, "/after-the-end")
def after_the_end(socket: Socket) -> None:
    """What a program may try on a socket whose client has left."""
    while socket.receive() is not None:
        pass
    tries: list[Callable[[], object]] = [lambda what=what: socket.send(what) for what in (None, 5, "x", b"x")]  # type: ignore[misc]
    tries += [socket.receive, lambda: socket.send_frame(None, 9)]  # type: ignore[arg-type]
    outcomes = []
    for attempt in tries:
        try:
            attempt()
        except Exception as exc:
            outcomes.append(type(exc).__name__)
    socket.close(4321, None)
    happened.append(" ".join([*outcomes, str(socket.closed)]))


service.register_blueprint(bp)

#: The sockets of /registered, of whose clients nothing is expected.
registered: list[Socket] = []


def register(environ: dict[str, Any]) -> list[bytes]:
    """Keeps its socket and waits, as a program that pushes does."""
    registered.append(environ["wsgi.websocket"])
    gevent.sleep(1)
    return []


def plain(environ: dict[str, Any]) -> list[bytes]:
    """As gevent-websocket's own examples are written."""
    socket = environ["wsgi.websocket"]
    message = socket.receive()
    if message == "timeout":
        with gevent.Timeout(0.01):
            socket.receive()
    if message == "fail":
        raise RuntimeError("on purpose")
    while message == "loop" or (message and message.startswith("[")):
        message = json.dumps(json.loads(socket.receive()))
        socket.send(message)
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


def errors(socket: Any) -> list[bytes]:
    """The errors of what cannot be sent, as texts; the connection stays open."""
    for message, binary in ((5, None), (None, None), (1.5, True), (b"\xc3\x28", False), ("\ud800", None)):
        try:
            socket.send(message, binary=binary)
        except Exception as exc:
            socket.send(type(exc).__name__)
    socket.send(b"caf\xc3\xa9", binary=False)
    for opcode in (0, 3, 11):
        try:
            socket.send_frame(b"", opcode)
        except ValueError as exc:
            socket.send(str(exc))
    socket.close(4321, None)
    return []


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/registered":
        return register(environ)
    if environ["PATH_INFO"] == "/errors":
        return errors(environ["wsgi.websocket"])
    if environ["PATH_INFO"] != "/plain":
        answer: Iterable[bytes] = service(environ, start_response)
        return answer
    start_response("200 OK", [("Content-Type", "text/plain")])
    return plain(environ)
