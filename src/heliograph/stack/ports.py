"""Who listens where, from /proc. Read before anything starts, and to tell our own listener from a stranger's."""

from __future__ import annotations

import errno
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

#: The state of a listening socket in /proc/net/tcp.
_LISTEN = "0A"


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
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    if not sockets:
        return None
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if any(os.readlink(entry) in sockets for entry in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:  # another user's, or it ended while we looked
            continue
    return None


def _listening(port: int) -> list[str]:
    """The inodes of the sockets that listen on this port, on whichever address."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:  # no IPv6 here
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.append(fields[9])
    return found


def _describe(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        command = ""
    shown = re.sub(r"\s+", " ", command).strip()[:60]
    return f"process {pid} ({shown})" if shown else f"process {pid}"


def descends_from(pid: int, leader: int) -> bool:
    """Whether a process belongs to the group that `leader` leads."""
    try:
        return os.getpgid(pid) == leader
    except ProcessLookupError:
        return False
