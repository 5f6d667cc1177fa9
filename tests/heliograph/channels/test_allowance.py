"""How many channels a client may make in a day."""

from __future__ import annotations

from heliograph.channels.transports.allowance import LEAST_REMEMBERED, ChannelAllowance, RecentNames
from heliograph.settings import DAY


def made(allowance: ChannelAllowance, client: str, names: range, now: float = 0.0) -> int:
    """How many of these channels the client may make."""
    return [
        allowance.may_make(client, str(name), now) and (allowance.charge(client, str(name), now), True)[1]
        for name in names
    ].count(True)


def test_a_tenth_and_at_least_one() -> None:
    assert [ChannelAllowance(most).share for most in (1, 9, 10, 19, 10_000)] == [1, 1, 1, 1, 1000]


def test_each_client_has_its_own_and_it_lasts_a_day() -> None:
    allowance = ChannelAllowance(30)
    assert made(allowance, "a", range(10)) == 3
    assert made(allowance, "b", range(10)) == 3
    assert made(allowance, "a", range(10, 20), DAY - 1) == 0
    assert made(allowance, "a", range(10, 20), DAY + 1) == 3


def test_a_channel_that_is_made_anew_counts_once() -> None:
    allowance = ChannelAllowance(20)
    assert made(allowance, "a", range(2)) == 2
    assert made(allowance, "a", range(2)) == 2
    assert not allowance.charge("a", "0", 0.0)


def test_what_was_not_made_after_all_does_not_count() -> None:
    allowance = ChannelAllowance(10)
    for name in range(5):
        assert made(allowance, "a", range(name, name + 1)) == 1
        allowance.refund("a", str(name))
    allowance.refund("a", "never")
    assert made(allowance, "a", range(5)) == 1


def test_what_is_remembered_is_bounded() -> None:
    allowance = ChannelAllowance(10)
    for number in range(2 * LEAST_REMEMBERED):
        assert made(allowance, str(number), range(1)) == 1
    assert not allowance.may_make(str(2 * LEAST_REMEMBERED - 1), "x", 0.0)
    assert allowance.may_make("0", "x", 0.0)


def test_names_are_remembered_for_a_while_and_in_bounded_number() -> None:
    names = RecentNames(2, 10.0)
    for name in "abc":
        names.add(name, 0.0)
    assert [names.has(name, 9.0) for name in "abc"] == [False, True, True]
    assert not names.has("c", 10.0)
