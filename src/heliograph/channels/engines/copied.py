"""What is copied from the log of one engine to that of another, a channel at a time: both ends are bounded. Pure.

An engine that can be copied has `copying.py` with `source(location)` and `target(location, history_ttl)`, context managers. A
source is the log at one moment, as far as its server can give that. A target takes everything or, when its block ends with an
error, nothing.

Presence is not copied: instances announce it anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heliograph.channels.engines.plan import Segment, StoredKey
from heliograph.channels.errors import LogUnavailable


@dataclass(frozen=True, slots=True)
class CopiedChannel:
    """`birth` is the second half of its epoch; `time` that of its last message."""

    name: str
    birth: str
    top: int
    time: float


@dataclass(frozen=True, slots=True)
class CopiedKey:
    """An idempotency key that is kept for `left` seconds."""

    channel: str
    id: bytes
    kept: StoredKey
    left: float


class Source(ABC):
    """Each method raises LogUnavailable, or what its engine raises for it."""

    @abstractmethod
    def epochs(self) -> tuple[str, str]:
        """The era, and the birth of channels that do not exist yet."""

    @abstractmethod
    def channels(self) -> Iterator[CopiedChannel]: ...

    @abstractmethod
    def segments(self, channel: CopiedChannel) -> Iterator[Segment]:
        """What is stored of it up to its top, in order."""

    @abstractmethod
    def idempotency_keys(self) -> Iterator[CopiedKey]: ...

    @abstractmethod
    def tickets(self) -> Iterator[tuple[str, float]]:
        """Those that were used, and for how many seconds that is remembered."""


class Target(ABC):
    """Made for a log without channels. Each method raises as those of `Source`."""

    @abstractmethod
    def begin(self, era: str, birth: str) -> None: ...

    @abstractmethod
    def add(self, channel: CopiedChannel, segments: Iterable[Segment]) -> None: ...

    @abstractmethod
    def add_key(self, key: CopiedKey) -> None:
        """Of keys and tickets one may come twice."""

    @abstractmethod
    def add_ticket(self, token: str, left: float) -> None: ...


def not_empty(shown: str) -> LogUnavailable:
    return LogUnavailable(f"{shown} has channels already; a copy needs a log that is empty.")
