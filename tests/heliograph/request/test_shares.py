"""What each client has of something that is shared."""

from __future__ import annotations

import contextlib

from heliograph.request.shares import Shares, three_quarters


def test_three_quarters_are_rounded_up() -> None:
    assert [three_quarters(total) for total in (1, 2, 3, 4, 5, 8)] == [1, 2, 3, 3, 4, 6]


def test_a_client_has_a_share_and_others_have_theirs() -> None:
    shares = Shares(3)
    shares.take("a", 2)
    assert [shares.has_room("a", amount) for amount in (1, 2)] == [True, False]
    assert shares.has_room("b", 3)
    shares.give_back("a", 2)
    assert shares.has_room("a", 3)


def test_what_is_held_is_given_back_after_a_failure() -> None:
    shares = Shares(1)
    with contextlib.suppress(ValueError), shares.holding("a"):
        assert not shares.has_room("a")
        raise ValueError
    assert shares.of("a") == 0


def test_the_application_itself_has_no_share() -> None:
    shares = Shares(1)
    shares.take("", 5)
    assert shares.has_room("", 100)
    shares.give_back("", 5)
