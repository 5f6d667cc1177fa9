"""What heads of requests and responses share, as tables; looked at in whole and byte by byte."""

from __future__ import annotations

import pytest
from heliograph_proxy.errors import FramingError
from heliograph_proxy.http1 import grammar
from hypothesis import given
from hypothesis import strategies as st

#: Bytes of a head, and where the first one stands that none can have.
IMPOSSIBLE: list[tuple[bytes, int | None]] = [
    (b"", None),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
    (b"A: \t\x80\xff\r\n", None),
    (b"A: b\r", None),
    (b"A: b\rc", 4),
    (b"A: b\r\r\n", 4),
    (b"A: b\nc", 4),
    (b"\n", 0),
    (b"A: \x00", 3),
    (b"A: \x0b", 3),
    (b"A: \x0c", 3),
    (b"A: \x1f", 3),
    (b"A: \x7f", 3),
    (b"A\x00: \n", 1),
]


def piecewise(data: bytes, cuts: set[int]) -> int | None:
    """As a reader looks who gets the data in pieces: at what is new only."""
    looked_at = 0
    for size in sorted(cuts | {len(data)}):
        found = grammar.impossible(data[:size], looked_at)
        if found is not None:
            return found
        looked_at = size
    return None


@pytest.mark.parametrize(("data", "where"), IMPOSSIBLE)
def test_what_no_head_can_have_is_found_however_it_arrives(data: bytes, where: int | None) -> None:
    assert grammar.impossible(data, 0) == where
    assert piecewise(data, set(range(len(data)))) == where


@given(st.text("\r\n\x00\x7fa: ", max_size=12), st.sets(st.integers(0, 12)))
def test_pieces_make_no_difference(text: str, cuts: set[int]) -> None:
    data = text.encode()
    assert piecewise(data, {cut for cut in cuts if cut < len(data)}) == grammar.impossible(data, 0)


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        (b"", []),
        (b"Host: a\r\n", [(b"Host", b"a")]),
        (b"A:\r\nB: \t \r\n", [(b"A", b""), (b"B", b"")]),
        (b"A: \t b c\t \r\n", [(b"A", b"b c")]),
        (b"A: b:c\r\nA: d\r\n", [(b"A", b"b:c"), (b"A", b"d")]),
        (b"!#$%&'*+-.^_`|~0aZ: \x80\r\n", [(b"!#$%&'*+-.^_`|~0aZ", b"\x80")]),
    ],
)
def test_fields_are_read(block: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    assert grammar.FIELDS.fullmatch(block)
    assert grammar.fields(block) == fields


@pytest.mark.parametrize(
    "block",
    [b"A", b"A: b", b"A: b\n", b": b\r\n", b"A : b\r\n", b" A: b\r\n", b"A: b\r\n c\r\n", b"A: b\x00\r\n", b"A: b\r\n\r\n",
     b"A(: b\r\n", b"\xc3\xa4: b\r\n", b"A: b\x0b\r\n"],
)  # fmt: skip
def test_no_other_block_is_taken(block: bytes) -> None:
    assert not grammar.FIELDS.fullmatch(block)


@given(st.binary(max_size=60))
def test_a_block_that_is_taken_has_a_field_for_each_line_and_nothing_impossible(block: bytes) -> None:
    for candidate in (block, b"A: " + block + b"\r\n"):
        if grammar.FIELDS.fullmatch(candidate):
            assert len(grammar.fields(candidate)) == candidate.count(b"\r\n") == candidate.count(b"\n")
            assert grammar.impossible(candidate, 0) is None


@pytest.mark.parametrize(
    ("given_", "length"), [(None, None), ([b"0"], 0), ([b"007"], 7), ([b"9" * 18], 10**18 - 1)]
)
def test_a_length_is_one_decimal_number(given_: list[bytes] | None, length: int | None) -> None:
    assert grammar.content_length(given_) == length


@pytest.mark.parametrize(
    "given_",
    [[b""], [b"+1"], [b"-1"], [b"1_0"], [b" 1"], [b"1 "], [b"1\n"], [b"0x1"], [b"1, 1"], [b"1", b"1"], [b"9" * 19],
     ["\u0661".encode()], [b"1.0"]],
)  # fmt: skip
def test_anything_else_is_no_length(given_: list[bytes]) -> None:
    with pytest.raises(FramingError):
        grammar.content_length(given_)


@pytest.mark.parametrize(
    ("fields", "options", "minor", "kept"),
    [
        ((), set(), 1, True),
        ((), set(), 0, False),
        ([b"Keep-Alive"], {b"keep-alive"}, 0, True),
        ([b"close"], {b"close"}, 1, False),
        ([b"keep-alive, CLOSE"], {b"keep-alive", b"close"}, 0, False),
        ([b"x", b" ,\tClose ,"], {b"x", b"close"}, 1, False),
        ([b"closed"], {b"closed"}, 1, True),
    ],
)
def test_options_decide_about_the_connection(
    fields: list[bytes] | tuple[()], options: set[bytes], minor: int, kept: bool
) -> None:
    found = grammar.tokens(fields)
    assert found == options
    assert grammar.keeps_alive(found, minor) is kept
