"""The newest messages of a channel, kept while a subscriber catches up with it. Pure.

A subscriber that reads the history meets the live stream here: the messages that came while it was reading are at hand, so that
none is missing between the last page and the first message that is passed on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from heliograph.channels.message import StoredMessage

#: Bytes and messages. A subscriber that needs more reads another page. Together with what is sent next it must stay far below the
#: 1 MiB that may wait for a subscriber.
MAX_RECENT_BYTES, MAX_RECENT_MESSAGES = 128 << 10, 500


class RecentMessages:
    def __init__(self) -> None:
        self._messages: deque[StoredMessage] = deque()
        self._bytes = 0

    def add(self, messages: Sequence[StoredMessage]) -> None:
        for message in messages:
            self._messages.append(message)
            self._bytes += len(message.data)
        while self._bytes > MAX_RECENT_BYTES or len(self._messages) > MAX_RECENT_MESSAGES:
            self._bytes -= len(self._messages.popleft().data)

    def clear(self) -> None:
        self._messages.clear()
        self._bytes = 0

    def after(self, offset: int, top: int) -> list[StoredMessage] | None:
        """The messages above `offset` up to `top`; None if some of them are not here."""
        if offset == top:
            return []
        if not self._messages or self._messages[0].offset > offset + 1 or offset > top:
            return None
        return list(islice(self._messages, offset + 1 - self._messages[0].offset, None))
