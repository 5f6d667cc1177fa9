"""What is kept for those who catch up."""

from __future__ import annotations

from heliograph.channels.live.recent import MAX_RECENT_BYTES, MAX_RECENT_MESSAGES, RecentMessages
from heliograph.channels.message import Kind, StoredMessage


def messages(first: int, count: int, data: bytes = b"x") -> list[StoredMessage]:
    return [StoredMessage(first + n, 0.0, Kind.TEXT, data) for n in range(count)]


def test_what_is_there_continues_from_anywhere_within() -> None:
    recent = RecentMessages()
    assert recent.after(4, 4) == []
    assert recent.after(3, 4) is None
    recent.add(messages(5, 3))
    assert recent.after(4, 7) == messages(5, 3)
    assert recent.after(6, 7) == messages(7, 1)
    assert recent.after(7, 7) == []
    assert recent.after(3, 7) is None
    assert recent.after(8, 7) is None


def test_it_is_bounded_and_then_does_not_reach_back() -> None:
    recent = RecentMessages()
    recent.add(messages(1, MAX_RECENT_MESSAGES + 1))
    top = MAX_RECENT_MESSAGES + 1
    assert recent.after(0, top) is None
    assert len(recent.after(1, top) or []) == MAX_RECENT_MESSAGES
    recent.add(messages(top + 1, 1, b"x" * MAX_RECENT_BYTES))
    assert len(recent.after(top, top + 1) or []) == 1
    assert recent.after(top - 1, top + 1) is None
    recent.clear()
    assert recent.after(top, top + 1) is None
