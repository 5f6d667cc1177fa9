"""Where the log is: the URL of HELIOGRAPH_CHANNELS, read in one place. Pure.

Errors say what is allowed and never contain a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from heliograph.channels.errors import LocationError

ALLOWED = (
    "memory://, sqlite:///relative/path, sqlite:////absolute/path, redis://host:port/0, rediss://, redis+unix:///socket, "
    "or postgresql://user@host/database is allowed"
)

#: Schemes that other software calls the same.
_ALIASES = {"postgres": "postgresql"}


@dataclass(frozen=True)
class Location:
    """`scheme` names the engine. `path` is SQLite's file. `url` is for the library and may hold a password: never show it."""

    scheme: str
    path: str
    url: str

    def __repr__(self) -> str:
        return f"Location({self.shown})"

    @property
    def shown(self) -> str:
        """For logs: neither user nor password nor parameters."""
        if self.scheme in ("memory", "sqlite"):
            return f"{self.scheme}://" + (f"/{self.path}" if self.path else "")
        return redacted(self.url)


def parse_location(text: str) -> Location:
    """Raises LocationError."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise LocationError(f"the URL cannot be read; {ALLOWED}") from None
    scheme = _ALIASES.get(parts.scheme, parts.scheme)
    reader = _READERS.get(scheme)
    if scheme == "kafka":
        raise LocationError(f"kafka:// is not available in this version; {ALLOWED}")
    if reader is None:
        raise LocationError(f"{redacted(text)}: {ALLOWED}")
    if port == 0:
        raise LocationError(f"{redacted(text)}: a port from 1 to 65535 is allowed")
    return reader(scheme, parts, text.strip())


def redacted(url: str) -> str:
    """Scheme, host, port and path of a URL."""
    try:
        parts = urlsplit(url.strip())
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return "…"
    if not parts.scheme:
        return "…"  # what it is cannot be told, so neither whether it is secret
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def _memory(scheme: str, parts: SplitResult, text: str) -> Location:
    if text.rstrip("/") != "memory:":
        raise LocationError("memory:// takes nothing after it")
    return Location(scheme, "", text)


def _sqlite(scheme: str, parts: SplitResult, text: str) -> Location:
    """As SQLAlchemy has it: what follows the third slash is the path."""
    path = unquote(parts.path[1:])
    if parts.netloc or parts.query or parts.fragment or not path or path.endswith("/") or "\0" in path:
        raise LocationError(
            f"{redacted(text)}: sqlite:/// and the path of a file is allowed, nothing else; a fourth slash makes it absolute"
        )
    if path == ":memory:":
        raise LocationError("SQLite in memory cannot be shared; memory:// is allowed")
    return Location(scheme, path, text)


def _redis(scheme: str, parts: SplitResult, text: str) -> Location:
    if not parts.hostname:
        raise LocationError(f"{redacted(text)}: a host, such as redis://127.0.0.1:6379/0, is allowed")
    database = parts.path.strip("/")
    if database and not database.isdecimal():
        raise LocationError(f"{redacted(text)}: a database number after the host is allowed")
    return Location(scheme, "", text)


def _redis_unix(scheme: str, parts: SplitResult, text: str) -> Location:
    if parts.hostname or not parts.path.strip("/"):
        raise LocationError(f"{redacted(text)}: redis+unix:// and the absolute path of a socket is allowed")
    return Location(scheme, unquote(parts.path), text)


def _postgres(scheme: str, parts: SplitResult, text: str) -> Location:
    return Location(scheme, "", scheme + text[text.index(":") :])


_READERS = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis_unix,
    "postgresql": _postgres,
}
