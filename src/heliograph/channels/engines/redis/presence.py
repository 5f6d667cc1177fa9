"""Presence and tickets on Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import cast

from heliograph.channels.engines.redis.pool import RedisPool
from heliograph.channels.engines.redis.schema import PREFIX
from heliograph.channels.log import PresenceStore
from heliograph.channels.presence import Changes, Present, encode, gather
from heliograph.request.threads import in_thread

WHO, COUNTS, MEMBERS, TOKEN = (
    PREFIX + "who:",
    PREFIX + "counts:",
    PREFIX + "members",
    PREFIX + "token:",
)


class RedisPresence(PresenceStore):
    """Each instance has two hashes that expire without its heartbeat: the subscribers, and how many, by channel."""

    def __init__(self, pool: Callable[[], RedisPool], ttl: float) -> None:
        self._pool, self._ttl = pool, ttl
        self._instance = secrets.token_hex(8)

    def announce(self, changes: Changes) -> bool:
        rows = [part for channel, subscribers in changes.items() for part in (channel, *encode(subscribers))]
        keys = (WHO + self._instance, COUNTS + self._instance, MEMBERS)
        return bool(self._pool().run("announce", keys, self._instance, int(self._ttl * 1000), *rows))

    def present(self, channel: str) -> Present:
        connection = self._pool().query_connection
        rows = []
        for instance in self._instances():
            count = cast("bytes | None", connection.request("HGET", COUNTS + instance, channel))
            who = cast("bytes | None", connection.request("HGET", WHO + instance, channel))
            if count is not None and who is not None:
                rows.append((int(count), who.decode()))
        return in_thread(gather, rows)  # many instances name thousands

    def count_keys(self) -> list[str]:
        """The hashes in which instances that are alive say how many subscribe, by channel; the field `=` is no channel."""
        return [COUNTS + instance for instance in self._instances()]

    def _instances(self) -> list[str]:
        """The instances that are alive; the others are removed from the list."""
        connection = self._pool().query_connection
        alive = []
        for instance in sorted(cast(list[bytes], connection.request("SMEMBERS", MEMBERS))):
            if connection.request("EXISTS", COUNTS + instance.decode()):
                alive.append(instance.decode())
            else:
                connection.request("SREM", MEMBERS, instance)
        return alive

    def leave(self) -> None:
        connection = self._pool().query_connection
        connection.request("DEL", WHO + self._instance, COUNTS + self._instance)
        connection.request("SREM", MEMBERS, self._instance)

    def use_once(self, token: str, ttl: float) -> bool:
        return (
            self._pool().query_connection.request(
                "SET", TOKEN + token, "1", "NX", "PX", max(1, int(ttl * 1000))
            )
            is not None
        )
