"""When a peer is pinged, and when it counts as gone. Pure.

A ping every INTERVAL, and PATIENCE for any sign of life after it. So a peer that vanished without a close frame is found within
INTERVAL + PATIENCE and two ticks of the timer, 36 s.
"""

from __future__ import annotations

#: Seconds between the pings to a client (RFC 6455, 5.5.2): under the 60 s after which proxies cut silent connections.
INTERVAL = 25.0

#: Seconds in which a client has to answer, or to show otherwise that it is alive.
PATIENCE = 10.0


class Heartbeat:
    """Of one peer: whether a ping is unanswered, and whether there was a sign of life since."""

    __slots__ = ("_unacknowledged", "alive", "asked")

    def __init__(self) -> None:
        #: Set by anything that the peer sends, or takes from us.
        self.alive = False
        #: Whether a ping is out, and its time not yet up.
        self.asked = False
        self._unacknowledged = 0

    def ask(self, unacknowledged: int) -> None:
        """A ping goes out now. `unacknowledged`: the bytes before it that the peer's kernel has not taken."""
        self.asked, self.alive = True, False
        self._unacknowledged = unacknowledged

    def judge(self, unacknowledged: int, *, reading: bool) -> bool:
        """PATIENCE is over: whether the peer counts as there.

        While we do not read, its answer cannot be seen; but whether its kernel took the ping can. And a slow network may still be
        carrying what was sent before the ping.
        """
        return self.alive or unacknowledged < self._unacknowledged or (not reading and not unacknowledged)
