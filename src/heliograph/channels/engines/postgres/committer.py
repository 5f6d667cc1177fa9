"""Group commit: all appends that wait go into one transaction, over one connection."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event

from heliograph.channels.backoff import delay
from heliograph.channels.engines.postgres.connection import FAILURES, Seat, unavailable
from heliograph.channels.engines.postgres.store import CHANNEL, Store, news_of
from heliograph.channels.errors import Overloaded, Unavailable
from heliograph.channels.log import MAX_WAITING_APPENDS, MAX_WAITING_BYTES, Done, Limits, News, Outcome
from heliograph.channels.message import Append

log = logging.getLogger("heliograph")

#: Appends and bytes of one group.
MAX_GROUP, MAX_GROUP_BYTES = 2000, 4 << 20

#: Seconds for what still waits to be stored at the end.
FINISHING = 1.0


class Committer:
    """`committed` gets the news of each group. `state` is "ok", or why the last attempt to write failed."""

    def __init__(self, url: str, limits: Limits, committed: Callable[[News], None]) -> None:
        self.state = "ok"
        self.store = Store(limits)
        self._seat = Seat(url)
        self._committed = committed
        self._appends: deque[tuple[Append, Done]] = deque()
        self._group: list[tuple[Append, Done]] = []
        self._bytes = 0
        self._wanted = Event()
        self._closing = False
        self._greenlet = gevent.spawn(self._run)

    def submit(self, append: Append, done: Done) -> None:
        """Raises Overloaded."""
        size = len(append.data)
        if len(self._appends) >= MAX_WAITING_APPENDS or self._bytes + size > MAX_WAITING_BYTES:
            raise Overloaded("Too many messages wait to be stored.")
        self._bytes += size
        self._appends.append((append, done))
        self._wanted.set()

    def probe(self, text: str) -> None:
        """A notification with this text, the way of all others. Waits."""
        try:
            self._seat.run(lambda connection: connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text)))
            self.state = "ok"
        except Unavailable as exc:
            self.state = str(exc)

    def close(self) -> None:
        """Store what waits if that is possible soon; nobody is left without an answer."""
        self._closing = True
        self._wanted.set()
        self._greenlet.join(FINISHING)
        self._greenlet.kill()
        self._refuse(Unavailable("The log of the channels was closed meanwhile.", uncertain=True))
        self._group = list(self._appends)
        self._refuse(Unavailable("The log of the channels is closed."))
        self._seat.close()

    def _run(self) -> None:
        """Until nothing waits and nothing more will come."""
        failures = 0
        while not self._closing:
            self._wanted.wait()
            self._wanted.clear()
            while self._appends:
                self._take_group()
                self._answer(self._commit([append for append, _ in self._group]))
                if self.state == "ok":
                    failures = 0
                else:  # what waits meanwhile is answered soon, but the server is not called all the time
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

    def _refuse(self, error: Unavailable) -> None:
        self._answer([error] * len(self._group))

    def _commit(self, appends: list[Append]) -> list[Outcome]:
        reached = False
        try:
            with self._seat.turn() as connection:
                reached = True
                done = self.store.commit(connection, appends)
        except (*FAILURES, Unavailable) as exc:
            error = unavailable(exc, uncertain=reached)
            self.state = str(error)
            return [error] * len(appends)
        except Exception as exc:
            log.exception("a mistake of ours kept messages from being stored")
            return [unavailable(exc)] * len(appends)
        self.state = "ok"
        try:
            for news in news_of(done):
                self._committed(news)
        except Exception:  # all of it is stored, and whoever listens compares with the log from time to time
            log.exception("the news of stored messages could not be told")
        return done.outcomes
