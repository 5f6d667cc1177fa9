"""How often a connection may publish."""

from __future__ import annotations

from heliograph.channels.transports.rates import TokenBucket


def test_a_second_of_the_rate_at_once_and_then_the_rate() -> None:
    bucket = TokenBucket(3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.4), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_0_is_no_limit() -> None:
    bucket = TokenBucket(0, 0.0)
    assert all(bucket.take(0.0) for _ in range(100))
