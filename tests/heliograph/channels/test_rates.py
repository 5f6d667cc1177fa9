"""How often a client may publish."""

from __future__ import annotations

from heliograph.channels.transports.rates import ClientRates, TokenBucket


def test_a_second_of_the_rate_at_once_and_then_the_rate() -> None:
    bucket = TokenBucket(3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.4), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_0_is_no_limit() -> None:
    bucket = TokenBucket(0, 0.0)
    assert all(bucket.take(0.0) for _ in range(100))


def test_each_client_has_a_rate() -> None:
    rates = ClientRates(2)
    assert [rates.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [rates.take("b", 0.0) for _ in range(3)] == [True, True, False]
    assert [rates.take("a", 0.5) for _ in range(2)] == [True, False]


def test_clients_that_were_quiet_are_forgotten() -> None:
    rates = ClientRates(2)
    for number in range(1000):
        rates.take(str(number), float(number))
    assert len(rates) <= 3


def test_a_crowd_of_clients_takes_bounded_memory() -> None:
    rates = ClientRates(2, max_clients=100)
    for number in range(1000):
        assert rates.take(str(number), 0.0)
    assert len(rates) == 100


def test_without_a_limit_nothing_is_kept() -> None:
    rates = ClientRates(0)
    assert all(rates.take("a", 0.0) for _ in range(100))
    assert len(rates) == 0
