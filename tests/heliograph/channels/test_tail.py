"""What is kept for those who catch up."""

from __future__ import annotations

from heliograph.channels.live.tail import MAX_TAIL_BYTES, MAX_TAIL_MESSAGES, Tail
from heliograph.channels.message import Kind, Message


def messages(first: int, count: int, data: bytes = b"x") -> list[Message]:
    return [Message(first + n, 0.0, Kind.TEXT, data) for n in range(count)]


def test_what_is_there_continues_from_anywhere_within() -> None:
    tail = Tail()
    assert tail.after(4, 4) == []
    assert tail.after(3, 4) is None
    tail.add(messages(5, 3))
    assert tail.after(4, 7) == messages(5, 3)
    assert tail.after(6, 7) == messages(7, 1)
    assert tail.after(7, 7) == []
    assert tail.after(3, 7) is None
    assert tail.after(8, 7) is None


def test_it_is_bounded_and_then_does_not_reach_back() -> None:
    tail = Tail()
    tail.add(messages(1, MAX_TAIL_MESSAGES + 1))
    top = MAX_TAIL_MESSAGES + 1
    assert tail.after(0, top) is None
    assert len(tail.after(1, top) or []) == MAX_TAIL_MESSAGES
    tail.add(messages(top + 1, 1, b"x" * MAX_TAIL_BYTES))
    assert len(tail.after(top, top + 1) or []) == 1
    assert tail.after(top - 1, top + 1) is None
    tail.clear()
    assert tail.after(top, top + 1) is None
