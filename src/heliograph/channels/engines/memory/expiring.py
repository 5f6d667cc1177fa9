"""A bounded table whose entries end after a time. Pure: `now` is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from heliograph.channels.errors import LogOverloaded

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Expiring(Generic[K, V]):
    """At most `size` entries. A full table refuses new ones: dropping one early would break its promise."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K, now: float) -> V | None:
        entry = self._entries.get(key)
        return entry[1] if entry and entry[0] > now else None

    def put(self, key: K, value: V, now: float, ttl: float) -> None:
        """Raises LogOverloaded when the table is full. Entries should have about the same `ttl`: they are dropped in turn."""
        while self._entries and next(iter(self._entries.values()))[0] <= now:
            self._entries.popitem(last=False)
        if key not in self._entries and len(self._entries) >= self._size:
            raise LogOverloaded("Too many of these are remembered now.")
        self._entries[key] = (now + ttl, value)
        self._entries.move_to_end(key)

    def __len__(self) -> int:
        return len(self._entries)
