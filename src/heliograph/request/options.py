"""Settings of every request: who is believed, who may come, how much is taken, and what is logged. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from heliograph_proxy.hosts import normal_origin
from heliograph_proxy.loopback import is_loopback
from heliograph_proxy.trust import TrustedPeers, read_trusted

from heliograph.defaults import InState
from heliograph.given import SettingError, where
from heliograph.settings import (
    FLAG,
    GIB,
    TEXT,
    NotAllowed,
    Options,
    ValueKind,
    choice,
    integer,
    items,
    matching,
    option,
    require_folder,
    size,
)

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\]", re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:(\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.IGNORECASE | re.ASCII
)

#: Schemes of URLs that no browser sends as an origin: pages of these have the origin `null`, or those of http.
_NO_ORIGINS = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"})

#: The audience of tickets, which are tokens that the service makes. It tells them from those of users.
TICKET_AUDIENCE = "heliograph-ticket"

#: Bytes of a secret, as RFC 7518 (3.2) wants them for HS256.
SHORTEST_SECRET = 32


def _trusted(text: str) -> TrustedPeers:
    try:
        return read_trusted(items(text))
    except ValueError as exc:
        raise NotAllowed(str(exc)) from exc


def _hosts(text: str) -> frozenset[str]:
    parts = items(text)
    for part in parts:
        if part != "*" and not _HOST.fullmatch(part):
            raise NotAllowed(part)
    return frozenset(part.lower().removesuffix(".") for part in parts)


def _origins(text: str) -> frozenset[str]:
    """The origins in the form in which browsers send them: lower case, without the scheme's default port."""
    found = set()
    for part in items(text):
        match = _ORIGIN.fullmatch(part)
        if part.lower() != "null" and not (match and _is_origin(match)):
            raise NotAllowed(part)
        found.add(normal_origin(part))
    return frozenset(found)


def _is_origin(match: re.Match[str]) -> bool:
    scheme, wildcard, port = match[1].lower(), match[2], int(match[3] or 1)
    # The hosts of other schemes than these are no names of DNS, so they have no subdomains.
    fits = scheme in ("http", "https") if wildcard else scheme not in _NO_ORIGINS
    return fits and 0 < port < 1 << 16


def _secrets(text: str) -> tuple[str, ...]:
    """By commas. A text of which no part would do is one secret, which may have commas."""
    parts = tuple(part.strip() for part in text.split(","))
    if not any(map(_is_long_enough, parts)):
        parts = (text,)
    if not all(map(_is_long_enough, parts)):
        raise NotAllowed
    return parts


def _is_long_enough(secret: str) -> bool:
    return len(secret.encode()) >= SHORTEST_SECRET


def _audiences(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts) or TICKET_AUDIENCE in parts:
        raise NotAllowed
    return parts


HOSTS = ValueKind(_hosts, "host names without port, *.name, or * are allowed")
ORIGINS = ValueKind(
    _origins,
    "origins such as https://example.org, https://*.example.org or capacitor://localhost, and null are allowed",
)
PROXIES = ValueKind(_trusted, "addresses, networks such as 10.0.0.0/8, and unix are allowed")
SECRETS = ValueKind(
    _secrets, f"secrets of at least {SHORTEST_SECRET} bytes each, by commas, are allowed, or nothing"
)
AUDIENCES = ValueKind(_audiences, f"texts by commas, and not {TICKET_AUDIENCE}, are allowed")
INSTANCE = matching(r"[A-Za-z0-9._-]{1,64}", "1 to 64 of the characters A-Z a-z 0-9 . _ - are allowed")


class RequestOptions(Options):
    """What is done with every request."""

    instance: str = option(INSTANCE, "web", "the name of this instance in answers, logs and metrics")
    spool: str = option(TEXT, InState("spool"), "the folder for bodies over 1 MiB")
    spool_max: int = option(
        size(), 8 * GIB, "bytes of all bodies in the spool, of all instances that share it"
    )
    max_body: int = option(size(), 4 * GIB, "bytes of the longest body of a request")
    allowed_origins: frozenset[str] = option(ORIGINS, frozenset(), "other origins whose pages may write")
    allowed_hosts: frozenset[str] = option(
        HOSTS, frozenset(), "hosts that are served beside localhost and IP literals"
    )
    trusted_proxies: TrustedPeers = option(
        PROXIES, _trusted("127.0.0.1 ::1 unix"), "peers whose forwarding headers are believed"
    )
    log: str = option(choice("json", "text"), "json", "the format of logs; of a stack on a terminal: text")
    access_log: bool = option(
        FLAG,
        True,
        "whether instances write a line for each request; under a stack the proxy does, and they do not",
    )

    def require(self) -> None:
        require_folder(self.definitions["spool"].name, self.spool)


class AccessOptions(Options):
    """Who may use what is not open to everyone."""

    auth_secret: tuple[str, ...] = option(
        SECRETS,
        (),
        "the keys of tokens: the first one signs, all of them verify; empty: no tokens",
        secret=True,
    )
    auth_leeway: int = option(
        integer(0, 3600),
        10,
        "seconds by which clocks may differ when exp, nbf and iat of a token are checked",
    )
    auth_audience: tuple[str, ...] = option(
        AUDIENCES, (), "what the claim aud of a token must name; empty: it is not looked at"
    )
    open: bool = option(FLAG, False, "whether everyone beyond loopback may use the service without a token")

    def refuse_open(self, host: str, name: str, shown: str) -> None:
        """Raise SettingError when `host`, set by `name` as `shown`, is beyond loopback and nothing protects the service."""
        if is_loopback(host) or self.auth_secret or self.open:
            return
        raise SettingError(
            name,
            shown,
            "listens beyond loopback, which is allowed only with HELIOGRAPH_AUTH_SECRET, "
            "or with HELIOGRAPH_OPEN=1 to let everybody in",
        )


def refuse_open_listening(environ: Mapping[str, str], host: str, name: str) -> None:
    """The same for a host that is set by a variable."""
    shown = environ.get(name, "").strip() or host
    AccessOptions.read(environ).refuse_open(host, where(environ, name), shown)
