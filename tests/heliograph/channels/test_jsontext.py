"""JSON taken apart: each member as it came, and nothing but JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.transports.jsontext import NotJson, check, is_text, members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 1]))
def test_every_member_has_its_own_text(value: dict[str, object], indent: int | None) -> None:
    found = members(json.dumps(value, indent=indent))
    assert {name: json.loads(member.text) for name, member in found.items()} == value
    assert {name for name, member in found.items() if is_text(member)} == {
        name for name, inner in value.items() if isinstance(inner, str)
    }


@given(st.text(alphabet='{}[]":,\\ 0e-tn"a', max_size=20))
def test_what_is_json_is_what_python_takes_for_it(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(NotJson):
            check(text.encode())
        with pytest.raises(NotJson):
            members(text)
    else:
        check(text.encode())


def test_texts_stay_as_they_came() -> None:
    found = members(' { "a" : 1.10 , "b":[ 1,2 ],"a": "\\u00e9" } ')
    assert {name: member.text for name, member in found.items()} == {"a": '"\\u00e9"', "b": "[ 1,2 ]"}
    assert found["a"].value == "é"


def test_a_number_may_have_any_length() -> None:
    check(b"1" * 60_000)


@pytest.mark.parametrize(
    "data",
    [
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"\xef\xbb\xbf1",
        b"\xff",
        b"[" * 60_000,
        b"{1: 2}",
        b"'a'",
        b'"\n"',
    ],
)
def test_other_things_are_no_json(data: bytes) -> None:
    with pytest.raises(NotJson):
        check(data)
    with pytest.raises(NotJson):
        members(data.decode("latin-1"))


def test_the_position_is_told() -> None:
    with pytest.raises(NotJson) as caught:
        members('{"a": 1, }')
    assert caught.value.position == 9
