"""Which peers' forwarding headers are believed, and what those headers say. Pure.

Each trusted proxy appended the address of its own peer. So X-Forwarded-For is walked from the right: the first address that
is not a trusted proxy is the client, and the leftmost one when all are trusted. Everything left of it could have been made
up by that client. Proxy and applications use this module, so that both name the same client.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: Proxies in a row that are looked at. Real chains have two or three.
MAX_HOPS: Final = 32

#: Addresses that are remembered as Python has them: of our proxies and of the busiest clients.
MAX_ADDRESSES: Final = 1024

#: Characters of the longest address, an IPv6 address that ends in an IPv4 address.
MAX_ADDRESS: Final = 45

#: Characters of the longest entry: an address with brackets and a port.
MAX_ENTRY: Final = MAX_ADDRESS + len("[]:65535")

#: The address of a peer on a Unix socket.
UNIX: Final = "unix"

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

# An address in brackets, with or without a port, or an IPv4 address with one.
_WITH_PORT: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)(?=:))(?::([0-9]{1,5}))?", re.ASCII
)
_MAX_PORT: Final = 65535

#: Where the addresses of IPv4 stand in those of IPv6 (RFC 4291 section 2.5.5.2).
_MAPPED_PREFIX: Final = 96

# Some balancers name the schemes of WebSockets.
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

#: A path before the application's own, without `//`, which would make a redirect lead to another host.
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+/?", re.ASCII)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class TrustedPeers:
    """Networks, and whether peers on a Unix socket are trusted. `read_trusted` makes one of texts."""

    networks: tuple[IPNetwork, ...]
    unix: bool

    def believes(self, address: str) -> bool:
        """Whether the forwarding headers of this peer are believed; `UNIX` for one on a Unix socket."""
        if address == UNIX:
            return self.unix
        ip = _parsed(address) if len(address) <= MAX_ADDRESS else None
        return ip is not None and any(ip in network for network in self.networks)


def read_trusted(texts: Iterable[str]) -> TrustedPeers:
    """Addresses, networks and `unix`. Raises ValueError: its text is the one that is none of these, its note says why."""
    networks: list[IPNetwork] = []
    unix = False
    for text in texts:
        if text.lower() == UNIX:
            unix = True
            continue
        try:
            networks.append(read_network(text))
        except ValueError as exc:
            wrong = ValueError(text)
            wrong.add_note(str(exc))  # compiled, a `raise … from` leaves no __cause__
            raise wrong from exc
    return TrustedPeers(tuple(networks), unix)


def read_network(text: str) -> IPNetwork:
    """An address or a network as an operator writes it. IPv4 in IPv6 is IPv4. Raises ValueError."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return network


def read_address(text: str) -> str | None:
    """An address in its normal form. IPv4 in IPv6 is IPv4. None for anything else, an address with a zone included."""
    return _normal(text) if len(text) <= MAX_ADDRESS else None


@lru_cache(MAX_ADDRESSES)
def _normal(text: str) -> str | None:
    ip = _parsed(text)
    return None if ip is None else str(ip)


def valid_port(number: int) -> bool:
    """Whether there is this port."""
    return 0 < number <= _MAX_PORT


@lru_cache(MAX_ADDRESSES)
def _parsed(address: str) -> IPAddress | None:
    if "%" in address:
        return None
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def peer_name(peer: str) -> str:
    """The other end of a connection as logs and headers name it: its address in its normal form, or `UNIX`.

    The kernel adds a zone to addresses of a local link; it says which interface of ours the peer came by.
    """
    if not peer:
        return UNIX
    return read_address(peer.partition("%")[0]) or peer


def client_address(peer: str, forwarded_for: str, trusted: TrustedPeers) -> str:
    """The client behind a peer; `forwarded_for` has the values of all X-Forwarded-For fields, by commas."""
    address = peer_name(peer)
    if not forwarded_for or not trusted.believes(address):
        return address
    return client_behind(address, forwarded_for, trusted)


def client_behind(address: str, forwarded_for: str, trusted: TrustedPeers) -> str:
    """As `client_address`, of a trusted peer by its name."""
    for entry in reversed(forwarded_for.split(",")[-MAX_HOPS:]):
        hop = read_entry(entry)
        if hop is None:  # not an address, so nothing before it can be believed
            break
        address = hop
        if not trusted.believes(hop):
            break
    return address


def read_entry(entry: str) -> str | None:
    """The address in one entry of X-Forwarded-For: plain, in brackets, with or without port; None for anything else."""
    text = entry.strip(" \t")
    return _entry(text) if len(text) <= MAX_ENTRY else None


@lru_cache(MAX_ADDRESSES)
def _entry(text: str) -> str | None:
    if text == UNIX:
        return text
    match = _WITH_PORT.fullmatch(text)
    if match:
        if not valid_port(int(match[3] or 1)):
            return None
        text = match[1] or match[2]
    return read_address(text)


def forwarded_scheme(values: str) -> str:
    """`http` or `https`: what the nearest proxy wrote, the last of X-Forwarded-Proto. Empty when it is something else."""
    return _SCHEMES.get(last(values).lower(), "")


def forwarded_prefix(values: str) -> str:
    """The path before the application's own, by the last of X-Forwarded-Prefix: `/shop`. Empty when there is none."""
    prefix = last(values)
    return prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else ""


def last(values: str) -> str:
    """The entry of a list that the nearest proxy wrote."""
    return values.rpartition(",")[2].strip(" \t")
