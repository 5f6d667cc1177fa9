"""Who subscribes, as instances tell each other. Pure.

An instance announces, channel by channel, how many subscribers it has there and who they are. What it announced ends with its
heartbeat: `PRESENCE_TTL` seconds after the last one other instances ignore it. So the subscribers of an instance that was killed
are listed for up to 45 seconds; one that ends in order takes them back at once. Shorter heartbeats would write more for everybody,
and a new process of the same name must not take back what the old one announced, as both serve during a rolling restart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Seconds that an announcement lasts without a heartbeat. A dead instance's subscribers have to be gone within 60.
PRESENCE_TTL = 45.0

#: Seconds between heartbeats: two may get lost.
HEARTBEAT = 15.0

#: Subscribers of a channel that an instance names; it counts all of them. The list is written anew with each change.
MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class SubscriberInfo:
    """`since` is in seconds since 1970, `transport` is "websocket" or "sse"."""

    id: str
    since: float
    transport: str
    instance: str


@dataclass(frozen=True, slots=True)
class Present:
    """`count` is exact; `subscribers` are at most MAX_LISTED of each instance."""

    count: int
    subscribers: tuple[SubscriberInfo, ...]


#: For each channel that changed, all its subscribers at this instance; none at all when the last one left.
Changes = Mapping[str, Iterable[SubscriberInfo]]


def encode(subscribers: Iterable[SubscriberInfo]) -> tuple[int, str]:
    """Their number, and the first ones as text."""
    found = list(subscribers)
    rows = [[s.id, s.since, s.transport, s.instance] for s in found[:MAX_LISTED]]
    return len(found), json.dumps(rows, separators=(",", ":"))


def gather(rows: Iterable[tuple[int, str]]) -> Present:
    """One `Present` of what several instances announced with `encode`."""
    count, found = 0, []
    for number, text in rows:
        count += number
        found += [SubscriberInfo(*row) for row in json.loads(text)]
    return Present(count, tuple(sorted(found, key=lambda s: (s.since, s.id))))
