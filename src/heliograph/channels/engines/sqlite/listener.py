"""How instances of a machine notify each other that the log grew: a datagram to the socket of each, in a folder next to the file.

A datagram has no content. It may get lost: the worker also polls the file. Nothing here waits, and nothing uses the standard
library's `socket`, which belongs to the event loop.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import os
import secrets
import time
from pathlib import Path

from heliograph_proxy.files import make_folder

#: Instances that are notified. Others find out when they poll.
MAX_PEERS = 64

#: Datagrams taken at once. One is as good as many; the rest waits in the socket's buffer, which the kernel bounds.
_MAX_DRAIN = 256

#: Nanoseconds after which a change of a folder must have given it another time stamp.
_COARSE = 50_000_000

#: Errors that mean: the process that had this socket has ended.
_GONE = (errno.ECONNREFUSED, errno.ENOENT)


class SqliteListener:
    """One for each worker. Raises OSError when the folder or the socket cannot be made."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._peers: list[str] = []
        self._listed = -1
        self.socket = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        )
        try:
            self.socket.bind(self._address(self._name))
        except OSError:
            self.close()
            raise

    def _address(self, name: str) -> str:
        """Addresses have at most 107 characters, paths may have more: so by way of the descriptor of the folder."""
        return f"/proc/self/fd/{self._folder}/{name}"

    def notify(self) -> None:
        """Notify all others. A full buffer is as good as a delivered datagram; a socket without a process is removed."""
        for peer in self._others():
            try:
                self.socket.sendto(b"!", self._address(peer))
            except OSError as exc:
                if exc.errno in _GONE:
                    self._remove(peer)

    def _others(self) -> list[str]:
        """Listed again only when the folder changed."""
        changed = os.fstat(self._folder).st_mtime_ns
        if changed != self._listed:
            # The time stamp is as coarse as the kernel's clock: soon after a change another one may not show.
            settled = time.time_ns() - changed > _COARSE
            self._peers = [name for name in os.listdir(self._folder) if name != self._name][:MAX_PEERS]
            self._listed = changed if settled else -1
        return self._peers

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MAX_DRAIN):
                self.socket.recv(16)

    def is_removed(self) -> bool:
        """Whether our socket or its folder was removed."""
        return not os.path.exists(self._address(self._name))

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._folder)

    def close(self) -> None:
        self._remove(self._name)
        self.socket.close()
        os.close(self._folder)
