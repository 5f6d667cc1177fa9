"""Where a subscriber stands in a channel, and what news mean to it. Pure.

The rule that keeps holes out: a message is passed on only when its offset is the next one; anything else is read from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from heliograph.channels.cursor import Cursor
from heliograph.channels.log import News
from heliograph.channels.message import Message


class Step(Enum):
    NEXT = "these messages follow"
    OLD = "nothing new"
    GAP = "read the log after the position"
    LOST = "another epoch: ask the log for its top; if that is of another epoch too, history was lost"


@dataclass(frozen=True, slots=True)
class Position:
    """All messages up to `offset` of this epoch were passed on."""

    epoch: str
    offset: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.offset)

    def step(self, news: News) -> tuple[Step, Sequence[Message]]:
        """What to do about `news`, and the messages to pass on now. Late news are OLD: only the log can tell that it went back."""
        if news.epoch != self.epoch:
            return Step.LOST, ()
        if news.top <= self.offset:
            return Step.OLD, ()
        first = news.messages[0].offset if news.messages else news.top + 1
        if first > self.offset + 1:
            return Step.GAP, ()
        return Step.NEXT, news.messages[self.offset + 1 - first :]
