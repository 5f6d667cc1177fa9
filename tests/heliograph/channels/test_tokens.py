"""Globs, tokens and tickets."""

from __future__ import annotations

import fnmatch
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.transports.tokens import (
    EVERYTHING,
    TICKET_TTL,
    BadToken,
    Grant,
    new_ticket,
    read_ticket,
    read_token,
)

SECRET = "s" * 32


@given(st.text("ab.", max_size=8), st.text("ab.*?", max_size=8))
def test_globs_fit_as_a_shells_do(channel: str, glob: str) -> None:
    grant = Grant("", None, (glob,), ())
    assert grant.may_publish(channel) is fnmatch.fnmatchcase(channel, glob)


@pytest.mark.parametrize("glob", ["[ab]", "A", "a|b", ".", "", "a\n"])
def test_nothing_else_is_special(glob: str) -> None:
    assert not Grant("", None, (glob,), ()).may_publish("a")


def test_a_hostile_glob_takes_no_time() -> None:
    began = time.process_time()
    assert not Grant("", None, ("*a" * 127 + "b",), ()).may_publish("a" * 128)
    assert time.process_time() - began < 0.1


def test_publishing_and_subscribing_are_apart() -> None:
    grant = Grant("", None, ("in",), ("out", "o*"))
    assert (grant.may_publish("in"), grant.may_publish("out")) == (True, False)
    assert (grant.may_subscribe("out"), grant.may_subscribe("in")) == (True, False)
    assert EVERYTHING.may_publish("x")
    assert EVERYTHING.may_subscribe("x")


def test_a_token_has_its_claims() -> None:
    text = jwt.encode({"sub": "w", "exp": 4_000_000_000, "publish": ["a*"]}, SECRET, "HS256")
    assert read_token(text, SECRET) == Grant("w", 4_000_000_000, ("a*",), ())


def test_a_ticket_says_again_what_its_token_allowed() -> None:
    grant = Grant("w", 4_000_000_000.0, ("a*",), ("b",))
    text = new_ticket(grant, SECRET, time.time(), "once")
    found = read_ticket(text, SECRET)
    assert (found.id, found.grant) == ("once", grant)
    with pytest.raises(BadToken):
        read_token(text, SECRET)
    with pytest.raises(BadToken, match="expired"):
        read_ticket(new_ticket(grant, SECRET, time.time() - TICKET_TTL - 1, "old"), SECRET)
    with pytest.raises(BadToken):
        read_ticket(jwt.encode({"sub": "w", "exp": 4_000_000_000}, SECRET, "HS256"), SECRET)


@given(st.text(max_size=80))
def test_any_other_text_is_a_bad_token(text: str) -> None:
    with pytest.raises(BadToken):
        read_token(text, SECRET)


def test_why_a_token_is_bad_says_nothing_of_the_secret() -> None:
    with pytest.raises(BadToken) as caught:
        read_token(jwt.encode({"sub": "w", "exp": 4_000_000_000}, "t" * 32, "HS256"), SECRET)
    assert SECRET not in str(caught.value)
