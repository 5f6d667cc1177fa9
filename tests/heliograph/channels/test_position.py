from __future__ import annotations

import pytest

from heliograph.channels.cursor import Cursor
from heliograph.channels.live.position import Arrival, classify
from heliograph.channels.message import Kind, StoredMessage
from heliograph.channels.records import Notification


def news(first: int, last: int, epoch: str = "e") -> Notification:
    messages = tuple(StoredMessage(n, 0, Kind.TEXT, b"") for n in range(first, last + 1))
    return Notification("a", epoch, last, messages)


@pytest.mark.parametrize(
    ("coming", "arrival", "offsets"),
    [
        (news(6, 6), Arrival.NEXT, [6]),
        (news(6, 9), Arrival.NEXT, [6, 7, 8, 9]),
        (news(3, 7), Arrival.NEXT, [6, 7]),
        (news(4, 5), Arrival.OLD, []),
        (news(1, 2), Arrival.OLD, []),
        (news(7, 9), Arrival.GAP, []),
        (Notification("a", "e", 6), Arrival.GAP, []),
        (Notification("a", "e", 5), Arrival.OLD, []),
        (Notification("a", "e", 0), Arrival.OLD, []),
        (news(6, 6, "other"), Arrival.LOST, []),
        (Notification("a", "other", 0), Arrival.LOST, []),
    ],
)
def test_only_the_next_message_is_passed_on(
    coming: Notification, arrival: Arrival, offsets: list[int]
) -> None:
    found, messages = classify(Cursor("e", 5), coming)
    assert (found, [m.offset for m in messages]) == (arrival, offsets)
