"""One look at all deadlines, ten times a second, instead of a timer for each wait."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import gevent

if TYPE_CHECKING:
    from heliograph_proxy.streams import Waits

#: How late a deadline may be noticed. Not Final: tests wait less.
SWEEP_SECONDS = 0.1


class Sweeper:
    """`add` and `remove` who waits; each is told the time by its `expire`."""

    def __init__(self) -> None:
        self._streams: set[Waits] = set()
        self.add = self._streams.add
        self.remove = self._streams.discard
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def _run(self) -> None:
        while True:
            gevent.sleep(SWEEP_SECONDS)
            now = monotonic()
            for stream in tuple(self._streams):
                stream.expire(now)
