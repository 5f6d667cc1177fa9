"""`memory://`: the log of one process, in its memory. It ends with the process, and with it the epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import window
from heliograph.channels.engines.expiring import Expiring
from heliograph.channels.engines.history import Histories, History
from heliograph.channels.engines.plan import Channel, Kept, World, plan
from heliograph.channels.epochs import new_half
from heliograph.channels.errors import ChannelError, Unavailable
from heliograph.channels.log import (
    FORGET_INTERVAL,
    KEY_TTL,
    MAX_PAGE_MESSAGES,
    ChannelInfo,
    Done,
    Limits,
    Log,
    News,
    Page,
    Shared,
)
from heliograph.channels.message import Append, Message
from heliograph.channels.presence import Changes, Present, encode, gather

#: Idempotency keys and tokens that are remembered. Some 300 bytes each.
MAX_REMEMBERED = 100_000


class MemoryShared(Shared):
    def __init__(self) -> None:
        self._present: dict[str, tuple[int, str]] = {}
        self._tokens: Expiring[str, bool] = Expiring(MAX_REMEMBERED)

    def announce(self, changes: Changes) -> bool:
        for channel, subscribers in changes.items():
            count, text = encode(subscribers)
            if count:
                self._present[channel] = count, text
            else:
                self._present.pop(channel, None)
        return True

    def present(self, channel: str) -> Present:
        return gather([self._present[channel]] if channel in self._present else [])

    def leave(self) -> None:
        self._present.clear()

    def use_once(self, token: str, ttl: float) -> bool:
        now = time.time()
        if self._tokens.get(token, now):
            return False
        self._tokens.put(token, True, now, ttl)
        return True

    def counts(self) -> dict[str, int]:
        return {channel: count for channel, (count, _) in self._present.items()}


class MemoryLog(Log):
    shared: MemoryShared

    def __init__(self, limits: Limits) -> None:
        self.shared = MemoryShared()
        self._limits = limits
        self._epoch = new_half() + new_half()
        self._histories = Histories(limits)
        self._keys: Expiring[tuple[str, bytes], Kept] = Expiring(MAX_REMEMBERED)
        self._followed: set[str] = set()
        self._listener: Callable[[News], None] | None = None
        self._forget_again = 0.0
        self._closed = False

    def listen(self, listener: Callable[[News], None]) -> None:
        self._listener = listener

    def submit(self, append: Append, done: Done) -> None:
        now = time.time()
        key = (append.channel, append.key.id) if append.key else None
        try:
            self._check_open()
            kept = self._keys.get(key, now) if key else None
            coming = plan((append,), self._world(append.channel, now, {key: kept} if key and kept else {}))
            for used, entry in coming.keys.items():
                self._keys.put(
                    used, entry, now, KEY_TTL
                )  # the only step that may fail; nothing has changed yet
        except ChannelError as exc:
            done(exc)
            return
        for name, channel in coming.changed.items():
            self._store(name, channel, append)
        done(coming.outcomes[0])

    def _world(self, name: str, now: float, keys: dict[tuple[str, bytes], Kept]) -> World:
        stored = self._histories.by_channel
        full = name not in stored and len(stored) >= self._limits.max_channels
        if full and now >= self._forget_again:
            self._forget_again = now + FORGET_INTERVAL
            if self._histories.forget(now):
                self._epoch = new_half() + new_half()
        history = stored.get(name)
        known = {name: Channel(history.epoch, history.top, history.time)} if history else {}
        return World(self._epoch, self._limits.max_channels - len(stored), now, known, keys)

    def _store(self, name: str, channel: Channel, append: Append) -> None:
        history = self._histories.by_channel.setdefault(name, History(channel.epoch))
        message = Message(channel.top, channel.time, append.kind, append.data)
        self._histories.add(history, message)
        if name in self._followed and self._listener:
            self._listener(News(name, channel.epoch, channel.top, (message,)))

    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        self._check_open()
        history = self._histories.by_channel.get(channel) or History(self._epoch)
        if not window.known(after, history.epoch, history.top, self._limits):
            return window.lost(history.epoch, history.top)
        found = history.after(window.floor(after, history.top, self._limits))
        return window.page(history.epoch, history.top, after, found, (self._limits, time.time(), limit))

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        self._check_open()
        stored = self._histories.by_channel
        return {
            name: Cursor(stored[name].epoch, stored[name].top) if name in stored else Cursor(self._epoch, 0)
            for name in channels
        }

    def channels(self) -> list[ChannelInfo]:
        counts, stored = self.shared.counts(), self._histories.by_channel
        tops = self.tops(sorted({*stored, *counts}))
        return [ChannelInfo(name, top.epoch, top.offset, counts.get(name, 0)) for name, top in tops.items()]

    def follow(self, channel: str) -> None:
        self._followed.add(channel)

    def unfollow(self, channel: str) -> None:
        self._followed.discard(channel)

    def ready(self) -> str:
        return "closed" if self._closed else "ok"

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The log of the channels is closed.")
