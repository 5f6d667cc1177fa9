"""Who listens where. Read before anything starts, and to tell our listener from another program's."""

from __future__ import annotations

import errno
import os
import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """A port we are going to listen on, the variable that moves it, and what it is for."""

    host: str
    port: int
    variable: str
    purpose: str


class PortError(Exception):
    """A port cannot be had. Its text is one line for the person who chose the ports."""


def check(wanted: list[Wanted]) -> None:
    """Raise PortError for the first port that two of ours share, that is taken, or that we may not have."""
    seen: dict[int, Wanted] = {}
    for want in wanted:
        if want.port in seen:
            other = seen[want.port]
            raise PortError(
                f"port {want.port} is meant for both {other.purpose} ({other.variable}) and "
                f"{want.purpose} ({want.variable}); give them different ones"
            )
        seen[want.port] = want
        _check_free(want)


def _check_free(want: Wanted) -> None:
    family = socket.AF_INET6 if ":" in want.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as all who will listen do: TIME_WAIT is free
        try:
            probe.bind((want.host, want.port))
        except OSError as exc:
            raise PortError(_why(want, exc)) from exc


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
        return f"HELIOGRAPH_HOST={want.host!r}: this machine has no such address"
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
