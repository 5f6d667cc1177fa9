"""What a client is sent, and what becomes of one that takes it too slowly, or nothing: the rules of the proxy, whose clients may
come here, too."""

from __future__ import annotations

import time
from typing import Any

from gevent.ssl import SSLSocket
from heliograph_proxy import pace
from heliograph_proxy.pace import Pace, Uptake, untaken

#: Bytes a second that an answer must be taken at on average once it was waited for as long as `pace.ANSWER_SECONDS`: as at the
#: proxy.
LEAST_ANSWER_RATE = 1024.0


class Outgoing:
    """The sending side of one connection, whose time limit is the silence that a client may keep.

    The `sendall` of a socket has that limit for all of its bytes together: a large piece would be cut for honest clients, too.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._pace = Pace(LEAST_ANSWER_RATE, pace.ANSWER_SECONDS)
        self._encrypted = isinstance(connection, SSLSocket)

    def send(self, data: bytes) -> None:
        """All of it. Raises TimeoutError when the client takes nothing for too long, or less than the least rate."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._send_some(rest) :]

    def _send_some(self, rest: memoryview) -> int:
        if not self._encrypted:
            try:
                sent: int = self._connection.send(rest, 0, 0.0)
                return sent
            except BlockingIOError:
                pass
        silence = self._connection.gettimeout()
        try:
            return self._send_when_taken(rest, silence)
        finally:
            self._connection.settimeout(silence)

    def _send_when_taken(self, rest: memoryview, silence: float) -> int:
        connection, kept = self._connection, self._pace
        uptake = Uptake(untaken(connection.fileno()), time.monotonic())
        while True:
            connection.settimeout(max(uptake.deadline(silence, kept) - time.monotonic(), 0.001))
            late: TimeoutError | None = None
            sent = 0
            try:
                sent = connection.send(rest)
            except TimeoutError as exc:
                late = exc
            uptake.looked(untaken(connection.fileno()) - sent, time.monotonic(), kept)
            if kept.too_slow:
                raise TimeoutError("the answer is taken too slowly")
            if sent:
                return sent
            if late is not None and uptake.silent_for(silence):
                raise late
