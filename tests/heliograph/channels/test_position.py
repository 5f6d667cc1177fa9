from __future__ import annotations

import pytest

from heliograph.channels.live.position import Position, Step
from heliograph.channels.log import News
from heliograph.channels.message import Kind, Message


def news(first: int, last: int, epoch: str = "e") -> News:
    messages = tuple(Message(n, 0, Kind.TEXT, b"") for n in range(first, last + 1))
    return News("a", epoch, last, messages)


@pytest.mark.parametrize(
    ("coming", "step", "offsets"),
    [
        (news(6, 6), Step.NEXT, [6]),
        (news(6, 9), Step.NEXT, [6, 7, 8, 9]),
        (news(3, 7), Step.NEXT, [6, 7]),
        (news(4, 5), Step.OLD, []),
        (news(1, 2), Step.OLD, []),
        (news(7, 9), Step.GAP, []),
        (News("a", "e", 6), Step.GAP, []),
        (News("a", "e", 5), Step.OLD, []),
        (News("a", "e", 0), Step.OLD, []),
        (news(6, 6, "other"), Step.LOST, []),
        (News("a", "other", 0), Step.LOST, []),
    ],
)
def test_only_the_next_message_is_passed_on(coming: News, step: Step, offsets: list[int]) -> None:
    found, messages = Position("e", 5).step(coming)
    assert (found, [m.offset for m in messages]) == (step, offsets)
