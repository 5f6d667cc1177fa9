from __future__ import annotations

import pytest

from heliograph.channels.cursor import MAX_OFFSET, Cursor, parse_cursor
from heliograph.channels.errors import InvalidCursor


@pytest.mark.parametrize("cursor", [Cursor("abc", 0), Cursor("A-_9", 17), Cursor("e" * 64, MAX_OFFSET)])
def test_a_cursor_survives_its_text(cursor: Cursor) -> None:
    assert parse_cursor(str(cursor)) == cursor


BAD = [
    "",
    ":",
    "abc",
    "abc:",
    ":1",
    "abc:-1",
    "abc:01",
    "abc:1.0",
    "abc:١",
    "a b:1",
    "abc:1\n",
    "abc:1:2",
    "earliest",
    "é:1",
]
TOO_LONG = [f"{'e' * 65}:1", f"abc:{MAX_OFFSET + 1}", "abc:99999999999999999999"]


@pytest.mark.parametrize("text", [*BAD, *TOO_LONG])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_cursor(text)
