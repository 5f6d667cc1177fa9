"""What the kernel did not take at once for one peer. It exists only while something waits.

Frames go out whole and in order. A sender waits until its own frame is out; what was offered (by a broadcast) waits alone, and its
bytes are counted in `offered`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent


class QueuedFrame:
    """A frame, or what is left of it. `begun`: the peer has some of it, so it must get the rest."""

    __slots__ = ("begun", "left", "offered", "waiter")

    def __init__(self, left: memoryview, *, begun: bool, offered: bool) -> None:
        self.left = left
        self.begun = begun
        self.offered = offered
        self.waiter: Any = None

    def wait(self) -> bool:
        """Wait until it is out; False when it will never be."""
        self.waiter = getcurrent()
        try:
            get_hub().switch()
        finally:
            self.waiter = None
        return not self.left

    def wake(self) -> None:
        """Called by the event loop. The waiter may have been killed since this was scheduled."""
        if self.waiter is not None:
            self.waiter.switch()


class Outbox:
    __slots__ = ("_entries", "offered", "pong", "size")

    def __init__(self) -> None:
        self._entries: deque[QueuedFrame] = deque()
        #: Bytes that wait.
        self.size = 0
        #: Bytes of broadcasts among them: no sender waits for these.
        self.offered = 0
        #: RFC 6455, 5.5.3: of several pings that could not be answered yet only the last one need be.
        self.pong: bytes | None = None

    def add(self, data: bytes, sent: int = 0, *, offered: bool = False) -> QueuedFrame:
        """Queue `data`, of which the kernel took the first `sent` bytes already."""
        entry = QueuedFrame(memoryview(data)[sent:], begun=sent > 0, offered=offered)
        self._entries.append(entry)
        self.size += len(entry.left)
        if offered:
            self.offered += len(entry.left)
        return entry

    def flush(self, send: Callable[[memoryview], int]) -> bool:
        """Send until the kernel takes no more; whether all is out. Called by the event loop, for senders go on in here."""
        while self._entries:
            entry = self._entries[0]
            try:
                sent = send(entry.left)
            except BlockingIOError:
                return False
            entry.left, entry.begun = entry.left[sent:], True
            self.size -= sent
            if entry.offered:
                self.offered -= sent
            if entry.left:
                return False
            self._entries.popleft()
            if self.pong is not None:
                pong, self.pong = self.pong, None
                self._entries.appendleft(QueuedFrame(memoryview(pong), begun=False, offered=False))
                self.size += len(pong)
            entry.wake()
        return True

    def drop(self, *, all_of_it: bool = False) -> None:
        """Forget what has not begun, and tell who waits for it."""
        kept: deque[QueuedFrame] = deque()
        for entry in self._entries:
            if entry.begun and not all_of_it:
                kept.append(entry)
            elif entry.waiter is not None:
                get_hub().loop.run_callback(entry.wake)
        self._entries, self.pong = kept, None
        self.size = sum(len(entry.left) for entry in kept)
        self.offered = sum(len(entry.left) for entry in kept if entry.offered)
