"""What one client may ask of the proxy: requests a second, and connections at a time. Pure.

A client is an address, by the trusted chain. What is remembered of clients is bounded: by the open connections, and by
`MAX_CLIENTS`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from heliograph_proxy.clientcounts import ClientCounts
from heliograph_proxy.errors import TooManyRequests
from heliograph_proxy.settings import ClientSettings

#: Clients whose requests were counted last: 10 MB at most. Who is forgotten begins anew, with a whole burst. Not Final: tests
#: have fewer.
MAX_CLIENTS = 65536

#: How many clients that need not be remembered are forgotten with each request: more than one comes with it.
FORGET: Final = 2

#: A burst, in seconds of the rate.
BURST_SECONDS: Final = 2.0

#: Seconds that are no difference: sums of fractions come out a little more or less than they are.
EPSILON: Final = 1e-6


class ClientBounds:
    """`count_request` for each request, `open` and `close` for each connection."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        #: By client, the last one seen last: when all of its requests would have come, had they come at the rate.
        self._due: OrderedDict[str, float] = OrderedDict()
        self._open = ClientCounts()

    @property
    def counts_connections(self) -> bool:
        return self._settings.connections > 0

    def configure(self, settings: ClientSettings) -> None:
        self._settings = settings

    def count_request(self, client: str, now: float) -> None:
        """TooManyRequests if it comes too early. Then it is not counted."""
        rate = self._settings.rate
        if not rate:
            return
        # The generic cell rate algorithm: one number for each client, and no timer.
        early = max(BURST_SECONDS - 1.0 / rate, 0.0)
        due = max(self._due.get(client, now), now)
        if due - now > early + EPSILON:
            seconds = max(math.ceil(due - now - early - EPSILON), 1)
            raise TooManyRequests(f"one client may make {rate:g} requests a second", seconds)
        self._due[client] = due + 1.0 / rate
        self._due.move_to_end(client)
        self._forget(now)

    def open(self, client: str) -> None:
        """One more connection of this client. TooManyRequests if it is one too many; then it is not counted."""
        most = self._settings.connections
        if most and self._open.of(client) >= most:
            raise TooManyRequests(f"one client may have {most} connections at a time", limit=most)
        self._open.add(client)

    def close(self, client: str) -> None:
        self._open.remove(client)

    def _forget(self, now: float) -> None:
        """Those who have a whole burst again, and those beyond the bound."""
        due = self._due
        for _ in range(FORGET):
            if not due:
                return
            client = next(iter(due))
            if len(due) <= MAX_CLIENTS and due[client] > now:
                return
            del due[client]
