"""Where a service and its channels are. Pure."""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urlencode, urlsplit

from heliograph_client.cursor import Start, StartPoint
from heliograph_client.limits import check_name

_SCHEMES = {"http": ("http", "ws"), "ws": ("http", "ws"), "https": ("https", "wss"), "wss": ("https", "wss")}


class Service:
    """By its URL: http, https, ws or wss; its path is a prefix of all paths. Raises ValueError."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError("A URL such as http://127.0.0.1:8080 is required.")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("The URL may have no user, query or fragment; tokens are passed separately.")
        self.port = parts.port  # raises ValueError
        self.host = parts.hostname
        self.secure = _SCHEMES[parts.scheme][0] == "https"
        self._parts = parts

    def websocket(self, channel: str, start: Start, ticket: str | None) -> str:
        """Raises BadName."""
        query = {}
        if start is not StartPoint.NOW:
            query["after"] = "earliest" if start is StartPoint.EARLIEST else str(start)
        if ticket is not None:
            query["ticket"] = ticket
        scheme = _SCHEMES[self._parts.scheme][1]
        path = self._path(f"/ws/channels/{quote(check_name(channel), safe='')}")
        return SplitResult(scheme, self._parts.netloc, path, urlencode(query), "").geturl()

    def channel(self, channel: str) -> str:
        """The path to publish to. Raises BadName."""
        return self._path(f"/channels/{quote(check_name(channel), safe='')}")

    def ticket(self) -> str:
        return self._path("/channels/ticket")

    def _path(self, path: str) -> str:
        return self._parts.path.rstrip("/") + path
