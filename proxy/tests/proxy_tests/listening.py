"""Listening sockets that accept nothing properly."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from gevent import socket as gsocket
from gevent.hub import get_hub


def reset_socket(sock: socket.socket | gsocket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Listening:
    """What a listening socket does that accepts nothing properly."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._watcher: Any = None

    def reset(self, listener: int) -> None:
        """Reset each connection before the other side's loop has seen that it is established: this watcher comes first."""
        sock = socket.socket(fileno=os.dup(listener))
        self._sockets.append(sock)
        loop: Any = get_hub().loop
        self._watcher = loop.io(listener, 1, priority=loop.MAXPRI)
        self._watcher.start(lambda: reset_socket(sock.accept()[0]))

    def fill(self, listener: gsocket.socket, port: int) -> None:
        """Fill the backlog: the kernel then drops what comes, and whoever connects waits."""
        listener.listen(0)
        self._sockets.append(socket.create_connection(("127.0.0.1", port)))

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
        for sock in self._sockets:
            sock.close()
        self._watcher, self._sockets = None, []
