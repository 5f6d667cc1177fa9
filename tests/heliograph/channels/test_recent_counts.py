"""How often each client did something lately."""

from __future__ import annotations

from heliograph.channels.transports.recent_counts import RecentCounts


def test_each_client_may_do_it_so_often_in_that_time() -> None:
    counts = RecentCounts(3, 100.0)
    assert [counts.take("a", float(second)) for second in range(5)] == [True, True, True, False, False]
    assert counts.take("b", 5.0)
    assert not counts.take("a", 99.0)
    assert [counts.take("a", 111.0) for _ in range(4)] == [True, True, True, False]


def test_who_did_nothing_lately_is_forgotten() -> None:
    counts = RecentCounts(3, 100.0)
    for number in range(10_000):
        counts.take(str(number), float(number))
    assert len(counts._counts) <= 111
    assert len(counts._parts) <= 12


def test_many_clients_at_once_are_bounded_and_the_first_ones_are_forgotten() -> None:
    counts = RecentCounts(1, 100.0, max_clients=100)
    for number in range(1000):
        assert counts.take(str(number), number / 10)
        assert len(counts._counts) <= 100
    assert not counts.take("999", 100.0)
