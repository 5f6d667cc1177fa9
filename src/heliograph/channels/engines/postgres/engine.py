"""The log on PostgreSQL, as greenlets use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.postgres import reader
from heliograph.channels.engines.postgres.connection import Connection, check_url, probe
from heliograph.channels.engines.postgres.pool import PostgresPool
from heliograph.channels.engines.postgres.presence import PostgresPresence
from heliograph.channels.engines.postgres.store import remove
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.location import Location
from heliograph.channels.log import FIRST_CHANNELS, Log
from heliograph.channels.message import Append
from heliograph.channels.records import (
    MAX_PAGE_MESSAGES,
    ChannelInfo,
    ChannelPage,
    Done,
    Limits,
    Notification,
    Page,
)

T = TypeVar("T")


class PostgresLog(Log):
    """Connects at its first use, after the fork. Raises LocationError for a URL that libpq cannot read."""

    def __init__(self, url: str, limits: Limits) -> None:
        super().__init__()
        check_url(url)
        self._url, self._limits = url, limits
        self._listener: Callable[[Notification], None] = lambda _notification: None
        self._open_pool: PostgresPool | None = None
        self._pid = 0
        self._closed = False
        self.presence = PostgresPresence(self._run, limits.presence_ttl)

    def _pool(self) -> PostgresPool:
        if self._closed:
            raise LogUnavailable("The log of the channels is closed.")
        if self._open_pool is None:
            self._pid = os.getpid()
            self._open_pool = PostgresPool(self._url, self._limits, self._on_notification, self.trim_watch)
        elif self._pid != os.getpid():
            raise RuntimeError("the log was used before the process forked")
        return self._open_pool

    def _run(self, work: Callable[[Connection], T]) -> T:
        return self._pool().run(work)

    def _on_notification(self, notification: Notification) -> None:
        self._listener(notification)

    @classmethod
    def at(cls, location: Location, limits: Limits) -> PostgresLog:
        return cls(location.url, limits)

    def listen(self, listener: Callable[[Notification], None]) -> None:
        self._listener = listener

    def submit(self, append: Append, done: Done) -> None:
        try:
            self._pool().submit(append, done)
        except LogUnavailable as exc:
            done(exc)

    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        return self._run(lambda connection: reader.page(connection, channel, after, limit, self._limits))

    def remove(self, channel: str) -> Cursor:
        return self._run(lambda connection: remove(connection, channel))

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        wanted = list(channels)
        return self._run(lambda connection: reader.tops(connection, wanted))

    def channels(self, wanted: ChannelPage = FIRST_CHANNELS) -> list[ChannelInfo]:
        return self._run(lambda connection: reader.channels(connection, wanted))

    def follow(self, channel: str) -> None:
        listener = self._pool().listener
        listener.followed.add(channel)
        listener.attempted.wait()

    def unfollow(self, channel: str) -> None:
        self._pool().listener.followed.discard(channel)

    def ready(self) -> str:
        return "closed" if self._closed else self._pool().ready()

    def probe(self) -> str:
        self._run(probe)
        return self.ready()

    @property
    def reconnects(self) -> int:
        return self._open_pool.reconnects if self._open_pool else 0

    def close(self) -> None:
        pool, self._open_pool, self._closed = self._open_pool, None, True
        if pool is not None and self._pid == os.getpid():
            pool.close()
