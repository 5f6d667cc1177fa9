"""The client behind a request, from its peer and the forwarding headers of trusted proxies. Pure.

The walk over `X-Forwarded-For`, and what is trusted, are those of the proxy (`heliograph_proxy.trust`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph_proxy.trust import REQUEST_ID, TrustedPeers, client_address

HOST = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?", re.ASCII)

_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class ResolvedClient:
    """`address` of the client, `scheme` and `host` as it sees them, and the request id that a trusted proxy gave, if any."""

    address: str
    scheme: str
    host: str
    request_id: str | None


def resolve(peer: str, scheme: str, headers: Mapping[str, str], trust: TrustedPeers) -> ResolvedClient:
    """The client behind `peer`. `headers` has the names of the WSGI environ (``HTTP_X_FORWARDED_FOR``)."""
    host = headers.get("HTTP_HOST", "")
    if not trust.believes(peer):
        return ResolvedClient(peer, scheme, host, None)
    proto = _last(headers.get("HTTP_X_FORWARDED_PROTO", ""))
    forwarded_host = _last(headers.get("HTTP_X_FORWARDED_HOST", ""))
    request_id = headers.get("HTTP_X_REQUEST_ID", "")
    return ResolvedClient(
        address=client_address(peer, headers.get("HTTP_X_FORWARDED_FOR", ""), trust),
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


def _last(values: str) -> str:
    return values.rpartition(",")[2].strip()
