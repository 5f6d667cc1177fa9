"""Connections for a process that gevent has not patched: psycopg would hold the loop of the log while it waits.

Only connecting still does, for the seconds that the URL allows.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from select import POLLIN, POLLOUT
from typing import Any

import gevent.select
import psycopg

#: The bits of psycopg's `Wait` and `Ready`.
_READ, _WRITE = 1, 2


class LoopConnection(psycopg.Connection[tuple[Any, ...]]):
    def wait(self, gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's own, by the event loop."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            wanted = next(gen)
            while True:
                left = interval if deadline is None else min(interval, deadline - time.monotonic())
                wanted = gen.send(_ready(self.pgconn.socket, int(wanted), max(0.0, left)))
                if deadline is not None and time.monotonic() >= deadline:
                    raise psycopg.errors._WaitTimeout("wait timeout expired")
        except StopIteration as exc:
            return exc.value


def _ready(descriptor: int, wanted: int, seconds: float) -> int:
    poll: Any = gevent.select.poll()
    poll.register(descriptor, (POLLIN if wanted & _READ else 0) | (POLLOUT if wanted & _WRITE else 0))
    found = 0
    for _, event in poll.poll(seconds * 1000):
        found |= (_WRITE if event & POLLOUT else 0) | (_READ if event & ~POLLOUT else 0)
    return found
