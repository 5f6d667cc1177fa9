"""The list of channels on Redis: read in pieces, so that ten thousand of them keep nobody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from heliograph.channels.engines.names import SortedNames
from heliograph.channels.engines.redis.pool import RedisPool
from heliograph.channels.engines.redis.presence import RedisPresence
from heliograph.channels.engines.redis.schema import TABLE
from heliograph.channels.records import ChannelInfo, ChannelPage

#: Seconds that the pages after the first one are taken from what was read for it: a hash has no order, so all of it is read.
SNAPSHOT_TIME = 5.0

#: Fields that Redis is asked for at once. Other greenlets have a turn between two answers.
SCANNED = 500


@dataclass
class _Snapshot:
    """All channels as they were: what the table has of those that were used, and how many subscribe."""

    unused_epoch: str
    until: float
    names: SortedNames = field(default_factory=SortedNames)
    used: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    era: str = ""

    def info(self, name: str) -> ChannelInfo:
        count = self.counts.get(name, 0)
        if name not in self.used:
            return ChannelInfo(name, self.unused_epoch, 0, count)
        birth, top, _ = self.used[name].split()
        return ChannelInfo(name, self.era + birth.decode(), int(top), count)


class ChannelListing:
    def __init__(self, pool: Callable[[], RedisPool], presence: RedisPresence) -> None:
        self._pool, self._presence = pool, presence
        self._snapshot: _Snapshot | None = None

    def page(self, wanted: ChannelPage) -> list[ChannelInfo]:
        """Raises LogUnavailable."""
        snapshot = self._snapshot
        if not wanted.after or snapshot is None or time.monotonic() > snapshot.until:
            snapshot = self._snapshot = self._read()
        return [snapshot.info(name) for name in snapshot.names.page(wanted)]

    def _read(self) -> _Snapshot:
        unused = self._pool().tops(("=",))["="].epoch  # brings the state of the log up to date, too
        found = _Snapshot(unused, time.monotonic() + SNAPSHOT_TIME)
        for name, stored in self._fields(TABLE):
            if name == "=era":
                found.era = stored.decode()
            elif not name.startswith("="):
                found.used[name] = stored
                if stored.split()[1] != b"0":  # else its history has ended
                    found.names.add(name)
        for key in self._presence.count_keys():
            for name, count in self._fields(key):
                if name != "=":
                    found.counts[name] = found.counts.get(name, 0) + int(count)
                    found.names.add(name)
        return found

    def _fields(self, key: str) -> Iterator[tuple[str, bytes]]:
        """Of a hash. Those that are there all the time come, each once."""
        at, seen = b"0", set[bytes]()
        while True:
            answer = self._pool().query_connection.request("HSCAN", key, at, "COUNT", SCANNED)
            at, flat = cast(tuple[bytes, list[bytes]], answer)
            for field_, value in zip(flat[::2], flat[1::2], strict=True):
                if field_ not in seen:
                    seen.add(field_)
                    yield field_.decode(), value
            if at == b"0":
                return
