"""Settings of WebSockets. Pure."""

from __future__ import annotations

from heliograph.settings import MIB, Options, option, size


class WebSocketOptions(Options):
    """What a WebSocket may send."""

    max_message: int = option(
        size(), MIB, "bytes of the longest message that a client may send", name="HELIOGRAPH_WS_MAX_MESSAGE"
    )
