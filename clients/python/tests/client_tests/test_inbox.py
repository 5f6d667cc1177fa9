"""The queue between connections and the program: in order, and bounded."""

from __future__ import annotations

import pytest
from heliograph_client.cursor import Cursor
from heliograph_client.events import Lost, Message, State, Status
from heliograph_client.inbox import MAX_BYTES, MAX_EVENTS, Inbox


def state(channel: str, reason: str = "") -> State:
    return State(channel, Status.WAITING, None, reason, 1.0)


def message(number: int) -> Message:
    return Message("a", Cursor("e", number), 0.0, number)


def taken(inbox: Inbox) -> list[object]:
    return [inbox.take(0) for _ in range(len(inbox._items))]


@pytest.mark.parametrize("channels", [1, 2, 50])
def test_states_of_many_channels_that_cannot_be_reached_take_bounded_room(channels: int) -> None:
    inbox = Inbox()
    for number in range(20_000):
        inbox.report(state(f"channel-{number % channels}", str(number)))
    assert len(inbox._items) <= MAX_EVENTS + channels
    last = taken(inbox)[-channels:]
    assert [event.reason for event in last if isinstance(event, State)] == [
        str(number) for number in range(20_000 - channels, 20_000)
    ]


@pytest.mark.parametrize("size", [0, MAX_BYTES])
def test_what_came_before_the_states_of_a_full_inbox_stays(size: int) -> None:
    inbox = Inbox()
    count = 1 if size else MAX_EVENTS
    for number in range(count):
        assert inbox.offer(message(number), size)
    for number in range(1000):
        inbox.report(state("b" if number % 2 else "c", str(number)))
        assert not inbox.offer(Lost("a", Cursor("e", 1)), 0)
    events = taken(inbox)
    assert events[:count] == [message(number) for number in range(count)]
    assert events[count:] == [state("c", "998"), state("b", "999")]


def test_a_program_that_reads_slowly_keeps_it_bounded() -> None:
    inbox = Inbox()
    for number in range(5000):
        inbox.offer(message(number), 1)
        for channel in "abc":
            inbox.report(state(channel, str(number)))
        if number % 3 == 0:
            inbox.take(0)
        assert len(inbox._items) <= MAX_EVENTS + 3
