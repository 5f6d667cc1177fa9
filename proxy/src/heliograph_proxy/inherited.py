"""Listening sockets with which this process was started: by systemd, by a manager, or by the proxy that it succeeds.

systemd's protocol, sd_listen_fds(3): LISTEN_FDS sockets from descriptor 3 on belong to the process LISTEN_PID, and
LISTEN_FDNAMES says what each is for. Without LISTEN_PID they belong to the process that finds them: who starts it by
posix_spawn does not know its id before. Names are those of the configuration, `listen` and `admin`; a socket of any other
name, such as a systemd unit's own, is found by its address alone.

The sockets are another one's: this process accepts on them, and removes no socket file when it ends, but for those that an
earlier generation of it has bound.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address

from heliograph_proxy.errors import SettingsError
from heliograph_proxy.values import Address

FDS, PID, NAMES = "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"

#: Set by newer systemd beside PID, for the same process.
PIDFDID = "LISTEN_PIDFDID"

#: SD_LISTEN_FDS_START.
FIRST = 3

#: What the configuration calls its addresses.
ROLES = ("listen", "admin")


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    number: int
    name: str
    sock: socket.socket
    #: Its file is this program's to remove: an earlier generation has bound it.
    owned: bool = False

    def __str__(self) -> str:
        return f'descriptor {self.number} ("{self.name}") on {_address(self.sock)}'


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """One to be inherited."""

    role: str
    sock: socket.socket
    owned: bool


class InheritedSockets:
    """`take` one for each address that is listened on, then `check_all_taken`."""

    def __init__(self, found: list[InheritedSocket] | None = None) -> None:
        self._left = found or []
        self._wanted: list[str] = []

    def take(self, role: str, address: Address) -> InheritedSocket | None:
        """The socket for an address, or None where it is to be bound."""
        self._wanted.append(f"{role} {address}")
        for one in self._left:
            if (one.name == role or one.name not in ROLES) and _is_on(one.sock, address):
                self._left.remove(one)
                return one
        return None

    def check_all_taken(self) -> None:
        """SettingsError for the first that no address of the configuration fits. Those that an earlier generation has bound are
        of an older configuration: this process does not listen there."""
        for one in [one for one in self._left if one.owned]:
            one.sock.close()
            self._left.remove(one)
        if self._left:
            raise SettingsError(
                FDS, "", f"{self._left[0]} fits no address of the configuration: {', '.join(self._wanted)}"
            )


def from_environment(
    environment: MutableMapping[str, str], owned: frozenset[int] = frozenset()
) -> InheritedSockets:
    """Those of this process; which of them are its own, by their descriptors. What says so is removed: a process
    that this one starts must not find it."""
    given = {name: environment.pop(name, "") for name in (FDS, PID, NAMES, PIDFDID)}
    if not given[FDS] or given[PID] not in ("", str(os.getpid())):
        return InheritedSockets()
    names = _names(given)
    found = [_socket(number, name) for number, name in enumerate(names, FIRST)]
    return InheritedSockets([replace(one, owned=one.number in owned) for one in found])


def _names(given: Mapping[str, str]) -> list[str]:
    """One for each descriptor."""
    if not given[FDS].isdecimal():
        raise SettingsError(FDS, "", f'must be a number, not "{given[FDS]}"')
    count = int(given[FDS])
    names = given[NAMES].split(":") if given[NAMES] else ["unknown"] * count
    if len(names) != count:
        raise SettingsError(NAMES, "", f"has {len(names)} names for {count} descriptors")
    return names


def _socket(number: int, name: str) -> InheritedSocket:
    what = f'descriptor {number} ("{name}")'
    try:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
    except OSError as exc:
        raise SettingsError(FDS, "", f"{what} is no socket: {exc.strerror}") from exc
    kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    if kind != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise SettingsError(FDS, "", f"{what} is no listening stream socket")
    sock.setblocking(False)
    return InheritedSocket(number, name, sock)


def _address(sock: socket.socket) -> Address:
    """Where it listens."""
    bound = sock.getsockname()
    return Address(path=os.fsdecode(bound)) if sock.family == socket.AF_UNIX else Address(bound[0], bound[1])


def _is_on(sock: socket.socket, address: Address) -> bool:
    bound = _address(sock)
    if address.path or bound.path:
        return address.path == bound.path
    return address.port == bound.port and ip_address(bound.host) in _addresses(address.host)


def _addresses(host: str) -> set[object]:
    with suppress(ValueError):
        return {ip_address(host)}
    with suppress(OSError):
        return {ip_address(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return set()
