"""Where the log is: the URL of HELIOGRAPH_CHANNELS, read in one place. Pure.

Errors say what is allowed and never contain a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from heliograph.channels.errors import LocationError

ALLOWED = (
    "memory://, sqlite:///relative/path, sqlite:////absolute/path, redis://host:port/0, rediss://, redis+unix:///socket, "
    "or postgresql://user@host/database is allowed"
)

#: Schemes that other software calls the same.
_ALIASES = {"postgres": "postgresql"}

#: Scheme, what may hold a user, hosts, path.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/?#@]*@)?(?P<hosts>[^/?#@]*)(?P<path>[^?#@]*)(?:[?#].*)?",
    re.DOTALL,
)

#: One of several hosts: a name, an address, or the folder of a socket (percent-encoded), and its port.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]*|%2[Ff][A-Za-z0-9_.%~-]*)(?::(\d{0,5}))?", re.ASCII)

#: What a path may have to be shown. Anything else may belong to a password that is not percent-encoded.
_PATH = re.compile(r"[\w/.~ -]*")

MAX_PORT = 65_535


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
    text = text.strip()
    scheme = text.partition(":")[0].lower()
    scheme = _ALIASES.get(scheme, scheme)
    reader = _READERS.get(scheme)
    if scheme == "kafka":
        raise LocationError(f"kafka:// is not available in this version; {ALLOWED}")
    if scheme == "postgresql":
        return _postgres(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise LocationError(f"the URL cannot be read; {ALLOWED}") from None
    if reader is None:
        raise LocationError(f"{redacted(text)}: {ALLOWED}")
    if port == 0:
        raise LocationError(f"{redacted(text)}: a port from 1 to {MAX_PORT} is allowed")
    return reader(scheme, parts, text)


def redacted(url: str) -> str:
    """Scheme, hosts, ports and path of a URL: only what surely is no part of a password.

    A password that is not percent-encoded may have any character, so a second @ or an odd host hides all but the scheme.
    """
    text = url.strip()
    if text.startswith("sqlite:///"):
        return text.partition("?")[0]
    match = _URL.fullmatch(text)
    if match is None or text.count("@") > bool(match["user"]):
        known = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
        return f"{known[1]}://…" if known else "…"
    scheme, hosts, path = match["scheme"], match["hosts"], match["path"]
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return f"{scheme}://…"
    return f"{scheme}://{hosts}{path if _PATH.fullmatch(unquote(path)) else '/…'}"


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


def _postgres(text: str) -> Location:
    """As libpq has it: several hosts with their ports, folders of sockets percent-encoded, options. The engine lets libpq read it.

    The user ends at the first @ before a slash, whatever stands before it.
    """
    _, found, rest = text.partition("://")
    if not found:
        raise LocationError(f"the URL cannot be read; {ALLOWED}")
    authority = rest.partition("/")[0]
    user, at, hosts = authority.partition("@")
    hosts = re.split(r"[?#]", hosts if at else user)[0]
    for host in hosts.split(","):
        match = _HOST.fullmatch(host)
        if match is None:
            raise LocationError(f"the hosts of the URL cannot be read; {ALLOWED}, several hosts by commas")
        if match[2] and not 1 <= int(match[2]) <= MAX_PORT:
            raise LocationError(f"{redacted(text)}: ports from 1 to {MAX_PORT} are allowed")
    return Location("postgresql", "", f"postgresql://{rest}")


_READERS = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis_unix,
}
