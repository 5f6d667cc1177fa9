"""sd_notify(3): tell systemd, or who else has set NOTIFY_SOCKET, how this process is."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress

SOCKET = "NOTIFY_SOCKET"

READY = "READY=1"
STOPPING = "STOPPING=1"


class Notifier:
    """Sends nothing where nobody has asked for it."""

    def __init__(self, path: str = "") -> None:
        # An abstract socket's name begins with @ there, and with NUL for the kernel.
        self._path = "\0" + path[1:] if path.startswith("@") else path

    def send(self, *lines: str) -> None:
        """One message. Who does not listen any more must not end the proxy."""
        if not self._path:
            return
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), self._path)

    def reloading(self) -> None:
        """Until READY. Type=notify-reload wants the time."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def from_environment(environment: Mapping[str, str]) -> Notifier:
    return Notifier(environment.get(SOCKET, ""))
