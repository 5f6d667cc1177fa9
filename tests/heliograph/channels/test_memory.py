from __future__ import annotations

import pytest
from heliograph_proxy.backoff import FIRST, LONGEST, delay

from heliograph.channels.engines.memory.expiring import Expiring
from heliograph.channels.engines.memory.store import AT_ONCE, MemoryHistories, MemoryHistory
from heliograph.channels.errors import LogOverloaded
from heliograph.channels.message import Kind, StoredMessage
from heliograph.channels.presence import MAX_LISTED, SubscriberInfo, encode, gather
from heliograph.channels.records import Limits


def filled(
    histories: MemoryHistories, name: str, count: int, size: int = 10, time: float = 0.0
) -> MemoryHistory:
    history = histories.by_channel.setdefault(name, MemoryHistory("e"))
    for _ in range(count):
        histories.add(history, StoredMessage(history.top + 1, time, Kind.BYTES, b"x" * size))
    return history


def test_memory_stays_flat_over_a_million_messages() -> None:
    histories = MemoryHistories(Limits(history_size=100))
    for n in range(10_000):
        filled(histories, f"c{n % 50}", 100)
    assert sum(len(h.messages) for h in histories.by_channel.values()) == 5000
    assert len(histories._order) <= 11_001
    assert histories.weight == 5000 * 210


def test_the_oldest_of_the_largest_go_first_when_there_are_too_many_bytes() -> None:
    histories = MemoryHistories(Limits(log_bytes=12_000))
    small = filled(histories, "small", 2, 1000)
    large = filled(histories, "large", 10, 1000)
    assert histories.weight <= 13_200
    assert len(small.messages) == 2
    assert [m.offset for m in large.after(0)] == [3, 4, 5, 6, 7, 8, 9, 10]
    assert large.top == 10


def test_a_history_has_its_own_bound_in_bytes_and_keeps_its_newest_message() -> None:
    histories = MemoryHistories(Limits(history_bytes=3000))
    history = filled(histories, "a", 7, 1000)
    assert [m.offset for m in history.after(0)] == [5, 6, 7]
    assert [m.offset for m in filled(histories, "a", 1, 5000).after(0)] == [8]


def test_what_is_too_old_goes_and_with_it_the_channel() -> None:
    histories = MemoryHistories(Limits(history_ttl=10))
    filled(histories, "a", 3, time=100)
    filled(histories, "b", 3, time=105)
    assert not histories.forget(109)
    assert histories.forget(112)
    assert list(histories.by_channel) == ["b"]


@pytest.mark.parametrize("time", [0.0, 1000.0])
def test_no_append_drops_much_at_once(time: float) -> None:
    """Where all messages are too old, and where a tenth of them is too much."""
    each, number = 210, 50_000
    histories = MemoryHistories(
        Limits(history_ttl=10, history_size=number, log_bytes=each * number // 11 * 10)
    )
    filled(histories, "old", number)
    before, turns = histories.weight, 0
    while histories.weight > each * number * 0.92 or (time and histories.by_channel["old"].messages):
        filled(histories, "new", 1, time=time)
        assert before - histories.weight <= AT_ONCE * each
        before, turns = histories.weight, turns + 1
    assert turns >= 3
    history = filled(histories, "new", 2000, time=time)
    assert [message.offset for message in history.after(turns)] == list(range(turns + 1, turns + 2001))


def test_what_was_dropped_is_left_out_in_parts_and_in_order() -> None:
    histories = MemoryHistories(Limits(history_ttl=10, history_size=100))
    kept = filled(histories, "kept", 50)
    for _ in range(10):
        filled(histories, "busy", 1000)
        assert len(histories._order) + len(histories._before) <= 2 * histories._live + 1000 + AT_ONCE
    filled(histories, "busy", 1, time=1000.0)
    assert not kept.messages
    assert [message.time for message in histories.by_channel["busy"].messages] == [1000.0]


def test_entries_of_a_table_end_and_a_full_one_refuses() -> None:
    table: Expiring[str, int] = Expiring(2)
    table.put("a", 1, 0, 10)
    table.put("b", 2, 5, 10)
    assert (table.get("a", 9), table.get("a", 10), table.get("b", 10)) == (1, None, 2)
    with pytest.raises(LogOverloaded):
        table.put("c", 3, 9, 10)
    table.put("c", 3, 10, 10)
    assert len(table) == 2


def test_waits_grow_to_a_bound_and_chance_spreads_them() -> None:
    assert [delay(n, lambda: 1.0) for n in (0, 1, 2)] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert delay(10**6, lambda: 1.0) == LONGEST
    assert delay(5, lambda: 0.0) == 0


def test_presence_counts_all_and_names_some() -> None:
    crowd = [SubscriberInfo(f"é{n}", n + 0.5, "sse", "web1") for n in range(MAX_LISTED + 5)]
    present = gather([encode(crowd), encode([SubscriberInfo("x", 0, "websocket", "web2")])])
    assert present.count == MAX_LISTED + 6
    assert len(present.subscribers) == MAX_LISTED + 1
    assert present.subscribers[:2] == (SubscriberInfo("x", 0, "websocket", "web2"), crowd[0])
    assert gather([]).count == 0
