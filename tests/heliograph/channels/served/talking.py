"""Clients of the channels as tests use them: publishers, subscribers of both kinds, tokens."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jwt
import requests
from proxy_tests.processes import until
from websockets.sync.client import ClientConnection, connect

from tests.serving import Server

SECRET = "a secret of thirty-two bytes, or more"

#: Seconds that a message may take. Only a hang ends it.
PATIENCE = 20.0

_numbers = itertools.count(1)


def new_channel() -> str:
    """A name that no other test uses."""
    return f"channel-{next(_numbers)}"


def token(seconds: float = 600, secret: str = SECRET, **claims: Any) -> str:
    claims = {
        "sub": "walter",
        "exp": int(time.time() + seconds),
        "publish": ["*"],
        "subscribe": ["*"],
        **claims,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, "HS256")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def post(
    server: Server, channel: str, text: str | bytes, kind: str = "text/plain", **headers: str
) -> requests.Response:
    data = text.encode() if isinstance(text, str) else text
    return requests.post(
        f"{server.url}/channels/{channel}", data, headers={"Content-Type": kind, **headers}, timeout=PATIENCE
    )


def publish(server: Server, channel: str, *texts: str, **headers: str) -> list[str]:
    """The cursors of messages that were published one after another."""
    with requests.Session() as session:
        found = []
        for text in texts:
            answer = session.post(
                f"{server.url}/channels/{channel}",
                text.encode(),
                headers={"Content-Type": "text/plain", **headers},
                timeout=PATIENCE,
            )
            assert answer.status_code == 201, answer.text
            found.append(f"{answer.json()['epoch']}:{answer.json()['offset']}")
        return found


def get(server: Server, path: str, **headers: str) -> requests.Response:
    return requests.get(server.url + path, headers=headers, timeout=PATIENCE)


def refused(answer: requests.Response, status: int, name: str) -> dict[str, Any]:
    """Check that an answer is this problem."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), (
        answer.text
    )
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"/problems/{name}"
    assert document["detail"]
    return document


class Talk:
    """A WebSocket on a channel."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def next(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.socket.recv(PATIENCE))
        return found

    def rest(self) -> Iterator[str | bytes]:
        """All that comes until the connection is closed, and ConnectionClosed."""
        while True:
            yield self.socket.recv(PATIENCE)

    def data(self, count: int) -> list[Any]:
        """The data of the next so many messages, which follow on one another."""
        messages = [self.next() for _ in range(count)]
        assert {message["type"] for message in messages} <= {"message"}, messages
        offsets = [message["offset"] for message in messages]
        assert offsets == list(range(offsets[0], offsets[0] + count)) if count else True
        return [message["data"] for message in messages]

    def publish(self, data: Any, ref: Any = None, **more: Any) -> None:
        self.socket.send(json.dumps({"type": "publish", "data": data, "ref": ref, **more}))

    def answer(self) -> dict[str, Any]:
        """The next answer to something published; messages before it are passed over."""
        while (found := self.next())["type"] == "message":
            pass
        return found


@contextmanager
def talking(
    server: Server, channel: str, query: str = "", headers: Mapping[str, str] | None = None, **options: Any
) -> Iterator[tuple[dict[str, Any], Talk]]:
    """What a subscriber is told first, and the rest."""
    url = f"{server.websocket_url}/ws/channels/{channel}{f'?{query}' if query else ''}"
    with connect(url, additional_headers=headers, **options) as socket:
        talk = Talk(socket)
        yield talk.next(), talk


class Stream:
    """A subscriber of server-sent events. `comments` are counted."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self.comments = 0
        self.last_id = ""
        self.retry = 0
        self._lines = response.iter_lines(chunk_size=1)

    def next(self) -> tuple[str, str]:
        """The next event, as a browser would see it: its type and its data."""
        kind = "message"
        data: list[str] = []
        for line in self._lines:
            name, _, value = line.decode().partition(":")
            value = value.removeprefix(" ")
            if not line and data:
                return kind, "\n".join(data)
            if not line:
                kind = "message"
            elif not name:
                self.comments += 1
            elif name == "data":
                data.append(value)
            elif name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "retry":
                self.retry = int(value)
        raise EOFError

    def data(self, count: int) -> list[str]:
        found = [self.next() for _ in range(count)]
        assert {kind for kind, _ in found} <= {"message"}
        return [data for _, data in found]


@contextmanager
def streaming(server: Server, channel: str, query: str = "", **headers: str) -> Iterator[Stream]:
    url = f"{server.url}/channels/{channel}/events{f'?{query}' if query else ''}"
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as response:
        assert response.status_code == 200, response.text
        yield Stream(response)


def present(server: Server, channel: str, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = get(server, f"/channels/{channel}/presence", **headers).json()
    return found


def wait_for_count(server: Server, channel: str, count: int, patience: float = 20.0) -> None:
    until(lambda: present(server, channel)["count"] == count, f"{count} subscribers of {channel}", patience)


def events_ticket(server: Server, text: str, channel: str) -> str:
    answer = requests.post(
        f"{server.url}/channels/ticket",
        json={"for": "events", "channel": channel},
        headers=bearer(text),
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    found: str = answer.json()["ticket"]
    return found
