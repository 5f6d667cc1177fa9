"""What a value of the configuration may be: one check for each kind. Pure.

A check takes what TOML (or JSON) gave and returns the value to use, or raises `Wrong`, whose text says what
is allowed.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heliograph_proxy.files import MIN_SECRET
from heliograph_proxy.loopback import is_loopback
from heliograph_proxy.private import PATH, prefixes
from heliograph_proxy.trust import TrustedPeers, read_trusted, valid_port

#: Anything longer is a mistake, and names stand in every log line and metric.
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: Weights beyond this make one backend invisible beside another, which `drain` says more clearly.
MAX_WEIGHT = 1000

STRATEGIES = ("round_robin", "least_connections", "least_time", "random_two", "ip_hash")

#: Characters of a token that is sent from other machines: a shorter one can be found by trying.
MIN_TOKEN = 16

# RFC 1035 section 2.3.4: labels of 1 to 63 characters; a resolver takes no others. `_` is common in names of containers.
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST_AND_PORT = re.compile(rf"(?:\[([0-9A-Fa-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*\.?)):([0-9]{{1,5}})")
# No path has a NUL, and another control character is a mistake. Surrogates stand for no bytes.
_SOCKET_PATH = re.compile(r"/[^\x00-\x1f\x7f\ud800-\udfff]*")


class Wrong(ValueError):
    """A value that is not allowed; the text says what is."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or connect: host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.path) or is_loopback(self.host)


def address(value: Any) -> Address:
    allowed = 'must be "host:port" or "unix:/path"'
    if not isinstance(value, str):
        raise Wrong(allowed)
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        #: The kernel's sun_path has 108 bytes with the final NUL.
        if not _SOCKET_PATH.fullmatch(path) or len(path.encode()) > 107:
            raise Wrong(
                'must be "unix:" and an absolute path of at most 107 bytes without control characters'
            )
        return Address(path=path)
    match = _HOST_AND_PORT.fullmatch(value)
    if not match or not valid_port(int(match[3])) or (match[1] and not _is_ipv6(match[1])):
        raise Wrong(allowed)
    return Address(host=match[1] or match[2], port=int(match[3]))


def addresses(value: Any) -> tuple[Address, ...]:
    """One, or a list of them."""
    given = value if isinstance(value, list) else [value]
    if not given:
        raise Wrong('must be "host:port" or "unix:/path", or a list of these')
    found = tuple(map(address, given))
    for number, one in enumerate(found):
        if one in found[:number]:
            raise Wrong(f"must name each address once, not {one} twice")
    return found


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def number(least: float, most: float = math.inf, *, whole: bool = False) -> Callable[[Any], Any]:
    kind = "a whole number" if whole else "a number"

    def check(value: Any) -> Any:
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not fits or not least <= value <= most or value >= 1 << 53:
            raise Wrong(
                f"must be {kind} of at least {least}" + (f" and at most {most}" if most < math.inf else "")
            )
        return value if whole else float(value)

    return check


def positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1 << 53:
        raise Wrong("must be a number of seconds above 0")
    return float(value)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("must be a string")
    return value


def token(value: Any) -> str:
    """It is sent as one word of a header field."""
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]*", value):
        raise Wrong("must be a string of letters, digits and signs without spaces, or empty for none")
    return value


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false")
    return value


def choice(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise Wrong("must be one of " + ", ".join(f'"{one}"' for one in allowed))
        return str(value)

    return check


def name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Wrong("must be 1 to 64 characters of A-Z a-z 0-9 . _ -")
    return value


def weight(value: Any) -> int:
    """0: nothing new goes there."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_WEIGHT:
        raise Wrong(f"must be a whole number from 0 to {MAX_WEIGHT}")
    return value


def path(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"/[\x21-\x22\x24-\x7e]*", value):
        raise Wrong("must begin with / and have no spaces, control characters or #")
    return value


def path_or_none(value: Any) -> str:
    return "" if value == "" else path(value)


def host(value: Any) -> str:
    match = isinstance(value, str) and re.fullmatch(
        r"[A-Za-z0-9._-]+(?::([0-9]{1,5}))?|\[[0-9a-fA-F:.]+\]", value
    )
    if not match or not valid_port(int(match[1] or 1)):
        raise Wrong("must be a host name, with a port from 1 to 65535 if need be")
    return match[0]


def ratio(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise Wrong("must be a number from 0 to 1")
    return float(value)


def share(value: Any) -> float:
    """A part of something: none at all would shut everybody out."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise Wrong("must be a number above 0 and at most 1")
    return float(value)


def strategy(value: Any) -> str:
    dotted = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value)
    if value in STRATEGIES or dotted:
        return str(value)
    raise Wrong("must be one of " + ", ".join(STRATEGIES) + ' or "package.module:Class"')


def cookie(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", value):
        raise Wrong("must be at most 64 characters of A-Z a-z 0-9 _ -")
    return value


def cookie_path(value: Any) -> str:
    if not isinstance(value, str) or not (value == "/" or PATH.fullmatch(value)):
        raise Wrong('must be a path such as "/" or "/socket.io/"')
    return value


def secrets(value: Any) -> tuple[str, ...]:
    """One, or a list of which the first signs and all verify: while one takes the place of another."""
    given = value if isinstance(value, list) else [value] if value != "" else []
    if not all(isinstance(one, str) and len(one.strip()) >= MIN_SECRET for one in given):
        raise Wrong(f"must be empty, at least {MIN_SECRET} characters, or a list of such texts")
    return tuple(given)


def private(value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Wrong("must be a list of paths")
    try:
        return prefixes(value)
    except ValueError as exc:
        raise Wrong(f'must be a list of paths such as "/metrics", which "{exc}" is not') from exc


def trusted(value: Any) -> TrustedPeers:
    allowed = 'must be a list of addresses, CIDRs such as "10.0.0.0/8", and "unix"'
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Wrong(allowed)
    try:
        return read_trusted(value)
    except ValueError as exc:
        raise Wrong(f"{allowed}: {exc.__notes__[0]}") from exc
