"""A program for gevent-websocket, after the chat in its README: a Resource, an application, `server.clients`."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

from flask import Flask
from geventwebsocket import Resource, WebSocketApplication

pages = Flask(__name__)


@pages.get("/")
def index() -> str:
    return "the page of the chat"


class Chat(WebSocketApplication):  # type: ignore[misc]
    def on_open(self) -> None:
        print("somebody came", flush=True)

    def on_message(self, message: str | None) -> None:
        if message is None:
            return
        said: dict[str, Any] = json.loads(message)
        if said["msg_type"] == "message":
            self.broadcast(said)
        elif said["msg_type"] == "update_clients":
            self.send_client_list(said)

    def send_client_list(self, said: dict[str, Any]) -> None:
        self.ws.handler.active_client.nickname = said["nickname"]
        names = [getattr(c, "nickname", "anonymous") for c in self.ws.handler.server.clients.values()]
        self.ws.send(json.dumps({"msg_type": "update_clients", "clients": sorted(names)}))

    def broadcast(self, said: dict[str, Any]) -> None:
        for client in self.ws.handler.server.clients.values():
            client.ws.send(json.dumps({"msg_type": "message", "message": said["message"]}))

    def on_close(self, reason: object) -> None:
        print("somebody left", flush=True)


app = Resource(OrderedDict([("^/chat", Chat), ("^/", pages)]))
