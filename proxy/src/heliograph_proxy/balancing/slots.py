"""A slot: the right of one request to be at one backend, and all that is counted for it. Pure.

Every place is counted from the moment in which it is given away: a request that asks for a tunnel holds a tunnel's place
during its handshake, so that handshakes in flight and tunnels together never exceed `max_tunnels`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from heliograph_proxy.balancing.backends import Backend


class SlotUse(Enum):
    """What a slot is used for."""

    REQUEST = "request"
    #: A request in flight that may become a tunnel, whose place it holds.
    HANDSHAKE = "handshake"
    #: A tunnel, or a stream of events: no request in flight anymore.
    TUNNEL = "tunnel"
    ENDED = "ended"


REQUEST: Final = SlotUse.REQUEST
HANDSHAKE: Final = SlotUse.HANDSHAKE
TUNNEL: Final = SlotUse.TUNNEL
ENDED: Final = SlotUse.ENDED


class Slot:
    """Taken when it is made. The balancer gives it back."""

    __slots__ = ("backend", "client", "use")

    def __init__(self, backend: Backend, client: str, tunnel: bool) -> None:
        self.backend = backend
        self.client = client
        self.use = HANDSHAKE if tunnel else REQUEST
        backend.active += 1
        backend.clients[client] = backend.clients.get(client, 0) + 1
        if tunnel:
            backend.handshakes += 1

    @property
    def in_flight(self) -> bool:
        """Whether it counts as a request in flight."""
        return self.use is REQUEST or self.use is HANDSHAKE

    def become_tunnel(self) -> None:
        """It counts as a tunnel from now on."""
        self._end_request()
        self.backend.tunnels += 1
        self.use = TUNNEL

    def end_handshake(self) -> None:
        """It does not become a tunnel; the request goes on."""
        if self.use is HANDSHAKE:
            self.backend.handshakes -= 1
            self.use = REQUEST

    def end(self) -> None:
        if self.use is TUNNEL:
            self.backend.tunnels -= 1
        elif self.use is not ENDED:
            self._end_request()
        self.use = ENDED

    def _end_request(self) -> None:
        backend, client = self.backend, self.client
        backend.active -= 1
        if self.use is HANDSHAKE:
            backend.handshakes -= 1
        left = backend.clients[client] - 1
        if left:
            backend.clients[client] = left
        else:
            del backend.clients[client]
