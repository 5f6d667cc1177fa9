"""All connections to the database: one appends groups, some read, one listens; and the comparisons that keep them honest."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import gevent
from gevent.event import Event

from app.channels.backoff import delay
from app.channels.errors import Overloaded, Unavailable
from app.channels.log import (
    MAX_WAITING_APPENDS,
    MAX_WAITING_BYTES,
    MAX_WAITING_CALLS,
    Done,
    Limits,
    News,
    Outcome,
)
from app.channels.message import Append
from app.channels.on_postgres import reading
from app.channels.on_postgres.database import FAILURES, Connection, Seat, unavailable
from app.channels.on_postgres.ear import Ear
from app.channels.on_postgres.store import CHANNEL, Store, news_of

log = logging.getLogger("heliograph")
T = TypeVar("T")

#: Appends and bytes of one group.
MAX_GROUP, MAX_GROUP_BYTES = 2000, 4 << 20

#: Connections for everything but appends and listening. PostgreSQL allows 100 to all clients of a server.
READERS = 2

#: Seconds between comparisons of all followed channels with the log, and between steps of trimming.
POSITION_INTERVAL, TRIM_INTERVAL = 20.0, 1.0


class Link:
    def __init__(self, url: str, limits: Limits, listener: Callable[[News], None]) -> None:
        self._listener = listener
        self._store = Store(limits)
        self._writer = Seat(url)
        self._readers = [Seat(url) for _ in range(READERS)]
        self._turns = count()
        self._calls = 0
        self._appends: deque[tuple[Append, Done]] = deque()
        self._bytes = 0
        self._wanted = Event()
        self._state = "ok"
        self.ear = Ear(url, listener, self.compare, self._probe)
        self._greenlets = [gevent.spawn(work) for work in (self._committing, self._trimming, self._comparing)]

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
        size = len(append.data)
        if len(self._appends) >= MAX_WAITING_APPENDS or self._bytes + size > MAX_WAITING_BYTES:
            raise Overloaded("Too many messages wait to be stored.")
        self._bytes += size
        self._appends.append((append, done))
        self._wanted.set()

    def _committing(self) -> None:
        failures = 0
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while self._appends:
                group: list[tuple[Append, Done]] = []
                size = 0
                while self._appends and len(group) < MAX_GROUP and size < MAX_GROUP_BYTES:
                    group.append(self._appends.popleft())
                    size += len(group[-1][0].data)
                self._bytes -= size
                outcomes = self._commit([append for append, _ in group])
                for (_, done), outcome in zip(group, outcomes, strict=True):
                    done(outcome)
                if self._state == "ok":
                    failures = 0
                else:  # what waits meanwhile is answered soon, but the server is not called all the time
                    gevent.sleep(delay(failures, random.random))
                    failures += 1

    def _commit(self, appends: list[Append]) -> list[Outcome]:
        reached = False
        try:
            with self._writer.turn() as connection:
                reached = True
                done = self._store.commit(connection, appends)
        except (*FAILURES, Unavailable) as exc:
            error = unavailable(exc, uncertain=reached)
            self._state = str(error)
            return [error] * len(appends)
        except Exception as exc:
            log.exception("a mistake of ours kept messages from being stored")
            return [unavailable(exc)] * len(appends)
        self._state = "ok"
        for news in news_of(done):
            if news.channel in self.ear.followed:
                self._listener(news)
        return done.outcomes

    def _probe(self, text: str) -> None:
        try:
            self._writer.run(
                lambda connection: connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))
            )
            self._state = "ok"
        except Unavailable as exc:
            self._state = str(exc)

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
                while self.run(self._store.trim):
                    gevent.sleep(0)
            except Unavailable:
                continue  # `ready` says so already

    def ready(self) -> str:
        return self._state if self._state != "ok" else self.ear.state

    def close(self) -> None:
        gevent.killall(self._greenlets)
        self.ear.close()
        for seat in (self._writer, *self._readers):
            seat.drop()
