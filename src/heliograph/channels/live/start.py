"""Where a subscriber's stream begins. Pure."""

from __future__ import annotations

from enum import Enum

from heliograph.channels.cursor import Cursor, parse_cursor


class From(Enum):
    NOW = "live only"
    EARLIEST = "all that is there"


#: Behind a cursor, if it is one.
Start = From | Cursor


def parse_start(text: str | None) -> Start:
    """By the text of `?after=`. Raises InvalidCursor."""
    if text is None:
        return From.NOW
    return From.EARLIEST if text == "earliest" else parse_cursor(text)
