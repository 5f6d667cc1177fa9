"""Who sent this request, and what did they ask for? Pure: the peer's address and the forwarding headers in, a `Client` out.

The headers are believed only when the peer is trusted. `X-Forwarded-For` is walked from the right: each trusted proxy appended
the address of its own peer, so the first address from the right that is not a trusted proxy is the client (and the leftmost one
when all are trusted). Everything left of it could have been made up by that client.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph.request.options import Network

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
HOST = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?", re.ASCII)

#: Proxies in a row that we look at. Real chains have two or three.
MAX_HOPS = 32

#: Addresses that are remembered as Python has them: of our proxies and of the busiest clients.
MAX_ADDRESSES = 1024

_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Client:
    """`address` of the client, `scheme` and `host` as it sees them, and the request id that a trusted proxy gave, if any."""

    address: str
    scheme: str
    host: str
    request_id: str | None


@dataclass(frozen=True)
class Trust:
    """Which peers' forwarding headers are believed. A peer on a Unix socket has the address ``unix``."""

    networks: tuple[Network, ...]
    unix: bool

    def believes(self, address: str) -> bool:
        if address == "unix":
            return self.unix
        ip = _parsed(address)
        if ip is None:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in network or ip in network for network in self.networks)


@functools.lru_cache(MAX_ADDRESSES)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def resolve(peer: str, scheme: str, headers: Mapping[str, str], trust: Trust) -> Client:
    """The client behind `peer`. `headers` has the names of the WSGI environ (``HTTP_X_FORWARDED_FOR``)."""
    host = headers.get("HTTP_HOST", "")
    if not trust.believes(peer):
        return Client(peer, scheme, host, None)
    proto = _last(headers.get("HTTP_X_FORWARDED_PROTO", ""))
    forwarded_host = _last(headers.get("HTTP_X_FORWARDED_HOST", ""))
    request_id = headers.get("HTTP_X_REQUEST_ID", "")
    return Client(
        address=_walk(peer, headers.get("HTTP_X_FORWARDED_FOR", ""), trust),
        scheme=proto if proto in _PORTS else scheme,
        host=forwarded_host if HOST.fullmatch(forwarded_host) else host,
        request_id=request_id if REQUEST_ID.fullmatch(request_id) else None,
    )


def host_name(host: str) -> str | None:
    """The name in a Host header, lower case and without port; None when the header is malformed."""
    match = HOST.fullmatch(host)
    if not match or int(match[2] or 0) > 65535:
        return None
    return match[1].lower()


def answers_for(name: str, allowed: frozenset[str]) -> bool:
    """Whether this service answers for a host name: localhost, IP literals, and what the settings allow."""
    if name == "localhost" or name in allowed or "*" in allowed:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return any(a.startswith("*.") and name.endswith(a[1:]) for a in allowed)
    return True


def origin_of(scheme: str, host: str) -> str:
    """The origin (RFC 6454) of a scheme and a Host, with the default port left out."""
    name, _, port = host.lower().rpartition(":") if re.search(r":\d+$", host) else (host.lower(), "", "")
    return f"{scheme}://{name}" if port in ("", _PORTS.get(scheme)) else f"{scheme}://{name}:{port}"


def normal_origin(origin: str) -> str:
    """An Origin header in the form that `origin_of` gives. ``null`` and garbage stay what they are: equal to nothing."""
    scheme, sep, host = origin.lower().partition("://")
    return origin_of(scheme, host) if sep else origin


def _walk(peer: str, forwarded_for: str, trust: Trust) -> str:
    address = peer
    if not forwarded_for:
        return address
    for entry in reversed(forwarded_for.split(",")[-MAX_HOPS:]):
        hop = _address(entry)
        if hop is None:
            break
        address = hop
        if not trust.believes(hop):
            break
    return address


def _address(entry: str) -> str | None:
    """The address in one entry of X-Forwarded-For: plain, in brackets, with or without port; None for anything else."""
    text = entry.strip()
    if text == "unix":
        return text
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", text, re.ASCII)
    if match:
        text = match[1] or match[2]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _last(values: str) -> str:
    return values.rpartition(",")[2].strip()
