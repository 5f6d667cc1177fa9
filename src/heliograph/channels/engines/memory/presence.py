"""Presence and tickets of one process."""

from __future__ import annotations

from heliograph.channels.engines import clock
from heliograph.channels.engines.memory.expiring import Expiring
from heliograph.channels.engines.names import SortedNames
from heliograph.channels.log import PresenceStore
from heliograph.channels.presence import Changes, Present, encode, gather

#: Tickets that are remembered. Some 300 bytes each.
MAX_TICKETS = 100_000


class MemoryPresence(PresenceStore):
    max_tickets = MAX_TICKETS

    def __init__(self) -> None:
        self._present: dict[str, tuple[int, str]] = {}
        self.names = SortedNames()
        self._tokens: Expiring[str, bool] = Expiring(MAX_TICKETS)

    def announce(self, changes: Changes) -> bool:
        for channel, subscribers in changes.items():
            count, text = encode(subscribers)
            if count:
                self._present[channel] = count, text
                self.names.add(channel)
            else:
                self._present.pop(channel, None)
                self.names.discard(channel)
        return True

    def present(self, channel: str) -> Present:
        return gather([self._present[channel]] if channel in self._present else [])

    def leave(self) -> None:
        self._present.clear()
        self.names = SortedNames()

    def use_once(self, token: str, ttl: float) -> bool:
        now = clock.now()
        if self._tokens.get(token, now):
            return False
        self._tokens.put(token, True, now, ttl)
        return True

    def count(self, channel: str) -> int:
        return self._present[channel][0] if channel in self._present else 0
