"""All connections to the database: one appends groups, some read, one listens. Regular comparisons find lost notifications."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import gevent

from heliograph.channels.engines.postgres import reader
from heliograph.channels.engines.postgres.committer import Committer
from heliograph.channels.engines.postgres.connection import Connection, SharedConnection
from heliograph.channels.engines.postgres.listener import PostgresListener
from heliograph.channels.engines.postgres.trimming import PostgresTrimmer
from heliograph.channels.errors import LogOverloaded, LogUnavailable
from heliograph.channels.message import Append
from heliograph.channels.records import MAX_WAITING_CALLS, Done, Limits, Notification
from heliograph.channels.trim_watch import TrimWatch
from heliograph.request.pauses import pause

T = TypeVar("T")

#: Connections for everything but appends and listening. PostgreSQL allows 100 to all clients of a server.
READERS = 2

#: Seconds between comparisons of all followed channels with the log, and between steps of trimming.
POSITION_INTERVAL, TRIM_INTERVAL = 20.0, 1.0


class PostgresPool:
    def __init__(
        self,
        url: str,
        limits: Limits,
        on_notification: Callable[[Notification], None],
        trim_watch: TrimWatch,
    ) -> None:
        self._on_notification, self._trim_watch = on_notification, trim_watch
        self._committer = Committer(url, limits, self._committed)
        self._trimmer = PostgresTrimmer(self._committer.store, limits)
        self._readers = [SharedConnection(url) for _ in range(READERS)]
        self._trim_interval = min(TRIM_INTERVAL, limits.check_interval)
        self._next_reader = count()
        self._calls = 0
        self.listener = PostgresListener(url, on_notification, self.compare, self._committer.probe)
        self._greenlets = [gevent.spawn(work) for work in (self._trim_regularly, self._compare_regularly)]

    def run(self, work: Callable[[Connection], T]) -> T:
        """`work` with one of the reading connections. Raises LogUnavailable."""
        if self._calls >= MAX_WAITING_CALLS:
            raise LogOverloaded("Too many requests wait for the log of the channels.")
        self._calls += 1
        try:
            return self._readers[next(self._next_reader) % READERS].run(work)
        finally:
            self._calls -= 1

    def submit(self, append: Append, done: Done) -> None:
        """Raises LogOverloaded."""
        self._committer.submit(append, done)

    def _committed(self, notification: Notification) -> None:
        if notification.channel in self.listener.followed:
            self._on_notification(notification)

    def compare(self) -> None:
        """A hint for each followed channel. Waits."""
        try:
            for name, top in self.run(lambda c: reader.tops(c, list(self.listener.followed))).items():
                self._on_notification(Notification(name, top.epoch, top.offset))
        except LogUnavailable:
            self._compare_at = time.monotonic() + 1.0

    def _compare_regularly(self) -> None:
        self._compare_at = time.monotonic() + POSITION_INTERVAL
        while True:
            gevent.sleep(0.5)
            if time.monotonic() >= self._compare_at:
                self._compare_at = time.monotonic() + POSITION_INTERVAL
                self.compare()

    def _trim_regularly(self) -> None:
        while True:
            gevent.sleep(self._trim_interval * (0.5 + random.random()))
            with self._trim_watch.step():
                while (more := self.run(self._trimmer.step)) is not None:
                    self._trim_watch.trimmed()
                    if not more:
                        break
                    pause()

    def ready(self) -> str:
        return self._committer.state if self._committer.state != "ok" else self.listener.state

    @property
    def reconnects(self) -> int:
        times = [one.opened for one in (self._committer.connection, *self._readers)]
        return sum(max(0, opened - 1) for opened in (*times, self.listener.opened))

    def close(self) -> None:
        self._committer.close()
        gevent.killall(self._greenlets)
        self.listener.close()
        gevent.joinall([gevent.spawn(connection.close) for connection in self._readers])
