"""The connection of `websockets`, made safe where the standard library is patched by gevent."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import ConcurrencyError, ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

#: Seconds in which a server must take something of what is sent. Nothing else ends a send to a server that has stopped
#: reading: pings wait behind it.
STUCK = 20.0

#: Seconds for the closing handshake, after which the socket is closed without it; and between checks whether it has ended.
CLOSE_TIMEOUT, CLOSE_CHECK = 2.0, 0.02


class PatchSafeConnection(ClientConnection):
    """A socket on which a thread waits must not be closed under a patched selector: libev then ends the whole process.

    The thread that ends the connection therefore shuts the socket down. That wakes the reading thread, which closes it.
    """

    def __init__(self, sock: socket.socket, protocol: ClientProtocol, **options: Any) -> None:
        if sys.platform == "linux" and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STUCK * 1000))
        super().__init__(sock, protocol, **options)
        self.pending_legacy_warning = (
            False  # it is about `connect` without `with`, and would come from a drain before the `with`
        )

    def close(self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        threading.Thread(target=self._drain, args=(CLOSE_TIMEOUT,), daemon=True).start()
        super().close(code, reason)

    def close_socket(self) -> None:
        if threading.current_thread() is not self.recv_events_thread:
            with contextlib.suppress(OSError):  # it is closed, or never was connected
                self.socket.shutdown(socket.SHUT_RDWR)
            self._drain(CLOSE_TIMEOUT)
        super().close_socket()

    def _drain(self, seconds: float) -> None:
        """Wait until the thread that reads has ended, and drop what it reads: behind a full buffer it would not see the end."""
        deadline = time.monotonic() + seconds
        while self.recv_events_thread.is_alive() and time.monotonic() < deadline:
            try:
                self.recv(CLOSE_CHECK)
            except ConcurrencyError:  # another thread reads
                self.recv_events_thread.join(CLOSE_CHECK)
            except TimeoutError:
                continue
            except ConnectionClosed:
                self.recv_events_thread.join(CLOSE_CHECK)
