"""What systemd is told of the manager, see sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names, where it does.

The watchdog's messages come from the manager's event loop, so a manager whose loop is stuck sends none and is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from heliograph.stack.inherited import NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC

#: Messages in each of the watchdog's periods; systemd's own documentation advises two.
_IN_A_PERIOD = 2

_MICROSECOND = 1e-6


@dataclass(frozen=True)
class ServiceManager:
    """`address` is empty where nothing is to be told; `watchdog` is its period in seconds, 0 for none."""

    address: str = ""
    watchdog: float = 0.0

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        """Until `ready`. Type=notify-reload wants the time."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Meanwhile the watchdog is told that the running event loop works."""
        if not self.watchdog:
            yield
            return
        telling = asyncio.create_task(self._tell_that_it_works())
        try:
            yield
        finally:
            telling.cancel()

    async def _tell_that_it_works(self) -> None:
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / _IN_A_PERIOD)

    def _send(self, message: str) -> None:
        if not self.address:
            return
        with (
            contextlib.suppress(
                OSError
            ),  # systemd finds out by itself, and a stack that serves is worth more
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify,
        ):
            notify.sendto(message.encode(), self.address)


def service_manager(environ: Mapping[str, str]) -> ServiceManager:
    """By the variables that systemd sets. A watchdog may be meant for another process."""
    address, period = environ.get(NOTIFY_SOCKET, ""), environ.get(WATCHDOG_USEC, "")
    if address.startswith("@"):  # an abstract one
        address = f"\0{address[1:]}"
    asked = period.isascii() and period.isdigit() and environ.get(WATCHDOG_PID) in (None, str(os.getpid()))
    return ServiceManager(address, int(period) * _MICROSECOND if asked else 0.0)
