"""An echo on flask-sock: `gunicorn -k gevent bench.peers.flask_sock_gevent:app`."""

from __future__ import annotations

from flask import Flask
from flask_sock import Sock  # type: ignore[import-untyped]
from simple_websocket import Server  # type: ignore[import-untyped]

app = Flask(__name__)
sock = Sock(app)


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@sock.route("/ws/echo")  # type: ignore[untyped-decorator]
def echo(connection: Server) -> None:
    while True:
        connection.send(connection.receive())
