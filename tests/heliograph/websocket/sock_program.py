"""A program for flask-sock, whose connections are made by simple-websocket from the server's socket."""

from __future__ import annotations

from flask import Flask
from flask_sock import Sock  # type: ignore[import-untyped]
from simple_websocket import ConnectionClosed, Server  # type: ignore[import-untyped]

from heliograph.server import loop

#: Seconds that a client may be silent inside a request: a WebSocket may be for longer.
loop.IO_TIMEOUT = 0.2

#: And to send on after our close frame.
loop.LEAVE_TIMEOUT = 1.0

app = Flask(__name__)
sock = Sock(app)


@app.get("/")
def index() -> str:
    return "a page"


@sock.route("/echo")  # type: ignore[untyped-decorator]
def echo(ws: Server) -> None:
    try:
        while (message := ws.receive()) != "enough":
            ws.send(message)
    except ConnectionClosed as exc:
        print(f"left with {int(exc.reason)}", flush=True)
        raise


@sock.route("/close")  # type: ignore[untyped-decorator]
def close(ws: Server) -> None:
    ws.close(4002, "so it goes")


@sock.route("/silence")  # type: ignore[untyped-decorator]
def silence(ws: Server) -> None:
    ws.send(str(ws.receive(timeout=3 * loop.IO_TIMEOUT)))
    ws.send(ws.receive())


@sock.route("/fails")  # type: ignore[untyped-decorator]
def fails(ws: Server) -> None:
    raise ValueError("in the view")
