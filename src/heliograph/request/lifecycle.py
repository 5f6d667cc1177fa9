"""The states of an instance, and the limits of its process."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from enum import Enum

from heliograph.channels.location import parse_location
from heliograph.settings import Settings

log = logging.getLogger("heliograph")


class State(Enum):
    RUNNING = "running"
    STOPPING = "stopping"


class Lifecycle:
    """One for each process. The worker calls `stop` when its shutdown begins; whoever must know says so with `on_stop`."""

    def __init__(self) -> None:
        self.state = State.RUNNING
        self._callbacks: list[Callable[[], None]] = []

    @property
    def stopping(self) -> bool:
        return self.state is State.STOPPING

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when shutdown begins. It must not block."""
        self._callbacks.append(callback)

    def stop(self) -> None:
        if self.stopping:
            return
        self.state = State.STOPPING
        for callback in self._callbacks:
            callback()


#: This process's own.
lifecycle = Lifecycle()


def raise_descriptor_limit() -> int:
    """Raise the limit of open descriptors to the hard limit, which needs no privilege; return it.

    Each connection is a descriptor, and the usual soft limit of 1024 is far below what one worker can hold.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def announce_limits(settings: Settings) -> None:
    """Raise the descriptor limit, log what bounds this process, and say who may use its channels."""
    log.info(
        "limits: %d open descriptors, %d codec jobs, bodies of %d bytes, spool of %d bytes, WebSocket messages of %d bytes",
        raise_descriptor_limit(),
        settings.codec_jobs,
        settings.max_body,
        settings.spool_max,
        settings.ws_max_message,
    )
    log.info(
        "channels: %s, %d messages or %d s of history, %d channels, %s publishes a second and connection",
        parse_location(settings.channels).shown,
        settings.history_size,
        settings.history_ttl,
        settings.max_channels,
        settings.rate or "any number of",
    )
    if not settings.auth_secret:
        log.info("channels are open to everybody who can connect: HELIOGRAPH_AUTH_SECRET is not set")
