"""What operators do with a log as a whole: back it up, shorten it, copy it. In a process of its own, not in an instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from heliograph.channels import engines
from heliograph.channels.engines import require_package
from heliograph.channels.engines.plan import Segment
from heliograph.channels.errors import LocationError
from heliograph.channels.location import Location

# The engines are imported when a URL names them, as their clients may be missing.


def back_up(location: Location, target: Path) -> None:
    """Raises LocationError, LogUnavailable, OSError."""
    if location.scheme != "sqlite":
        raise LocationError(
            f"{location.shown} has its own tools: pg_dump of PostgreSQL, BGSAVE of Redis; only sqlite:// is backed up here"
        )
    from heliograph.channels.engines.sqlite import backup  # noqa: PLC0415

    backup.back_up(Path(location.path), target)


def vacuum(location: Location) -> None:
    """Raises LocationError, LogUnavailable, OSError."""
    require_package(location)
    if location.scheme == "sqlite":
        from heliograph.channels.engines.sqlite import vacuum as sqlite  # noqa: PLC0415

        sqlite.vacuum(Path(location.path))
    elif location.scheme == "postgresql":
        from heliograph.channels.engines.postgres import vacuum as postgres  # noqa: PLC0415

        postgres.vacuum(location.url)
    else:
        raise LocationError(
            f"{location.shown} has nothing to shorten: only sqlite:// and postgresql:// have it"
        )


@dataclass(frozen=True)
class Copied:
    """How much was copied."""

    channels: int = 0
    messages: int = 0


def copy(origin: Location, target: Location, history_ttl: float) -> Copied:
    """Copy all channels with their epochs and offsets, so cursors stay good. Raises LocationError, LogUnavailable, OSError.

    `history_ttl` is that of the instances. The target has all of it, or nothing.
    """
    with _copying(origin).source(origin) as source, _copying(target).target(target, history_ttl) as copy:
        count = _Counted()
        copy.begin(*source.epochs())
        for channel in source.channels():
            copy.add(channel, count.of(source.segments(channel)))
        for key in source.idempotency_keys():
            copy.add_key(key)
        for token, left in source.tickets():
            copy.add_ticket(token, left)
        return Copied(count.channels, count.messages)


class _Counted:
    def __init__(self) -> None:
        self.channels = self.messages = 0

    def of(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        self.channels += 1
        for segment in segments:
            self.messages += len(segment.messages)
            yield segment


def _copying(location: Location) -> Any:
    """The module `copying` of an engine. Raises LocationError."""
    require_package(location)
    if location.scheme == "memory":
        raise LocationError("memory:// lives in its process, so it is neither copied nor a copy")
    return import_module(f"{engines.__name__}.{engines.ENGINES[location.scheme].folder}.copying")
