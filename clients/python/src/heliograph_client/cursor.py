"""Cursors ("I have everything up to here") and where a subscription begins. Pure.

The text of a cursor is `epoch:offset`. The server gives cursors out; a client only keeps them and sends them back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from heliograph_client.errors import BadCursor

#: Offsets fit into 63 bits, as in the databases of the log.
MAX_OFFSET = (1 << 63) - 1

#: Characters of an epoch, as in the server.
MAX_EPOCH = 64

_CURSOR = re.compile(rf"([A-Za-z0-9_-]{{1,{MAX_EPOCH}}}):(0|[1-9][0-9]{{0,18}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a channel's log: the text of the epoch and the offset of the last message received."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"


def parse_cursor(text: str) -> Cursor:
    """The cursor that a text stands for. Raises BadCursor."""
    match = _CURSOR.fullmatch(text)
    if not match or int(match[2]) > MAX_OFFSET:
        raise BadCursor("A cursor is epoch:offset, as an earlier answer gave it.")
    return Cursor(match[1], int(match[2]))


class StartPoint(Enum):
    """Where a subscription without a cursor begins."""

    NOW = "live only"
    EARLIEST = "all that is there"


#: Behind a cursor, if it is one.
Start = StartPoint | Cursor


def parse_start(text: str | None) -> Start:
    """The start that the text of `after` stands for. Raises BadCursor."""
    if text is None:
        return StartPoint.NOW
    return StartPoint.EARLIEST if text == "earliest" else parse_cursor(text)
