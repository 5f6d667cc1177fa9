"""What a notification means to a subscriber that has everything up to a cursor. Pure.

The rule that prevents gaps: a message is passed on only when its offset is the next one; anything else is read from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from heliograph.channels.cursor import Cursor
from heliograph.channels.message import StoredMessage
from heliograph.channels.records import Notification


class Arrival(Enum):
    """How a notification relates to a position."""

    NEXT = "these messages follow"
    OLD = "nothing new"
    GAP = "read the log after the position"
    LOST = "another epoch: ask the log for its top; if that is of another epoch too, history was lost"


def classify(position: Cursor, notification: Notification) -> tuple[Arrival, Sequence[StoredMessage]]:
    """What to do about a notification, and the messages to pass on now.

    A late notification is OLD: only the log can tell that it went back.
    """
    if notification.epoch != position.epoch:
        return Arrival.LOST, ()
    if notification.top <= position.offset:
        return Arrival.OLD, ()
    first = notification.messages[0].offset if notification.messages else notification.top + 1
    if first > position.offset + 1:
        return Arrival.GAP, ()
    return Arrival.NEXT, notification.messages[position.offset + 1 - first :]
