"""Cursors: "I have everything up to here". Pure.

The text of a cursor is `epoch:offset`. An epoch is an opaque text that changes whenever offsets may have been given out twice: the
log was lost, or went back to an older state. So an offset means something only together with its epoch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from heliograph.channels.errors import InvalidCursor

#: Offsets fit into 63 bits everywhere: SQLite's and PostgreSQL's integers.
MAX_OFFSET = (1 << 63) - 1

#: Characters of an epoch. Those of our engines have 20.
MAX_EPOCH = 64

_CURSOR = re.compile(rf"([A-Za-z0-9_-]{{1,{MAX_EPOCH}}}):(0|[1-9][0-9]{{0,18}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"


def parse_cursor(text: str) -> Cursor:
    """Raises InvalidCursor."""
    match = _CURSOR.fullmatch(text)
    if not match or int(match[2]) > MAX_OFFSET:
        raise InvalidCursor("A cursor is epoch:offset, as an earlier answer gave it.")
    return Cursor(match[1], int(match[2]))
