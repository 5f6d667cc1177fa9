"""Who listens where. Read before anything starts, and to tell our listener from another program's."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass

from heliograph.given import SettingError


@dataclass(frozen=True)
class Wanted:
    """A port we are going to listen on, the variable that moves it, and what it is for."""

    host: str
    port: int
    variable: str
    purpose: str
    #: Whether `::` stands for the addresses of IPv4, too: for nginx it does not.
    both: bool = False


class PortError(Exception):
    """A port cannot be had. Its text is one line for the person who chose the ports."""


def check(wanted: list[Wanted]) -> None:
    """Raise PortError for the first port that two of ours share, that is taken, or that we may not have."""
    for number, want in enumerate(wanted):
        for other in wanted[:number]:
            if want.port == other.port and want.purpose != other.purpose and _overlap(want.host, other.host):
                raise PortError(
                    f"port {want.port} is meant for both {other.purpose} ({other.variable}) and "
                    f"{want.purpose} ({want.variable}); give them different ones"
                )
        _check_free(want)


def _overlap(one: str, other: str) -> bool:
    return one == other or bool({one, other} & {"0.0.0.0", "::"})


def addresses(host: str, name: str, shown: str) -> list[str]:
    """The IP addresses a host of nginx stands for, set by `name` as `shown`; all of IPv4 without one. Raises SettingError."""
    flags = 0 if not host or _is_address(host) else socket.AI_ADDRCONFIG  # as nginx looks up names
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as exc:  # UnicodeError: no name at all, such as one with an empty label
        raise SettingError(name, shown, "an address of this machine, or a name of one, is allowed") from exc
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_free(want: Wanted) -> None:
    bound(want).close()


def bound(want: Wanted) -> socket.socket:
    """A socket that has this port and does not listen yet. Raises PortError."""
    family = socket.AF_INET6 if ":" in want.host else socket.AF_INET
    found = socket.socket(family)
    # As all who will listen do: TIME_WAIT is free.
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not want.both)
    try:
        found.bind((want.host, want.port))
    except OSError as exc:
        found.close()
        raise PortError(_why(want, exc)) from exc
    return found


def _why(want: Wanted, error: OSError) -> str:
    where = f"port {want.port} of {want.host}, for {want.purpose} ({want.variable}),"
    if error.errno == errno.EADDRINUSE:
        pid = owner(want.port)
        return (
            f"{where} is taken" + (f" by {_describe(pid)}" if pid else "") + "; stop that or choose another"
        )
    if error.errno == errno.EACCES:
        return f"{where} needs privileges that this user does not have; choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} cannot be had: this machine has no such address"
    return f"{where} cannot be had: {error.strerror}"


def owner(port: int) -> int | None:
    """The process that listens on a port; None when there is none, or none that we may look into."""
    import psutil  # noqa: PLC0415 (large, and needed for a port that is taken only)

    for connection in psutil.net_connections("tcp"):
        here = connection.laddr
        if connection.status == psutil.CONN_LISTEN and here and here.port == port and connection.pid:
            return int(connection.pid)
    return None


def _describe(pid: int) -> str:
    import psutil  # noqa: PLC0415 (as above)

    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        command = ""
    shown = re.sub(r"\s+", " ", command).strip()[:60]
    return f"process {pid} ({shown})" if shown else f"process {pid}"


def descends_from(pid: int, leader: int) -> bool:
    """Whether a process belongs to the group that `leader` leads."""
    try:
        return os.getpgid(pid) == leader
    except ProcessLookupError:
        return False
