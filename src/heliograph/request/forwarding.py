"""The client behind a request, from its peer and the forwarding headers of trusted proxies. Pure.

Whom to believe and how to read what they say are the proxy's (`heliograph_proxy.trust`, `heliograph_proxy.hosts`), so that all
layers name the same client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heliograph_proxy.hosts import (
    forwarded_host,
    host_name,
    is_ip_literal,
    is_localhost,
    normal_origin,
    origin_of,
)
from heliograph_proxy.trust import (
    REQUEST_ID,
    TrustedPeers,
    client_address,
    forwarded_prefix,
    forwarded_scheme,
    peer_name,
)

__all__ = [
    "ResolvedClient",
    "answers_for",
    "given_request_id",
    "host_name",
    "normal_origin",
    "origin_of",
    "resolve",
]


@dataclass(frozen=True)
class ResolvedClient:
    """`address` of the client, `scheme` and `host` as it sees them, and the request id that a trusted proxy gave, if any.

    `prefix` is the path that a trusted proxy took off before the application's own.
    """

    address: str
    scheme: str
    host: str
    request_id: str | None
    prefix: str = ""


def resolve(peer: str, scheme: str, headers: Mapping[str, str], trust: TrustedPeers) -> ResolvedClient:
    """The client behind `peer`. `headers` has the names of the WSGI environ (``HTTP_X_FORWARDED_FOR``)."""
    host = headers.get("HTTP_HOST", "")
    address = peer_name(peer)
    if not trust.believes(address):
        return ResolvedClient(address, scheme, host, None)
    return ResolvedClient(
        address=client_address(address, headers.get("HTTP_X_FORWARDED_FOR", ""), trust),
        scheme=forwarded_scheme(headers.get("HTTP_X_FORWARDED_PROTO", "")) or scheme,
        host=forwarded_host(headers.get("HTTP_X_FORWARDED_HOST", "")) or host,
        request_id=given_request_id(headers),
        prefix=forwarded_prefix(headers.get("HTTP_X_FORWARDED_PREFIX", "")),
    )


def given_request_id(headers: Mapping[str, str]) -> str | None:
    """The request id that a trusted peer gave, if it has the right form."""
    given = headers.get("HTTP_X_REQUEST_ID", "")
    return given if REQUEST_ID.fullmatch(given) else None


def answers_for(name: str, allowed: frozenset[str]) -> bool:
    """Whether this service answers for a host name: localhost, IP literals, and what the settings allow."""
    if is_localhost(name) or is_ip_literal(name) or name in allowed or "*" in allowed:
        return True
    return any(one.startswith("*.") and name.endswith(one[1:]) for one in allowed)
