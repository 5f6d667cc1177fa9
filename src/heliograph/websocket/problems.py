"""Problems of WebSockets. Pure."""

from __future__ import annotations

from heliograph.problems import Problem


class WebSocketsUnavailable(Problem):
    status, name, title = 501, "websockets-unavailable", "This server offers no WebSockets"
