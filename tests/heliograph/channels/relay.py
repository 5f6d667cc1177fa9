"""A relay between an engine and its server that can fall silent without closing anything, as a broken network does."""

from __future__ import annotations

import socket
from types import TracebackType

import gevent
from gevent.server import StreamServer

from heliograph.channels.log import Log
from tests.heliograph.channels.followers import Follower, eventually, publish, texts


class Relay:
    """`mute` silences, for good, the connections on which the client says something with `marker` in it, until `unmute`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._said: dict[socket.socket, bytes] = {}
        self._muted: bytes | None = None
        self._server = StreamServer(("127.0.0.1", 0), self._handle)

    def __enter__(self) -> Relay:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(timeout=1)

    @property
    def port(self) -> int:
        port = self._server.server_port
        assert port is not None
        return port

    def mute(self, marker: bytes) -> None:
        self._muted = marker

    def unmute(self) -> None:
        self._muted = None

    def _handle(self, client: socket.socket, _address: object) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            self._said[client] = b""
            pumps = [gevent.spawn(self._up, client, server), gevent.spawn(self._down, client, server)]
            gevent.joinall(pumps, count=1)
            gevent.killall(pumps)
            del self._said[client]

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65536):
            self._said[client] = (self._said[client] + data)[-(1 << 20) :]
            server.sendall(data)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        silent = False
        while data := server.recv(65536):
            silent = silent or (self._muted is not None and self._muted in self._said[client])
            if not silent:
                client.sendall(data)


def notifications_stop_and_come_back(relay: Relay, marker: bytes, log: Log, other: Log) -> None:
    """`log` is behind the relay and listens with `marker`; `other` is not."""
    publish(log, "before")
    follower = Follower(log)
    eventually(lambda: log.ready() == "ok", "readiness")
    relay.mute(marker)
    publish(other, "unheard")
    eventually(lambda: log.ready() != "ok", "the silence")
    assert publish(log, "the rest works").offset == 3
    relay.unmute()
    eventually(lambda: log.ready() == "ok", "healing")
    assert texts(follower.until(2, patience=10.0)) == ["unheard", "the rest works"], (
        "nobody has to publish for it"
    )
    publish(other, "after")
    assert texts(follower.until(3))[2:] == ["after"]
    assert follower.lost == 0
    follower.stop()
