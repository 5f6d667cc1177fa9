"""All connections to the database: one appends groups, some read, one listens; and the comparisons that keep them honest."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import gevent

from heliograph.channels.engines.postgres import reading
from heliograph.channels.engines.postgres.committer import Committer
from heliograph.channels.engines.postgres.connection import Connection, Seat
from heliograph.channels.engines.postgres.listener import Ear
from heliograph.channels.errors import Overloaded, Unavailable
from heliograph.channels.log import MAX_WAITING_CALLS, Done, Limits, News
from heliograph.channels.message import Append

T = TypeVar("T")

#: Connections for everything but appends and listening. PostgreSQL allows 100 to all clients of a server.
READERS = 2

#: Seconds between comparisons of all followed channels with the log, and between steps of trimming.
POSITION_INTERVAL, TRIM_INTERVAL = 20.0, 1.0


class Link:
    def __init__(self, url: str, limits: Limits, listener: Callable[[News], None]) -> None:
        self._listener = listener
        self._committer = Committer(url, limits, self._committed)
        self._readers = [Seat(url) for _ in range(READERS)]
        self._turns = count()
        self._calls = 0
        self.ear = Ear(url, listener, self.compare, self._committer.probe)
        self._greenlets = [gevent.spawn(work) for work in (self._trimming, self._comparing)]

    def run(self, work: Callable[[Connection], T]) -> T:
        """`work` with one of the reading connections. Raises Unavailable."""
        if self._calls >= MAX_WAITING_CALLS:
            raise Overloaded("Too many requests wait for the log of the channels.")
        self._calls += 1
        try:
            return self._readers[next(self._turns) % READERS].run(work)
        finally:
            self._calls -= 1

    def submit(self, append: Append, done: Done) -> None:
        """Raises Overloaded."""
        self._committer.submit(append, done)

    def _committed(self, news: News) -> None:
        if news.channel in self.ear.followed:
            self._listener(news)

    def compare(self) -> None:
        """A hint for every channel that is followed. Waits."""
        try:
            for name, top in self.run(lambda c: reading.tops(c, list(self.ear.followed))).items():
                self._listener(News(name, top.epoch, top.offset))
        except Unavailable:
            self._compare_at = time.monotonic() + 1.0

    def _comparing(self) -> None:
        self._compare_at = time.monotonic() + POSITION_INTERVAL
        while True:
            gevent.sleep(0.5)
            if time.monotonic() >= self._compare_at:
                self._compare_at = time.monotonic() + POSITION_INTERVAL
                self.compare()

    def _trimming(self) -> None:
        while True:
            gevent.sleep(TRIM_INTERVAL * (0.5 + random.random()))
            try:
                while self.run(self._committer.store.trim):
                    gevent.sleep(0)
            except Unavailable:
                continue  # `ready` says so already

    def ready(self) -> str:
        return self._committer.state if self._committer.state != "ok" else self.ear.state

    def close(self) -> None:
        self._committer.close()
        gevent.killall(self._greenlets)
        self.ear.close()
        gevent.joinall([gevent.spawn(seat.close) for seat in self._readers])
