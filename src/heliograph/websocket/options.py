"""Settings of WebSockets. Pure."""

from __future__ import annotations

from heliograph.settings import MIB, Options, option, size

DEFAULT_MAX_MESSAGE = MIB

#: Bytes of unfinished and unsent messages of one instance in all.
DEFAULT_MEMORY = 256 * MIB


class WebSocketOptions(Options):
    """What a WebSocket may send."""

    max_message: int = option(
        size(),
        DEFAULT_MAX_MESSAGE,
        "bytes of the longest message that a client may send",
        name="HELIOGRAPH_WS_MAX_MESSAGE",
    )
    memory: int = option(
        size(),
        DEFAULT_MEMORY,
        "bytes of unfinished and unsent messages of all connections of an instance; above it those that hold most are closed",
        name="HELIOGRAPH_WS_MEMORY",
    )
