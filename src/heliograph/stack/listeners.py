"""The listening sockets of a stack. The manager keeps them open, whatever becomes of the parts that it hands them to.

While no part accepts, clients wait in the kernel's queue instead of being refused; not where that may take long (`refuse`).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Container, Iterable, Sequence

from heliograph.stack import ports
from heliograph.stack.plan import Address
from heliograph.stack.ports import Wanted

#: Connections that wait while nobody accepts; the kernel caps it at net.core.somaxconn.
BACKLOG = 4096


class Listeners:
    """Listening sockets by their addresses."""

    def __init__(self) -> None:
        self._sockets: dict[Address, socket.socket] = {}
        #: Where the manager itself is asked for something (`control`).
        self.commands: socket.socket | None = None

    def open(self, wanted: Iterable[Wanted], handed: Container[Address]) -> None:
        """Listen on all that are handed over. Raises PortError; what is open then stays so."""
        for want in wanted:
            address = want.host, want.port
            if address not in handed or address in self._sockets:
                continue
            listener = self._sockets[address] = ports.bound(want)
            # The flag belongs to the socket, not to the process: none of those who share it may wait in accept.
            listener.setblocking(False)
            self.listen([address])

    def listen(self, addresses: Iterable[Address]) -> None:
        """Let clients wait in the kernel's queue; those that do already stay."""
        for address in addresses:
            self._sockets[address].listen(BACKLOG)

    def refuse(self, addresses: Iterable[Address]) -> None:
        """Refuse who connects until `listen`, and reset who waits. Linux keeps the socket on its address."""
        for address in addresses:
            with contextlib.suppress(OSError):  # it listens no more already
                self._sockets[address].shutdown(socket.SHUT_RD)

    def descriptors(self, addresses: Sequence[Address]) -> list[int]:
        return [self._sockets[address].fileno() for address in addresses]

    def close(self) -> None:
        """From now on only the parts that still accept keep their sockets."""
        for listener in self._sockets.values():
            listener.close()
        if self.commands is not None:
            self.commands.close()
