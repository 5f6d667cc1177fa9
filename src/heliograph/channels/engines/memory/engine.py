"""`memory://`: the log of one process, in its memory. It ends with the process, and with it the epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import clock, window
from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.memory.expiring import Expiring
from heliograph.channels.engines.memory.presence import MemoryPresence
from heliograph.channels.engines.memory.store import MemoryHistories, MemoryHistory
from heliograph.channels.engines.plan import ChannelState, StoredKey, StoredState, plan_appends
from heliograph.channels.errors import ChannelError, LogUnavailable
from heliograph.channels.location import Location
from heliograph.channels.log import FIRST_CHANNELS, Log
from heliograph.channels.message import Append, StoredMessage
from heliograph.channels.names import TICKETS
from heliograph.channels.records import (
    FORGET_INTERVAL,
    KEY_TTL,
    MAX_PAGE_MESSAGES,
    ChannelInfo,
    ChannelPage,
    Done,
    Limits,
    Notification,
    Page,
)

#: Idempotency keys that are remembered. Some 300 bytes each.
MAX_KEYS = 100_000


class MemoryLog(Log):
    presence: MemoryPresence
    max_keys = MAX_KEYS

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.presence = MemoryPresence()
        self._limits = limits
        self._epoch = new_half() + new_half()
        self._histories = MemoryHistories(limits)
        self._keys: Expiring[tuple[str, bytes], StoredKey] = Expiring(MAX_KEYS)
        self._followed: set[str] = set()
        self._listener: Callable[[Notification], None] | None = None
        self._forget_again = 0.0
        self._closed = False

    @classmethod
    def at(cls, location: Location, limits: Limits) -> MemoryLog:
        return cls(limits)

    def listen(self, listener: Callable[[Notification], None]) -> None:
        self._listener = listener

    def submit(self, append: Append, done: Done) -> None:
        now = clock.now()
        key = (append.channel, append.key.id) if append.key else None
        try:
            self._check_open()
            kept = self._keys.get(key, now) if key else None
            coming = plan_appends(
                (append,), self._world(append.channel, now, {key: kept} if key and kept else {})
            )
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

    def _world(self, name: str, now: float, keys: dict[tuple[str, bytes], StoredKey]) -> StoredState:
        stored = self._histories.by_channel
        full = name not in stored and name != TICKETS and self._room() <= 0
        if full and now >= self._forget_again:
            self._forget_again = now + FORGET_INTERVAL
            if self._histories.forget(now):
                self._epoch = new_half() + new_half()
        history = stored.get(name)
        known = {name: ChannelState(history.epoch, history.top, history.time)} if history else {}
        return StoredState(self._epoch, self._room(), now, known, keys)

    def _room(self) -> int:
        stored = self._histories.by_channel
        return self._limits.max_channels - len(stored) + (TICKETS in stored)

    def _store(self, name: str, channel: ChannelState, append: Append) -> None:
        history = self._histories.open(name, channel.epoch)
        message = StoredMessage(channel.top, channel.time, append.kind, append.data)
        self._histories.add(history, message)
        if name in self._followed and self._listener:
            self._listener(Notification(name, channel.epoch, channel.top, (message,)))

    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        self._check_open()
        history = self._histories.by_channel.get(channel) or MemoryHistory(self._epoch)
        if not window.known(after, history.epoch, history.top, self._limits):
            return window.lost(history.epoch, history.top)
        found = history.after(window.floor(after, history.top, self._limits))
        return window.page(history.epoch, history.top, after, found, (self._limits, clock.now(), limit))

    def remove(self, channel: str) -> Cursor:
        self._check_open()
        self._histories.clear(channel, new_half() + new_half())
        return self.tops((channel,))[channel]

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        self._check_open()
        stored = self._histories.by_channel
        return {
            name: Cursor(stored[name].epoch, stored[name].top) if name in stored else Cursor(self._epoch, 0)
            for name in channels
        }

    def channels(self, wanted: ChannelPage = FIRST_CHANNELS) -> list[ChannelInfo]:
        names = {*self._histories.names.page(wanted), *self.presence.names.page(wanted)}
        tops = self.tops(sorted(names)[: wanted.limit])
        return [
            ChannelInfo(name, top.epoch, top.offset, self.presence.count(name)) for name, top in tops.items()
        ]

    def follow(self, channel: str) -> None:
        self._followed.add(channel)

    def unfollow(self, channel: str) -> None:
        self._followed.discard(channel)

    def ready(self) -> str:
        return "closed" if self._closed else "ok"

    def probe(self) -> str:
        return self.ready()

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable("The log of the channels is closed.")
