"""All groups of settings that the library has. Pure.

The manager and the extension read them from here; an application adds its own.
"""

from __future__ import annotations

from heliograph.channels.options import ChannelsOptions
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.server.options import ServerOptions
from heliograph.settings import Options
from heliograph.websocket.options import WebSocketOptions

LIBRARY: tuple[type[Options], ...] = (
    RequestOptions,
    AccessOptions,
    WebSocketOptions,
    ChannelsOptions,
    ServerOptions,
)
