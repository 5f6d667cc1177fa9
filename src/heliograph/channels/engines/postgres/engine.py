"""The log on PostgreSQL, as greenlets use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.postgres import reading
from heliograph.channels.engines.postgres.connection import Connection, check_url
from heliograph.channels.engines.postgres.link import Link
from heliograph.channels.engines.postgres.presence import PostgresShared
from heliograph.channels.errors import Unavailable
from heliograph.channels.log import MAX_PAGE_MESSAGES, ChannelInfo, Done, Limits, Log, News, Page
from heliograph.channels.message import Append

T = TypeVar("T")


class PostgresLog(Log):
    """Connects at its first use, after the fork. Raises LocationError for a URL that libpq cannot read."""

    def __init__(self, url: str, limits: Limits) -> None:
        check_url(url)
        self._url, self._limits = url, limits
        self._listener: Callable[[News], None] = lambda _news: None
        self._connected: Link | None = None
        self._pid = 0
        self._closed = False
        self.shared = PostgresShared(self._run, limits.presence_ttl)

    def _link(self) -> Link:
        if self._closed:
            raise Unavailable("The log of the channels is closed.")
        if self._connected is None:
            self._pid = os.getpid()
            self._connected = Link(self._url, self._limits, self._hear)
        elif self._pid != os.getpid():
            raise RuntimeError("the log was used before the process forked")
        return self._connected

    def _run(self, work: Callable[[Connection], T]) -> T:
        return self._link().run(work)

    def _hear(self, news: News) -> None:
        self._listener(news)

    def listen(self, listener: Callable[[News], None]) -> None:
        self._listener = listener

    def submit(self, append: Append, done: Done) -> None:
        try:
            self._link().submit(append, done)
        except Unavailable as exc:
            done(exc)

    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        return self._run(lambda connection: reading.page(connection, channel, after, limit, self._limits))

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        wanted = list(channels)
        return self._run(lambda connection: reading.tops(connection, wanted))

    def channels(self) -> list[ChannelInfo]:
        return self._run(reading.all_channels)

    def follow(self, channel: str) -> None:
        ear = self._link().ear
        ear.followed.add(channel)
        ear.tried.wait()

    def unfollow(self, channel: str) -> None:
        self._link().ear.followed.discard(channel)

    def ready(self) -> str:
        return "closed" if self._closed else self._link().ready()

    def close(self) -> None:
        link, self._connected, self._closed = self._connected, None, True
        if link is not None and self._pid == os.getpid():
            link.close()
