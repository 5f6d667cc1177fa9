"""Channels, WebSockets and WSGI on gevent. The public names are loaded when they are first used.

`import heliograph` loads none of its modules, and neither a framework nor gevent.
"""

from __future__ import annotations

# Type checkers take it for true; `typing` itself would be most of the time that importing this takes.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from heliograph.channels.api import Channels
    from heliograph.channels.live.events import Lost
    from heliograph.channels.public import Message
    from heliograph.extension import Heliograph
    from heliograph.problems import Problem
    from heliograph.settings import Settings
    from heliograph.websocket.endpoint import WebSocketEndpoint

    __version__: str

#: The module of each public name.
_HOMES = {
    "Channels": "heliograph.channels.api",
    "Heliograph": "heliograph.extension",
    "Lost": "heliograph.channels.live.events",
    "Message": "heliograph.channels.public",
    "Problem": "heliograph.problems",
    "Settings": "heliograph.settings",
    "WebSocketEndpoint": "heliograph.websocket.endpoint",
}

__all__ = [
    "Channels",
    "Heliograph",
    "Lost",
    "Message",
    "Problem",
    "Settings",
    "WebSocketEndpoint",
    "__version__",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 (as late as what it imports)

    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("heliograph")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
