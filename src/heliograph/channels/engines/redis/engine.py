"""The log on Redis, as greenlets use it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import window
from heliograph.channels.engines.redis.connection import check_url
from heliograph.channels.engines.redis.listing import ChannelListing
from heliograph.channels.engines.redis.pipeline import refused
from heliograph.channels.engines.redis.pool import RedisPool
from heliograph.channels.engines.redis.presence import RedisPresence
from heliograph.channels.engines.redis.schema import ENTRY, KEY, LOG, SIZES
from heliograph.channels.errors import ChannelError, KeyReused, LogUnavailable, TooManyChannels
from heliograph.channels.location import Location
from heliograph.channels.log import FIRST_CHANNELS, Log
from heliograph.channels.message import Append, Kind, StoredMessage
from heliograph.channels.records import (
    FORGET_INTERVAL,
    KEY_TTL,
    MAX_PAGE_BYTES,
    MAX_PAGE_MESSAGES,
    Appended,
    ChannelInfo,
    ChannelPage,
    Done,
    Limits,
    Notification,
    Outcome,
    Page,
)


class RedisLog(Log):
    """Connects at its first use, after the fork. Raises LocationError for a URL that redis-py cannot read."""

    presence: RedisPresence

    def __init__(self, url: str, limits: Limits) -> None:
        super().__init__()
        check_url(url)
        self._url, self._limits = url, limits
        self._listener: Callable[[Notification], None] = lambda _notification: None
        self._open_pool: RedisPool | None = None
        self._pid = 0
        self._closed = False
        self._forget_again = 0.0
        # Refused while a search for channels that ended is under way. No more than what waits for the connection.
        self._waiting_for_room: list[tuple[Append, Done]] = []
        self.presence = RedisPresence(self._pool, limits.presence_ttl)
        self._listing = ChannelListing(self._pool, self.presence)

    def _pool(self) -> RedisPool:
        if self._closed:
            raise LogUnavailable("The log of the channels is closed.")
        if self._open_pool is None:
            self._pid = os.getpid()
            self._open_pool = RedisPool(self._url, self._limits, self._on_notification, self.trim_watch)
        elif self._pid != os.getpid():
            raise RuntimeError("the log was used before the process forked")
        return self._open_pool

    def _on_notification(self, notification: Notification) -> None:
        self._listener(notification)

    @classmethod
    def at(cls, location: Location, limits: Limits) -> RedisLog:
        return cls(location.url, limits)

    def listen(self, listener: Callable[[Notification], None]) -> None:
        self._listener = listener

    def append_many(self, appends: Sequence[Append]) -> list[Outcome]:
        self._pool().append_connection.attempted.wait()
        return super().append_many(appends)

    def submit(self, append: Append, done: Done) -> None:
        try:
            pool = self._pool()
        except LogUnavailable as exc:
            done(exc)
            return
        limits, key = self._limits, append.key
        keys = (LOG + append.channel, f"{KEY}{append.channel}:{key.id.hex() if key else ''}", SIZES)
        arguments = (
            *(append.channel, int(append.kind), append.data),
            *(limits.history_size, int(limits.history_ttl * 1000), limits.max_channels),
            *(
                key.body.hex() if key else "",
                int(KEY_TTL * 1000),
                pool.notification_prefix,
                limits.history_bytes,
            ),
        )
        pool.send("append", keys, arguments, lambda answer: self._answered(append, answer, done))

    def _answered(self, append: Append, answer: object, done: Done) -> None:
        parts: list[Any] = answer if isinstance(answer, list) else [None]
        verdict, rest = parts[0], parts[1:]
        if verdict in (b"ok", b"repeated"):
            epoch, offset, stamp = rest
            done(Appended(epoch.decode(), int(offset), int(stamp) / 1e6, verdict == b"repeated"))
        elif verdict == b"full":
            self._make_room(append, done)
        elif verdict == b"reused":
            done(KeyReused("This idempotency key was used with another body; nothing was published."))
        else:
            done(answer if isinstance(answer, ChannelError) else refused(answer))

    def _make_room(self, append: Append, done: Done) -> None:
        """Forget channels that ended, and try once more. Not often: the search is long. What is refused meanwhile waits for it."""
        if self._waiting_for_room:
            self._waiting_for_room.append((append, done))
        elif time.monotonic() < self._forget_again or self._closed:
            done(_full())
        else:
            self._forget_again = time.monotonic() + FORGET_INTERVAL
            self._waiting_for_room.append((append, done))
            arguments = (int(self._limits.history_ttl * 1000), LOG, append.channel, "")
            self._pool().send("forget", (SIZES,), arguments, self._on_forgotten)

    def _on_forgotten(self, answer: object) -> None:
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for append, done in waiting:
            if answer == 0:
                done(_full())
            else:  # also after an error: what is wrong is answered to the append
                self.submit(append, done)

    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        start: int | None = None if after is None else after.offset
        while True:
            epoch, top, now, found = self._read(channel, start, limit)
            if not window.known(after, epoch, top, self._limits):
                return window.lost(epoch, top)
            page = window.page(epoch, top, after, found, (self._limits, now, limit))
            if page.messages or after is not None or not found or found[-1].offset >= top:
                return page
            start = found[-1].offset  # all of these were too old, and there are more

    def _read(
        self, channel: str, start: int | None, limit: int
    ) -> tuple[str, int, float, list[StoredMessage]]:
        answer = self._pool().run(
            "read",
            (LOG + channel, SIZES),
            *(channel, "" if start is None else start, self._limits.history_size, limit, MAX_PAGE_BYTES),
            self._limits.history_bytes,
        )
        epoch, top, now, packed = cast(tuple[bytes, bytes, bytes, bytes], answer)
        return epoch.decode(), int(top), int(now) / 1e6, _unpacked(packed)

    def remove(self, channel: str) -> Cursor:
        epoch = cast(bytes, self._pool().run("remove", (LOG + channel, SIZES), channel))
        return Cursor(epoch.decode(), 0)

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        return self._pool().tops(channels)

    def channels(self, wanted: ChannelPage = FIRST_CHANNELS) -> list[ChannelInfo]:
        return self._listing.page(wanted)

    def follow(self, channel: str) -> None:
        pool = self._pool()
        pool.listener.attempted.wait()
        pool.listener.follow(channel)

    def unfollow(self, channel: str) -> None:
        self._pool().listener.unfollow(channel)

    def ready(self) -> str:
        return "closed" if self._closed else self._pool().ready()

    def probe(self) -> str:
        self._pool().probe()
        return self.ready()

    @property
    def reconnects(self) -> int:
        return self._open_pool.reconnects if self._open_pool else 0

    def close(self) -> None:
        pool, self._open_pool, self._closed = self._open_pool, None, True
        if pool is not None and self._pid == os.getpid():
            pool.close()


def _full() -> TooManyChannels:
    return TooManyChannels(
        "As many channels as HELIOGRAPH_MAX_CHANNELS allows are kept, and none of them has ended."
    )


#: Faster to look up than to make.
_KINDS = {kind.value: kind for kind in Kind}


def _unpacked(packed: bytes) -> list[StoredMessage]:
    """The messages of one answer, as the script packed them."""
    messages, at = [], 0
    while at < len(packed):
        offset, kind, stamp, length = ENTRY.unpack_from(packed, at)
        start = at + ENTRY.size
        at = start + length
        messages.append(StoredMessage(offset, stamp / 1e6, _KINDS[kind], packed[start:at]))
    return messages
