"""Calls from a native thread that the event loop makes as soon as it can."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent

log = logging.getLogger("heliograph")


class Mailbox:
    """Made on the event loop. `send` is for one other thread; what it sends is bounded by the calls that thread got."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._watcher: Any = gevent.get_hub().loop.async_()
        self._watcher.start(self._deliver)

    def send(self, function: Callable[..., object], *args: object) -> None:
        """The loop calls `function`, which must not wait."""
        self._calls.append((function, args))
        self._watcher.send()

    def _deliver(self) -> None:
        while self._calls:
            function, args = self._calls.popleft()
            try:
                function(*args)
            except Exception:
                # An error of one callback; the others are still called.
                log.exception("a callback of the channels failed")

    def close(self) -> None:
        self._deliver()
        self._watcher.stop()
        self._watcher.close()
