"""What one instance does for all, every `Limits.check_interval`: forget channels that ended, and keep the bound of the whole log.

Each script looks at few channels, so that the server never stands still for its other clients.
"""

from __future__ import annotations

import heapq
import random
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, cast

import gevent

from heliograph.channels.engines import quota
from heliograph.channels.engines.redis.schema import LOG, PREFIX, SIZES, TABLE
from heliograph.channels.records import Limits
from heliograph.channels.trim_watch import TrimWatch
from heliograph.request.pauses import pause

#: Channels in one step of the walk over the table, and in one script.
SCAN, BATCH = 500, 100

#: Of the key that one instance has while it does this, and the part of the interval that the key lives.
LEASE, _LEASE_PART = PREFIX + "maintenance", 0.8


class Commands(Protocol):
    """What is used of `RedisPool`. Both wait and raise LogUnavailable."""

    notification_prefix: str

    def run(self, script: str, keys: Sequence[str], *arguments: object) -> object: ...

    def request(self, *command: object) -> object: ...


class RedisMaintenance:
    def __init__(self, pool: Commands, limits: Limits, trim_watch: TrimWatch) -> None:
        self._pool, self._limits, self._trim_watch = pool, limits, trim_watch

    def run(self) -> None:
        """Until it is killed."""
        while True:
            gevent.sleep(self._limits.check_interval * (0.75 + random.random() / 2))
            with self._trim_watch.step():
                if self._has_lease():
                    self._step()
                    self._trim_watch.trimmed()

    def _has_lease(self) -> bool:
        life = max(1, int(self._limits.check_interval * 1000 * _LEASE_PART))
        return self._pool.request("SET", LEASE, secrets.token_hex(4), "NX", "PX", life) is not None

    def _step(self) -> None:
        seconds, _ = cast("list[bytes]", self._pool.request("TIME"))
        before = (int(seconds) - self._limits.history_ttl) * 1e6
        weights: dict[str, int] = {}
        for channels in self._channels():
            ended = [name for name, time in channels if time < before]
            for names in _batches(ended):
                self._forget(names)
            for names in _batches([name for name, time in channels if time >= before]):
                found = self._pool.run("weigh", (SIZES,), LOG, self._limits.history_bytes, *names)
                weights.update(zip(names, cast("list[int]", found), strict=True))
        self._cut(weights)

    def _channels(self) -> Iterator[list[tuple[str, int]]]:
        """Channels with messages, and the times of their last ones in microseconds, some at a time."""
        cursor: object = b"0"
        while True:
            answer = self._pool.request("HSCAN", TABLE, cursor, "COUNT", SCAN)
            cursor, fields = cast("tuple[bytes, list[bytes]]", answer)
            pairs = zip(fields[::2], fields[1::2], strict=True)
            kept = [(name, *stored.split()) for name, stored in pairs if name[:1] != b"="]
            found = [(name.decode(), int(time)) for name, _, top, time in kept if top != b"0"]
            for start in range(0, len(found), SCAN):  # a small table comes at once
                yield found[start : start + SCAN]
                pause()
            if cursor == b"0":
                return

    def _forget(self, names: Sequence[str]) -> None:
        """Names of channels whose history has ended and that nobody follows. The script looks again at both."""
        ttl = int(self._limits.history_ttl * 1000)
        self._pool.run("forget", (SIZES,), ttl, LOG, "", self._pool.notification_prefix, *names)

    def _cut(self, weights: dict[str, int]) -> None:
        """Cut the largest channels while the whole log is too large."""
        excess = sum(weights.values()) - self._limits.log_bytes
        while excess > 0:
            largest = heapq.nlargest(quota.LARGEST + 1, weights.items(), key=lambda item: item[1])
            following = largest[quota.LARGEST][1] if len(largest) > quota.LARGEST else 0
            largest = largest[: quota.LARGEST]
            lowest = quota.level((weight for _, weight in largest), excess, following)
            before = excess
            for name, weight in largest:
                allowed = max(lowest, weight - excess)
                if excess <= 0 or allowed >= weight:
                    break
                left = cast(int, self._pool.run("cut", (SIZES, LOG + name), name, allowed))
                excess -= max(0, weight - left)
                weights[name] = left
            if excess == before:
                return  # others publish to them meanwhile; the next look is soon


def _batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + BATCH] for start in range(0, len(names), BATCH))
