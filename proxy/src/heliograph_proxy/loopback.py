"""Which addresses only this machine can reach. Pure."""

from __future__ import annotations

import ipaddress

#: Names that RFC 6761 (6.3) gives to loopback addresses.
NAMES = ("localhost", "localhost.")


def is_loopback(host: str) -> bool:
    """127.0.0.0/8 and ::1, also as IPv4 in IPv6, in brackets or with a zone. An empty host is every address."""
    name = host.strip().removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower() in NAMES
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback
