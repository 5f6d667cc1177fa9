"""Group commit: all appends that wait go into one transaction, over one connection."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event
from heliograph_proxy.backoff import delay

from heliograph.channels.engines.postgres.connection import FAILURES, SharedConnection, unavailable
from heliograph.channels.engines.postgres.store import CHANNEL, PostgresStore
from heliograph.channels.errors import LogOverloaded, LogUnavailable
from heliograph.channels.message import Append
from heliograph.channels.records import (
    MAX_WAITING_APPENDS,
    MAX_WAITING_BYTES,
    Done,
    Limits,
    Notification,
    Outcome,
)

log = logging.getLogger("heliograph")

#: Appends and bytes of one group.
MAX_GROUP, MAX_GROUP_BYTES = 2000, 4 << 20

#: Seconds that `close` waits for appends to be stored.
CLOSE_TIMEOUT = 1.0


class Committer:
    """`committed` gets the notifications of each group. `state` is "ok", or why the last attempt to write failed."""

    def __init__(self, url: str, limits: Limits, committed: Callable[[Notification], None]) -> None:
        self.state = "ok"
        self.store = PostgresStore(limits)
        self.connection = SharedConnection(url)
        self._committed = committed
        self._appends: deque[tuple[Append, Done]] = deque()
        self._group: list[tuple[Append, Done]] = []
        self._bytes = 0
        self._work_available = Event()
        self._closing = False
        self._greenlet = gevent.spawn(self._run)

    def submit(self, append: Append, done: Done) -> None:
        """Raises LogOverloaded."""
        size = len(append.data)
        if len(self._appends) >= MAX_WAITING_APPENDS or self._bytes + size > MAX_WAITING_BYTES:
            raise LogOverloaded("Too many messages wait to be stored.")
        self._bytes += size
        self._appends.append((append, done))
        self._work_available.set()

    def probe(self, text: str) -> None:
        """Send a notification with this text as all others are sent. Waits."""
        try:
            self.connection.run(
                lambda connection: connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))
            )
            self.state = "ok"
        except LogUnavailable as exc:
            self.state = str(exc)

    def close(self) -> None:
        """Store what waits if that is possible soon; each append gets an answer."""
        self._closing = True
        self._work_available.set()
        self._greenlet.join(CLOSE_TIMEOUT)
        self._greenlet.kill()
        self._refuse(LogUnavailable("The log of the channels was closed meanwhile.", uncertain=True))
        self._group = list(self._appends)
        self._refuse(LogUnavailable("The log of the channels is closed."))
        self.connection.close()

    def _run(self) -> None:
        """Until nothing waits and the committer is closed."""
        failures = 0
        while not self._closing:
            self._work_available.wait()
            self._work_available.clear()
            while self._appends:
                self._take_group()
                self._answer(self._commit_group([append for append, _ in self._group]))
                if self.state == "ok":
                    failures = 0
                else:  # appends are answered soon, but the server is not called without a pause
                    gevent.sleep(delay(failures, random.random))
                    failures += 1

    def _take_group(self) -> None:
        size = 0
        while self._appends and len(self._group) < MAX_GROUP and size < MAX_GROUP_BYTES:
            self._group.append(self._appends.popleft())
            size += len(self._group[-1][0].data)
        self._bytes -= size

    def _answer(self, outcomes: Sequence[Outcome]) -> None:
        group, self._group = self._group, []
        for (_, done), outcome in zip(group, outcomes, strict=True):
            done(outcome)

    def _refuse(self, error: LogUnavailable) -> None:
        self._answer([error] * len(self._group))

    def _commit_group(self, appends: list[Append]) -> list[Outcome]:
        reached = False
        try:
            with self.connection.lease() as connection:
                reached = True
                done = self.store.commit(connection, appends)
        except (*FAILURES, LogUnavailable) as exc:
            error = unavailable(exc, uncertain=reached)
            self.state = str(error)
            return [error] * len(appends)
        except Exception as exc:
            log.exception("an error in this program kept messages from being stored")
            return [unavailable(exc)] * len(appends)
        self.state = "ok"
        try:
            for notification in done.notifications():
                self._committed(notification)
        except Exception:  # all of it is stored, and followers compare with the log from time to time
            log.exception("the notifications of stored messages could not be passed on")
        return done.outcomes
