"""Which addresses only this machine can reach. Pure."""

from __future__ import annotations

import ipaddress

from heliograph_proxy.trust import read_address

#: Names that RFC 6761 (6.3) gives to loopback addresses.
NAMES = ("localhost", "localhost.")


def is_loopback(host: str) -> bool:
    """127.0.0.0/8 and ::1, also as IPv4 in IPv6, in brackets or with a zone. An empty host is every address."""
    name = host.strip().removeprefix("[").removesuffix("]").partition("%")[0]
    address = read_address(name)
    return name.lower() in NAMES if address is None else ipaddress.ip_address(address).is_loopback
