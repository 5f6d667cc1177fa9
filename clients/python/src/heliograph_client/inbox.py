"""The bounded queue between the followers of channels and the program: events in their order."""

from __future__ import annotations

import threading
from collections import deque

from heliograph_client.errors import Closed
from heliograph_client.events import Event, State

#: Events and bytes (of the frames they came in) that wait for the program. Above that, connections are not read.
MAX_EVENTS, MAX_BYTES = 1000, 4 << 20


class Inbox:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._failure: BaseException | None = None
        self._closed = False

    def offer(self, event: Event, size: int) -> bool:
        """False, at once, where there is no room. Raises Closed."""
        with self._changed:
            if self._full() and not self._closed:
                return False
            self._add(event, size)
            return True

    def wait(self, timeout: float) -> None:
        """Wait for room, or for the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._full(), timeout)

    def report(self, state: State) -> None:
        """Never waits: in a full inbox only the last state of each channel is kept, behind all that fits. Raises Closed."""
        with self._changed:
            if self._full():
                self._drop_state(state.channel)
            self._add(state, 0)

    def _drop_state(self, channel: str) -> None:
        """That of a channel among the states at the end: nothing else was added since the inbox is full."""
        for index in range(len(self._items) - 1, -1, -1):
            event = self._items[index][0]
            if not isinstance(event, State):
                return
            if event.channel == channel:
                del self._items[index]
                return

    def has_room(self) -> bool:
        """Half of the queue is free, so that fetching more is worth while."""
        with self._changed:
            return len(self._items) <= MAX_EVENTS // 2 and self._bytes <= MAX_BYTES // 2

    def take(self, timeout: float | None) -> Event:
        """Raises TimeoutError, Closed, or what a follower failed with once all before that is taken."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._failure or self._closed, timeout):
                raise TimeoutError("nothing came in time")
            if self._closed:
                raise Closed("The subscription is closed.")
            if not self._items:
                assert self._failure is not None
                raise self._failure
            event, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return event

    def fail(self, failure: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def _full(self) -> bool:
        return len(self._items) >= MAX_EVENTS or self._bytes >= MAX_BYTES

    def _add(self, event: Event, size: int) -> None:
        if self._closed:
            raise Closed("The subscription is closed.")
        self._items.append((event, size))
        self._bytes += size
        self._changed.notify_all()
