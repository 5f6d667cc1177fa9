"""Which peers' forwarding headers are believed, and the walk over the addresses in X-Forwarded-For. Pure.

Each trusted proxy appended the address of its own peer. So the header is walked from the right: the first address that is
not a trusted proxy is the client, and the leftmost one when all are trusted. Everything left of it could have been made
up by that client.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: Proxies in a row that are looked at. Real chains have two or three.
MAX_HOPS: Final = 32

#: Addresses that are remembered as Python has them: of our proxies and of the busiest clients.
MAX_ADDRESSES: Final = 1024

#: The address of a peer on a Unix socket.
UNIX: Final = "unix"

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

# An address in brackets, with or without a port, or an IPv4 address with one.
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrustedPeers:
    """Networks, and whether peers on a Unix socket are trusted."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    unix: bool

    def believes(self, address: str) -> bool:
        """Whether the forwarding headers of this peer are believed; `UNIX` for one on a Unix socket."""
        if address == UNIX:
            return self.unix
        ip = _parsed(address)
        if ip is None:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in network or ip in network for network in self.networks)


@lru_cache(MAX_ADDRESSES)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def client_address(peer: str, forwarded_for: str, trusted: TrustedPeers) -> str:
    """The client behind a trusted peer; `forwarded_for` has the values of all X-Forwarded-For fields, by commas."""
    address = peer
    if not forwarded_for:
        return address
    for entry in reversed(forwarded_for.split(",")[-MAX_HOPS:]):
        hop = _address(entry)
        if hop is None:  # not an address, so nothing before it can be believed
            break
        address = hop
        if not trusted.believes(hop):
            break
    return address


def _address(entry: str) -> str | None:
    """The address in one entry of X-Forwarded-For: plain, in brackets, with or without port; None for anything else."""
    text = entry.strip()
    if text == UNIX:
        return text
    match = _WITH_PORT.fullmatch(text)
    if match:
        text = match[1] or match[2]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
