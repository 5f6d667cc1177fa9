"""Fixtures of pytest for applications: channels in memory, published messages to look at, WebSockets without a server.

    # conftest.py
    pytest_plugins = ["heliograph.testing"]

    @pytest.fixture
    def app():
        return create_app()             # with Heliograph(app) in it

    # test_orders.py
    def test_an_order_is_announced(app, channels, websocket):
        app.test_client().post("/orders", json={"id": 7})
        assert channels.published("orders") == [{"id": 7}]
        with websocket("/ws/shout") as socket:
            socket.send("tea")
            assert socket.receive() == "TEA"

Each test has channels of its own, whatever the settings of the application say. The process need not be patched by gevent.
"""

from __future__ import annotations

import io
import socket as sockets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from http.client import parse_headers
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol
from werkzeug.test import EnvironBuilder

from heliograph.channels.api import Channels
from heliograph.channels.location import parse_location
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.records import MAX_PAGE_MESSAGES
from heliograph.channels.service import ChannelService
from heliograph.installation import Installation
from heliograph.overriding import with_group
from heliograph.request.environ import WERKZEUG_SOCKET
from heliograph.request.logs import flush_all

#: Seconds that a test waits for a message, or for the end of a view, where it says nothing else.
PATIENCE = 10.0

#: Bytes of a request's head that are read.
_MAX_HEAD = 64 << 10


class MemoryChannels(Channels):
    """The channels of an application, in memory: what its own code and its clients use, too."""

    def published(self, channel: str) -> list[Any]:
        """The data of all messages of a channel, oldest first."""
        found: list[Any] = []
        page = self.history(channel, limit=MAX_PAGE_MESSAGES)
        while page.messages:
            found += [message.data for message in page]
            page = self.history(channel, page.messages[-1].cursor, MAX_PAGE_MESSAGES)
        return found


class TestSocket:
    """A client's end of a WebSocket, with the names of the view's end."""

    __test__ = False

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    @property
    def close_code(self) -> int | None:
        """The view's, once `receive` has returned None."""
        return self._connection.close_code

    def send(self, message: str | bytes) -> None:
        self._connection.send(message)

    def receive(self, timeout: float = PATIENCE) -> str | bytes | None:
        """The next message; None when the view has ended the connection. Raises TimeoutError."""
        try:
            return self._connection.recv(timeout)
        except ConnectionClosed:
            return None

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._connection.close(code, reason)


@contextmanager
def channels_in_memory(app: Flask) -> Iterator[MemoryChannels]:
    """`app` has other channels inside, which are empty."""
    installation = app.extensions.get("heliograph")
    if not isinstance(installation, Installation):
        raise LookupError(f"the application {app.name} has no Heliograph(app)")
    own = installation.services.settings
    options = replace(own[ChannelsOptions], channels=parse_location("memory://"))
    before, had_begun = installation.channels, installation.services.loop.begun
    made = ChannelService(with_group(own, options), CollectorRegistry(), before.hook, before.loop)
    installation.use_channels(made)
    try:
        yield MemoryChannels.served_by(lambda: made)  # type: ignore[misc]
    finally:
        installation.use_channels(before)
        made.stop()
        made.close()
        if not had_begun:  # its thread would stay as long as the application, which nothing closes
            before.loop.close()
        flush_all()  # the lines of its log belong to this test's output


@contextmanager
def websocket_of(
    app: Flask,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    client: FlaskClient | None = None,
) -> Iterator[TestSocket]:
    """A WebSocket of `app` at `path`, with the cookies of a test client. The view has ended when the block has.

    Raises `websockets.exceptions.InvalidStatus` where the application refuses it, and TimeoutError where the view does not end.
    """
    ours, theirs = sockets.socketpair()
    serving = threading.Thread(target=_serve, args=(app, theirs), daemon=True)
    serving.start()
    offered = [Subprotocol(name) for name in subprotocols] or None
    try:
        with connect(
            f"ws://localhost{path}",
            sock=ours,
            additional_headers={**_cookies(path, client), **(headers or {})},
            subprotocols=offered,
            compression=None,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
        ) as connection:
            yield TestSocket(connection)
    finally:
        ours.close()
        serving.join(PATIENCE)
    if serving.is_alive():
        raise TimeoutError(f"the view of {path} has not ended {PATIENCE:g} s after its client left")


@pytest.fixture
def channels(app: Flask) -> Iterator[MemoryChannels]:
    """The channels of the fixture `app` for this test: in memory, and empty."""
    with channels_in_memory(app) as found:
        yield found


@pytest.fixture
def websocket(app: Flask, channels: MemoryChannels) -> Callable[..., AbstractContextManager[TestSocket]]:
    """`with websocket("/ws/…") as socket`: see `websocket_of`."""

    def made(path: str, **options: Any) -> AbstractContextManager[TestSocket]:
        return websocket_of(app, path, **options)

    return made


def _cookies(path: str, client: FlaskClient | None) -> dict[str, str]:
    """Those that the client would send with a request for this path."""
    environ: dict[str, Any] = EnvironBuilder(path).get_environ()
    if client is not None:
        client._add_cookies_to_wsgi(environ)  # as Flask's own client asks for them; nothing public gives all
    return {"Cookie": environ["HTTP_COOKIE"]} if "HTTP_COOKIE" in environ else {}


def _serve(app: Flask, connection: sockets.socket) -> None:
    """Answer the one request of a connection, as a server does."""
    reader = io.BufferedReader(sockets.SocketIO(connection, "r"), _MAX_HEAD)
    with connection:
        environ = _environ(reader, connection)
        if environ is None:
            return
        status, lines = "", [("", "")]

        def start_response(given: str, headers: list[tuple[str, str]], _exc: Any = None) -> Any:
            nonlocal status, lines
            status, lines = given, headers
            return connection.sendall

        answer: Iterable[bytes] = app.wsgi_app(environ, start_response)
        try:
            body = b"".join(answer)
        finally:
            getattr(answer, "close", lambda: None)()
        if not status.startswith("101"):
            fields = "".join(f"{name}: {value}\r\n" for name, value in lines)
            connection.sendall(
                f"HTTP/1.1 {status}\r\n{fields}Connection: close\r\n\r\n".encode("latin-1") + body
            )


def _environ(reader: Any, connection: sockets.socket) -> dict[str, Any] | None:
    """Of the request that arrives; None where the client has gone."""
    line = reader.readline()
    if not line:
        return None
    path = line.decode("latin-1").split(" ")[1]
    headers = parse_headers(reader)
    environ: dict[str, Any] = EnvironBuilder(path, headers=list(headers.items())).get_environ()
    environ.update({"wsgi.input": reader, WERKZEUG_SOCKET: connection, "REMOTE_ADDR": "127.0.0.1"})
    environ["HTTP_HOST"] = headers.get("Host", "localhost")
    return environ
