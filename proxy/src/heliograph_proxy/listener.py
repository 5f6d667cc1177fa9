"""Listening sockets: inherited, or bound at the start or an error that says where; and an accept loop that nothing ends.

gevent's StreamServer does the accepting; its sockets are left plain, because Stream has its own watchers.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
from gevent.server import StreamServer

from heliograph_proxy import eventlog as events
from heliograph_proxy.errors import EXHAUSTED, SettingsError
from heliograph_proxy.inherited import InheritedSocket
from heliograph_proxy.values import Address

#: Connections the kernel may keep for us: a burst of clients, or the moment while accepting pauses.
BACKLOG = 4096

#: How long accepting pauses when descriptors or memory have run out.
PAUSE_SECONDS = 0.1

#: Pauses come and go many times a second while there is too little room; they are logged this often.
TELL_SECONDS = 60.0


class ProxyListener(StreamServer):
    """Calls `handle(socket, peer)` in a greenlet for each connection; `handle` owns the plain socket.

    While `has_room`, which gets how many are about to begin, says no, connections wait in the kernel. A socket that was
    `inherited` is used as it is.
    """

    def __init__(
        self,
        address: Address,
        handle: Callable[[socket.socket, Any], None],
        has_room: Callable[[int], bool] = lambda starting: True,
        inherited: InheritedSocket | None = None,
    ) -> None:
        self._where = address
        #: The socket file is this listener's to remove.
        self.owned = inherited is None or inherited.owned
        self._handle_it = handle
        self._has_room = has_room
        self._told_at = -TELL_SECONDS
        #: Accepted, but their greenlet has not begun: one turn of the loop accepts many.
        self.starting = 0
        super().__init__(prepare(inherited.sock) if inherited else bind(address), self._begin)

    def _begin(self, sock: socket.socket, peer: Any) -> None:
        self.starting -= 1
        self._handle_it(sock, peer)

    # gevent's loop takes None as "nothing to accept", which its type does not say.
    def do_read(self) -> tuple[socket.socket, Any] | None:  # type: ignore[override]
        if not self._has_room(self.starting):
            self._pause("descriptors are kept for connections to backends")
            return None
        try:
            accepted, peer = self.socket.accept()
        except BlockingIOError:
            return None
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                self._pause(os.strerror(exc.errno))
            # Anything else concerns a client that has gone already.
            return None
        accepted.setblocking(False)
        self.starting += 1
        return accepted, peer

    def _pause(self, reason: str) -> None:
        if monotonic() - self._told_at >= TELL_SECONDS:
            events.log("accept-paused", reason=reason)
            self._told_at = monotonic()
        self.stop_accepting()
        gevent.spawn_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()

    def close(self) -> None:
        super().close()
        if self.owned and self._where.path and os.path.exists(self._where.path):
            os.unlink(self._where.path)


def prepare(sock: socket.socket) -> socket.socket:
    """An inherited socket, as `bind` would have made it."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.listen(BACKLOG)
    return sock


def bind(address: Address) -> socket.socket:
    """A listening socket."""
    try:
        if address.path:
            return _bind_unix(address.path)
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((address.host, address.port))
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        return sock
    except OSError as exc:
        raise SettingsError(str(address), "", f"cannot be listened on: {exc.strerror or exc}") from exc


def _bind_unix(path: str) -> socket.socket:
    """A socket file without a listener is left over from a process that was killed."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(path) == 0:
                    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            os.unlink(path)
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
