"""Code words: prefix property, Kraft sum, unique decodability, and all readings of a message."""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from typing import Any

import pytest
import wirecodes
from hypothesis import given, settings
from hypothesis import strategies as st
from wirecodes import prefix_codes
from wirecodes.prefix_codes import check, split

from wirecodes_tests.steps import TooManySteps, at_most

WORDS = st.lists(st.text("012", min_size=1, max_size=4), min_size=1, max_size=5)


def test_the_example_of_the_interface() -> None:
    codewords = ["01", "102", "111", "202"]
    assert check(codewords) == {
        "prefix_free": True,
        "uniquely_decodable": True,
        "kraft_sum": "2/9",
        "radix": 3,
        "conflict": None,
        "ambiguous": None,
    }
    message = "1111022020101111102"
    assert split(codewords, message) == {
        "count": "1",
        "parses": [["111", "102", "202", "01", "01", "111", "102"]],
    }


@pytest.mark.parametrize(
    ("codewords", "conflict", "ambiguous", "kraft"),
    [
        (["0", "10", "11"], None, None, "1"),
        (["0", "01", "11"], ["0", "01"], None, "1"),  # suffix-free: decodable from behind
        (["1", "011", "01110", "1110", "10011"], ["1", "1110"], "111011", "3/4"),
        (["0", "1", "01"], ["0", "01"], "01", "5/4"),
        (["10", "1"], ["10", "1"], None, "3/4"),
        (["0", "0"], ["0", "0"], "0", "1"),
        (["0", "1", "2"], None, None, "1"),
        (["9"], None, None, "1/10"),
        ([], None, None, "0"),
    ],
)
def test_known_codes(
    codewords: list[str], conflict: list[str] | None, ambiguous: str | None, kraft: str
) -> None:
    answer = check(codewords)
    assert answer["conflict"] == conflict
    assert answer["prefix_free"] == (conflict is None)
    assert answer["ambiguous"] == ambiguous
    assert answer["uniquely_decodable"] == (ambiguous is None)
    assert answer["kraft_sum"] == kraft


@settings(max_examples=100, deadline=None)
@given(WORDS)
def test_an_ambiguous_string_is_a_shortest_with_two_readings(codewords: list[str]) -> None:
    answer = check(codewords)
    distinct = len(set(codewords)) == len(codewords)
    if answer["ambiguous"] is not None:
        assert not distinct or int(split(codewords, answer["ambiguous"])["count"]) > 1
    bound = min(len(answer["ambiguous"] or "0" * 6) - 1, 5)
    for length in range(1, bound + 1):
        for digits in itertools.product("012", repeat=length):
            assert int(split(codewords, "".join(digits))["count"]) <= 1
    if answer["uniquely_decodable"]:
        assert Fraction(answer["kraft_sum"]) <= 1


@settings(max_examples=300, deadline=None)
@given(WORDS, st.text("012", max_size=9))
def test_readings_are_counted_and_listed_exactly(codewords: list[str], message: str) -> None:
    def readings(rest: str) -> list[list[str]]:
        if not rest:
            return [[]]
        return [
            [word, *more]
            for word in codewords
            if rest.startswith(word)
            for more in readings(rest[len(word) :])
        ]

    expected = readings(message)
    assert split(codewords, message) == {"count": str(len(expected)), "parses": expected[:10]}


def test_exponentially_many_readings_are_counted_in_linear_time() -> None:
    words, digits = ["1", "11", "111"], 5_000
    with at_most(50 * digits, prefix_codes):
        split(words, "1" * digits)
    with pytest.raises(TooManySteps), at_most(50 * digits, prefix_codes):
        split(words, "1" * digits * 2)


def test_exponentially_many_readings_are_counted_exactly() -> None:
    limit = sys.get_int_max_str_digits()
    answer = split(["1", "11", "111"], "1" * 100_000)
    assert sys.get_int_max_str_digits() == limit
    a, b, c = 1, 0, 0
    for _ in range(100_000):
        a, b, c = a + b + c, a, b
    assert len(answer["count"]) == 26_465
    assert int(answer["count"][-15:]) == a % 10**15
    assert len(answer["parses"]) == 10
    assert all("".join(parse) == "1" * 100_000 for parse in answer["parses"])


def test_the_largest_codes_are_checked_in_some_steps_a_digit() -> None:
    def checked(codewords: list[str]) -> dict[str, Any]:
        with at_most(10 * prefix_codes.MAX_DIGITS, prefix_codes):
            return check(codewords)

    assert checked(["1" * n + "0" for n in range(9, 10)] + ["0" * 500] * 19)["conflict"]
    assert checked([f"{n:010d}" for n in range(1000)])["prefix_free"]
    answer = checked(["1" * 499 + "2", *("1" * n for n in range(1, 130))])
    assert answer["ambiguous"] == "11"
    chain = [f"{n:03d}{n + 1:03d}" for n in range(998)] + ["000", "998"]
    assert len(checked(chain)["ambiguous"]) == 999 * 3


@pytest.mark.parametrize(
    ("codewords", "position"),
    [
        (["0", ""], 1),
        (["0", "1a"], 1),
        (["٣"], 0),
        ([1], 0),
        (["0"] * 1001, 1000),
        (["0", "1" * 501], 1),
        (["1" * 400] * 30, 25),
    ],
)
def test_words_that_cannot_be_taken_are_named(codewords: list[Any], position: int) -> None:
    with pytest.raises(wirecodes.CodewordError) as caught:
        check(codewords)
    assert caught.value.position == position
    with pytest.raises(wirecodes.CodewordError):
        split(codewords, "1")


@pytest.mark.parametrize(
    ("message", "position"), [("01x", 2), ("1" * 100_001, 100_000), (None, None), ("١", 0)]
)
def test_a_message_that_cannot_be_taken_is_refused(message: Any, position: int | None) -> None:
    with pytest.raises(wirecodes.CodewordError) as caught:
        split(["0", "1"], message)
    assert caught.value.position == position
    with pytest.raises(wirecodes.CodewordError):
        check("0110")


def test_a_message_that_would_take_minutes_is_refused() -> None:
    with pytest.raises(wirecodes.CodewordError, match="lengths of code words"):
        split(["1" * length for length in range(1, 140)], "1" * 100_000)


def test_a_message_without_a_reading_has_none() -> None:
    assert split(["0"], "01") == {"count": "0", "parses": []}
    assert split([], "") == {"count": "1", "parses": [[]]}
    assert split([], "0") == {"count": "0", "parses": []}
