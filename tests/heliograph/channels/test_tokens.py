"""Tokens and tickets."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.transports.tokens import (
    EVERYTHING,
    TICKET_TTL,
    BadToken,
    Grant,
    Ticket,
    new_ticket,
    read_ticket,
    read_token,
)
from heliograph.request.options import AccessOptions

SECRET, OLD_SECRET = "s" * 32, "o" * 32

#: When these tests take place.
NOW = 1_800_000_000.0

LATER = 4_000_000_000


def access(audience: tuple[str, ...] = (), leeway: int = 10) -> AccessOptions:
    return AccessOptions(
        auth_secret=(SECRET, OLD_SECRET), auth_leeway=leeway, auth_audience=audience, open=False
    )


def signed(secret: str = SECRET, **claims: Any) -> str:
    given_ = {"sub": "w", "exp": LATER, **claims}
    return jwt.encode({name: value for name, value in given_.items() if value is not None}, secret, "HS256")


def test_publishing_and_subscribing_are_apart() -> None:
    grant = Grant("", None, ("in",), ("out", "o*"))
    assert (grant.may_publish("in"), grant.may_publish("out")) == (True, False)
    assert (grant.may_subscribe("out"), grant.may_subscribe("in")) == (True, False)
    assert EVERYTHING.may_publish("x")
    assert EVERYTHING.may_subscribe("x")


def test_a_token_has_its_claims() -> None:
    assert read_token(signed(publish=["a*"]), access(), NOW) == Grant("w", LATER + 10, ("a*",), ())


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 9},
        {"exp": NOW - 9.5},
        {"nbf": NOW + 9},
        {"iat": NOW + 9},
        {"iat": NOW + 9, "nbf": NOW + 9, "exp": NOW - 9},
        {"aud": "anything"},
        {"aud": ["a", "b"]},
        {"exp": 10**40},
        {"jti": 5},
    ],
    ids=str,
)
def test_clocks_may_differ_and_what_nobody_asked_about_does_not_matter(claims: dict[str, Any]) -> None:
    assert read_token(signed(**claims), access(), NOW).subject == "w"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": NOW - 11}, "claim exp is in the past"),
        ({"nbf": NOW + 11}, "claim nbf is in the future"),
        ({"iat": NOW + 11}, "claim iat is in the future"),
        ({"exp": None}, "claim exp is missing"),
        ({"exp": "soon"}, "claim exp is not a time"),
        ({"exp": True}, "claim exp is not a time"),
        ({"exp": float("nan")}, "claim exp is not a time"),
        ({"exp": 10**400}, "claim exp is not a time"),
        ({"nbf": "x"}, "claim nbf is not a time"),
        ({"iat": []}, "claim iat is not a time"),
        ({"sub": None}, "claim sub is missing"),
        ({"sub": 42}, "claim sub is not a text"),
        ({"sub": ["w"]}, "claim sub is not a text"),
        ({"sub": "w" * 257}, "claim sub has more than 256"),
        ({"aud": 5}, "claim aud is neither"),
        ({"aud": ["a", 5]}, "claim aud is neither"),
        ({"publish": "a"}, "claim publish is not a list"),
        ({"subscribe": ["a"] * 101}, "claim subscribe is not a list"),
    ],
    ids=str,
)
def test_the_words_name_the_claim_that_is_wrong(claims: dict[str, Any], words: str) -> None:
    with pytest.raises(BadToken, match=words):
        read_token(signed(**claims), access(), NOW)


@pytest.mark.parametrize(
    ("leeway", "past", "good"), [(0, 0, False), (0, -1, True), (60, 59, True), (60, 60, False)]
)
def test_the_leeway_is_a_setting(leeway: int, past: int, good: bool) -> None:
    try:
        found = read_token(signed(exp=NOW - past), access(leeway=leeway), NOW)
    except BadToken:
        assert not good
    else:
        assert good
        assert found.expires == NOW - past + leeway


def test_an_audience_is_checked_where_one_is_set() -> None:
    ours = access(("one", "two"))
    for named in ("two", ["other", "one"]):
        assert read_token(signed(aud=named), ours, NOW).subject == "w"
    for audience, words in (
        (None, "aud is missing"),
        ("three", "aud does not name"),
        ([], "aud does not name"),
    ):
        with pytest.raises(BadToken, match=words):
            read_token(signed(aud=audience), ours, NOW)


def test_all_secrets_verify_and_the_first_one_signs() -> None:
    for secret in (SECRET, OLD_SECRET):
        assert read_token(signed(secret), access(), NOW).subject == "w"
    text = new_ticket(Ticket("id", Grant("w", LATER, (), ())), access().auth_secret[0], NOW)
    assert read_ticket(text, (SECRET,), NOW).id == "id"
    with pytest.raises(BadToken, match="signature"):
        read_ticket(text, (OLD_SECRET,), NOW)


def test_other_algorithms_and_secrets_are_refused_in_words() -> None:
    claims = {"sub": "w", "exp": LATER}
    for text, words in (
        (jwt.encode(claims, SECRET * 2, "HS512"), "HS256"),
        (jwt.encode(claims, None, "none"), "HS256"),
        (signed("t" * 32), "signature"),
        ("nonsense", "JSON Web Token"),
        (f"{signed()}.x", "JSON Web Token"),
    ):
        with pytest.raises(BadToken, match=words) as caught:
            read_token(text, access(), NOW)
        assert SECRET not in str(caught.value)


def test_a_ticket_says_again_what_its_token_allowed() -> None:
    ticket = Ticket("once", Grant("w", LATER, ("a*",), ("b",)), issued=NOW)
    text = new_ticket(ticket, SECRET, NOW)
    assert read_ticket(text, (SECRET,), NOW) == ticket
    with pytest.raises(BadToken, match="has expired"):
        read_ticket(text, (SECRET,), NOW + TICKET_TTL)
    with pytest.raises(BadToken, match="token that this ticket was for has expired"):
        read_ticket(new_ticket(Ticket("x", Grant("w", NOW, (), ())), SECRET, NOW), (SECRET,), NOW)


@pytest.mark.parametrize("events_channel", [None, "b"])
def test_tickets_are_no_tokens_and_tokens_no_tickets(events_channel: str | None) -> None:
    text = new_ticket(Ticket("once", Grant("w", LATER, ("*",), ("*",)), events_channel), SECRET, NOW)
    for audiences in ((), ("heliograph-ticket", "one")):
        with pytest.raises(BadToken, match="This is a ticket"):
            read_token(text, access(audiences), NOW)
    for audience in (None, "one", ["two"]):
        with pytest.raises(BadToken, match="This is not a ticket"):
            read_ticket(signed(aud=audience), (SECRET,), NOW)


def test_a_ticket_for_events_lasts_as_long_as_its_token_and_allows_one_channel() -> None:
    text = new_ticket(Ticket("id", Grant("w", NOW + 1000.0, ("*",), ("*",)), "b"), SECRET, NOW)
    found = read_ticket(text, (SECRET,), NOW + 999)
    assert found == Ticket("id", Grant("w", NOW + 1000.0, (), ("b",)), "b", NOW)
    with pytest.raises(BadToken, match="expired"):
        read_ticket(text, (SECRET,), NOW + 1000)


@given(st.text(max_size=80))
def test_any_other_text_is_a_bad_token(text: str) -> None:
    with pytest.raises(BadToken):
        read_token(text, access(), time.time())
