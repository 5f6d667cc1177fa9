"""Writes to a descriptor of this process without ever waiting for who reads it.

What finds no room is kept, and dropped beyond a bound.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import stat
import time

#: Bytes that may wait for a reader: some ten thousand lines.
MOST_WAITING = 4 << 20

#: A pipe or terminal with any room takes this many bytes without waiting, where it cannot be opened anew.
_PIECE = 256


class Outlet:
    """One of our standard streams. Lines come whole or not at all."""

    def __init__(self, descriptor: int) -> None:
        self._target = _Target(descriptor)
        self._waiting = bytearray()
        self._dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def write(self, lines: bytes) -> None:
        if len(self._waiting) + len(lines) > MOST_WAITING:
            self._dropped += lines.count(b"\n")
            return
        self._waiting += lines
        if self._loop is None:  # else it waits for room
            self._flush()

    def take_dropped(self) -> int:
        """How many lines were dropped since the last time, once there is room again."""
        if self._waiting:
            return 0
        dropped, self._dropped = self._dropped, 0
        return dropped

    def finish(self, patience: float) -> None:
        """Write what waits, for at most `patience` seconds; then this outlet is closed."""
        deadline = time.monotonic() + patience
        self._unregister()
        while self._waiting and self._target.has_room(max(0.0, deadline - time.monotonic())):
            self._flush(register=False)
        self._target.close()

    def _flush(self, register: bool = True) -> None:
        try:
            while self._waiting:
                del self._waiting[: self._target.write(self._waiting)]
        except BlockingIOError:
            if register:
                self._register()
            return
        except OSError:  # its reader is gone
            self._waiting.clear()
        self._unregister()

    def _register(self) -> None:
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:  # before it runs: what waits goes with the next line
                return
            self._loop.add_writer(self._target.descriptor, self._flush)

    def _unregister(self) -> None:
        if self._loop is not None:
            self._loop.remove_writer(self._target.descriptor)
            self._loop = None


class _Target:
    """A descriptor that never waits. Its flags are shared with other processes, so it is opened anew, where that is allowed."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._socket: socket.socket | None = None
        self._own = self._waits = False
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:  # it is closed; so writing fails
            return
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(descriptor))
        elif not stat.S_ISREG(mode):
            self._open_anew()

    def _open_anew(self) -> None:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            self.descriptor = os.open(f"/proc/self/fd/{self.descriptor}", flags)
            self._own = True
        except OSError:
            self._waits = True

    def write(self, data: bytearray) -> int:
        """How many bytes were taken. Raises BlockingIOError where there is no room."""
        with memoryview(data) as view:
            if self._socket:
                return self._socket.send(view, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            if self._waits:
                if not self.has_room(0.0):
                    raise BlockingIOError
                with view[:_PIECE] as piece:
                    return os.write(self.descriptor, piece)
            return os.write(self.descriptor, view)

    def has_room(self, patience: float) -> bool:
        """Whether a write would take anything, or fail, within `patience` seconds."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        return bool(poll.poll(patience * 1000))

    def close(self) -> None:
        if self._own:
            os.close(self.descriptor)
        if self._socket:
            self._socket.close()
