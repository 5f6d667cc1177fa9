"""The log on SQLite, as greenlets use it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, cast

import gevent
from gevent.event import AsyncResult, Event

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.sqlite.session import SqliteSession
from heliograph.channels.engines.sqlite.transactions import Locked
from heliograph.channels.engines.sqlite.worker import FollowRequest, SqliteWorker, WorkerCall
from heliograph.channels.errors import ChannelError, LogOverloaded, LogUnavailable
from heliograph.channels.location import Location
from heliograph.channels.log import FIRST_CHANNELS, Log, PresenceStore
from heliograph.channels.message import Append
from heliograph.channels.presence import Changes, Present, encode
from heliograph.channels.records import (
    MAX_PAGE_MESSAGES,
    MAX_WAITING_APPENDS,
    MAX_WAITING_BYTES,
    MAX_WAITING_CALLS,
    ChannelInfo,
    ChannelPage,
    Done,
    Limits,
    Notification,
    Outcome,
    Page,
)

T = TypeVar("T")

#: Seconds that a probe tries to get past other writers, and between two tries. Others commit within milliseconds.
PROBE_PATIENCE, PROBE_PAUSE = 0.4, 0.02

#: The same for removing a history.
REMOVE_PATIENCE = 5.0


class SqliteLog(Log):
    """Opens the file, in its own thread, at the first call. So it may be created before a fork, and must not be used before one."""

    def __init__(self, path: str, limits: Limits) -> None:
        super().__init__()
        self._path, self._limits = Path(path).absolute(), limits
        self._listener: Callable[[Notification], None] = _ignore
        self._running: SqliteWorker | None = None
        self._pid = 0
        self._closed = False
        self._waiting = self._waiting_bytes = 0
        self.presence = SqlitePresence(self)

    def _deliver(self, notification: Notification) -> None:
        self._listener(notification)

    @classmethod
    def at(cls, location: Location, limits: Limits) -> SqliteLog:
        return cls(location.path, limits)

    def listen(self, listener: Callable[[Notification], None]) -> None:
        self._listener = listener

    def submit(self, append: Append, done: Done) -> None:
        size = len(append.data)
        if self._waiting >= MAX_WAITING_APPENDS or self._waiting_bytes + size > MAX_WAITING_BYTES:
            done(LogOverloaded("Too many messages wait to be stored."))
            return

        def finished(outcome: Outcome) -> None:
            self._waiting -= 1
            self._waiting_bytes -= size
            done(outcome)

        try:
            worker = self._worker()
        except LogUnavailable as exc:
            done(exc)
            return
        self._waiting += 1
        self._waiting_bytes += size
        worker.appends.append((append, finished))
        worker.notify()

    def call(self, function: Callable[[SqliteSession], T]) -> T:
        """`function` of the worker's session, called in its thread. Raises LogUnavailable."""
        return cast(T, self._ask(lambda done: WorkerCall(function, done)))

    def _ask(
        self,
        request: Callable[[Callable[[object], None]], WorkerCall | FollowRequest],
        *,
        urgent: bool = False,
    ) -> object:
        worker = self._worker()
        if len(worker.calls) >= MAX_WAITING_CALLS:
            raise LogOverloaded("Too many requests wait for the log of the channels.")
        answer: AsyncResult[object] = AsyncResult()
        (worker.calls.appendleft if urgent else worker.calls.append)(request(answer.set))
        worker.notify()
        result = answer.get()
        if isinstance(result, ChannelError):
            raise result
        return result

    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        return self.call(lambda session: session.reader.page(channel, after, limit))

    def remove(self, channel: str) -> Cursor:
        deadline = time.monotonic() + REMOVE_PATIENCE
        while True:
            try:
                return self.call(lambda session: session.store.remove(channel))
            except Locked:
                if time.monotonic() >= deadline:
                    raise
            gevent.sleep(PROBE_PAUSE)

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        wanted = list(channels)
        return self.call(lambda session: session.reader.tops(wanted))

    def channels(self, wanted: ChannelPage = FIRST_CHANNELS) -> list[ChannelInfo]:
        return self.call(lambda session: session.reader.channels(wanted))

    def follow(self, channel: str) -> None:
        self._ask(lambda done: FollowRequest(channel, True, done))

    def unfollow(self, channel: str) -> None:
        self._ask(lambda done: FollowRequest(channel, False, done))

    def ready(self) -> str:
        try:
            return self._worker().state
        except LogUnavailable as exc:
            return str(exc)

    def probe(self) -> str:
        """A small commit, before other calls. While another process holds a lock, readers and publishers come in between."""
        deadline = time.monotonic() + PROBE_PATIENCE
        while True:
            try:
                space = self._ask(lambda done: WorkerCall(SqliteSession.probe, done), urgent=True)
                return self.ready() if space == "ok" else cast(str, space)
            except Locked:
                if time.monotonic() >= deadline:
                    raise
            gevent.sleep(PROBE_PAUSE)

    @property
    def reconnects(self) -> int:
        return max(0, self._running.opened - 1) if self._running else 0

    def close(self) -> None:
        worker, self._running, self._closed = self._running, None, True
        if worker is not None and self._pid == os.getpid():
            ended = Event()
            worker.close(ended.set)
            ended.wait()
            worker.mailbox.close()

    def _worker(self) -> SqliteWorker:
        if self._closed:
            raise LogUnavailable("The log of the channels is closed.")
        if self._running is None:
            self._pid = os.getpid()
            self._running = SqliteWorker(self._path, self._limits, self._deliver)
        elif self._pid != os.getpid():
            raise RuntimeError("the log was used before the process forked; SQLite does not survive that")
        return self._running


class SqlitePresence(PresenceStore):
    def __init__(self, log: SqliteLog) -> None:
        self._log = log

    def announce(self, changes: Changes) -> bool:
        rows = [(channel, *encode(subscribers)) for channel, subscribers in changes.items()]
        return self._log.call(lambda session: session.presence.announce(rows))

    def present(self, channel: str) -> Present:
        return self._log.call(lambda session: session.presence.present(channel))

    def leave(self) -> None:
        self._log.call(lambda session: session.presence.leave())

    def use_once(self, token: str, ttl: float) -> bool:
        return self._log.call(lambda session: session.presence.use_once(token, ttl))


def _ignore(_notification: Notification) -> None:
    """Before there is a listener, notifications are of no use: they are only hints."""
