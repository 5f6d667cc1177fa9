"""An echo on gevent-websocket as it is: `gunicorn -k …GeventWebSocketWorker bench.peers.stock_gevent_websocket:app`."""

from __future__ import annotations

from flask import Flask, request

app = Flask(__name__)


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.route("/ws/echo", websocket=True)
def echo() -> str:
    connection = request.environ["wsgi.websocket"]
    while (message := connection.receive()) is not None:
        connection.send(message)
    return ""
