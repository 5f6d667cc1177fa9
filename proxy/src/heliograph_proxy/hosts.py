"""Names of hosts as clients write them, and the origins of web pages: one reading for all layers. Pure.

Case, a final dot and the default port make no difference (RFC 3986 section 6.2.2, RFC 9110 section 4.2.3).
"""

from __future__ import annotations

import re
from typing import Final

from heliograph_proxy.trust import last, read_address, valid_port

#: A name or an IP literal, with or without a port.
HOST: Final = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)

_MAX_DIGITS: Final = 5

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)", re.ASCII)


def host_name(host: str) -> str | None:
    """The name in a Host field: lower case, without port and final dot. None when the field is malformed."""
    match = HOST.fullmatch(host)
    if not match or not valid_port(int(match[2] or 1)):
        return None
    name: str = match[1].lower()
    return name.removesuffix(".") or None


def forwarded_host(values: str) -> str:
    """The host that the client asked for, by the last of X-Forwarded-Host. Empty when there is none, or it is malformed."""
    host = last(values)
    return host if host_name(host) is not None else ""


def is_localhost(name: str) -> bool:
    """Whether a name, as `host_name` gives it, is this machine's for every client (RFC 6761 section 6.3)."""
    return name == "localhost" or name.endswith(".localhost")


def is_ip_literal(name: str) -> bool:
    """Whether a name, as `host_name` gives it, is an IP address."""
    return read_address(name.strip("[]")) is not None


def origin_of(scheme: str, host: str) -> str:
    """The origin (RFC 6454) of a scheme and a Host: lower case, without the scheme's default port. One with a port that
    there is not stays as it is."""
    scheme, host = scheme.lower(), host.lower()
    name, colon, port = host.rpartition(":")
    # Compared as numbers: a port may have leading zeros.
    digits = port.lstrip("0") if colon and port.isascii() and port.isdigit() else ""
    number = int(digits) if 0 < len(digits) <= _MAX_DIGITS else 0
    if not valid_port(number):
        return f"{scheme}://{host}"
    return f"{scheme}://{name}" if number == _DEFAULT_PORTS.get(scheme) else f"{scheme}://{name}:{number}"


def same_host(scheme: str, one: str, other: str) -> bool:
    """Whether two Hosts with ports, as a URL of this scheme and a field write them, are one."""
    one, other = (re.sub(r"\.(?=:|$)", "", host) for host in (one, other))
    return origin_of(scheme, one) == origin_of(scheme, other)


def normal_origin(origin: str) -> str:
    """An Origin field in the form that `origin_of` gives. ``null`` and garbage stay what they are, in lower case."""
    text = origin.strip(" \t").lower()
    match = _ORIGIN.fullmatch(text)
    return origin_of(match[1], match[2]) if match else text
