"""Presence and tickets on Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import cast

from heliograph.channels.engines.redis.link import Link
from heliograph.channels.engines.redis.schema import PREFIX
from heliograph.channels.log import Shared
from heliograph.channels.presence import Changes, Present, encode, gather

WHO, COUNTS, MEMBERS, TOKEN = (
    PREFIX + "who:",
    PREFIX + "counts:",
    PREFIX + "members",
    PREFIX + "token:",
)


class RedisShared(Shared):
    """Each member has two hashes that end with its heartbeat: who subscribes, and how many, by channel."""

    def __init__(self, link: Callable[[], Link], ttl: float) -> None:
        self._link, self._ttl = link, ttl
        self._member = secrets.token_hex(8)

    def announce(self, changes: Changes) -> bool:
        rows = [part for channel, subscribers in changes.items() for part in (channel, *encode(subscribers))]
        keys = (WHO + self._member, COUNTS + self._member, MEMBERS)
        return bool(self._link().run("announce", keys, self._member, int(self._ttl * 1000), *rows))

    def present(self, channel: str) -> Present:
        line = self._link().questions
        rows = []
        for member in self._members():
            count = cast("bytes | None", line.ask("HGET", COUNTS + member, channel))
            who = cast("bytes | None", line.ask("HGET", WHO + member, channel))
            if count is not None and who is not None:
                rows.append((int(count), who.decode()))
        return gather(rows)

    def counts(self) -> dict[str, int]:
        """Subscribers by channel."""
        found: dict[str, int] = {}
        for member in self._members():
            fields = cast(list[bytes], self._link().questions.ask("HGETALL", COUNTS + member))
            for name, count in zip(fields[::2], fields[1::2], strict=True):
                if name != b"=":
                    found[name.decode()] = found.get(name.decode(), 0) + int(count)
        return found

    def _members(self) -> list[str]:
        """Those alive; the others are removed from the list."""
        line = self._link().questions
        alive = []
        for member in sorted(cast(list[bytes], line.ask("SMEMBERS", MEMBERS))):
            if line.ask("EXISTS", COUNTS + member.decode()):
                alive.append(member.decode())
            else:
                line.ask("SREM", MEMBERS, member)
        return alive

    def leave(self) -> None:
        line = self._link().questions
        line.ask("DEL", WHO + self._member, COUNTS + self._member)
        line.ask("SREM", MEMBERS, self._member)

    def use_once(self, token: str, ttl: float) -> bool:
        return (
            self._link().questions.ask("SET", TOKEN + token, "1", "NX", "PX", max(1, int(ttl * 1000)))
            is not None
        )
