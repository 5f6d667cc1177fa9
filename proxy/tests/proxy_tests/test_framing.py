"""Bodies as bytes: each case whole, byte by byte, and with something behind it. Hostile chunks are in
test_hostile."""

from __future__ import annotations

import pytest
from heliograph_proxy.errors import FramingError
from heliograph_proxy.http1.framing import (
    LAST_CHUNK,
    BodyReader,
    ChunkedReader,
    LengthReader,
    UntilClosed,
    chunk,
)
from hypothesis import given
from hypothesis import strategies as st

CASES = {
    "no body": (lambda: LengthReader(0), b"", b""),
    "a length": (lambda: LengthReader(5), b"hello", b"hello"),
    "one chunk": (ChunkedReader, b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "chunks": (ChunkedReader, b"5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\n", b"hello0123456789"),
    "extensions": (ChunkedReader, b'5;a;b=c;d="e\\"f" ;g\r\nhello\r\n0;x=y\r\n\r\n', b"hello"),
    "trailers": (ChunkedReader, b"0\r\nA: b\r\nC:\r\n\r\n", b""),
}


def read(reader: BodyReader, pieces: list[bytes]) -> bytes:
    return b"".join(reader.feed(piece) for piece in pieces)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_payload_is_the_same_however_it_arrives(case: tuple[type[BodyReader], bytes, bytes]) -> None:
    make, wire, payload = case
    for behind in (b"", b"GET / HTTP/1.1\r\n"):
        whole, split = make(), make()
        assert read(whole, [wire + behind]) == payload
        assert (whole.complete, whole.rest) == (True, behind)
        assert read(split, [bytes([byte]) for byte in wire]) == payload
        assert split.complete


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_early_end_is_an_error(case: tuple[type[BodyReader], bytes, bytes]) -> None:
    make, wire, _ = case
    for size in range(len(wire)):
        reader = make()
        reader.feed(wire[:size])
        with pytest.raises(FramingError):
            reader.ended()


@pytest.mark.parametrize("start", [b"x", b"\n", b" ", b"5\r\nhello\r\ng"])
def test_a_size_line_that_cannot_become_a_good_one_is_refused_before_its_end(start: bytes) -> None:
    with pytest.raises(FramingError):
        ChunkedReader().feed(start)


def test_a_body_until_the_end_ends_with_the_connection() -> None:
    reader = UntilClosed()
    assert reader.feed(b"abc") == b"abc"
    assert not reader.complete
    reader.ended()
    assert reader.complete


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 50), min_size=1))
def test_what_is_written_is_read(payloads: list[bytes], sizes: list[int]) -> None:
    wire = b"".join(map(chunk, payloads)) + LAST_CHUNK
    reader, out, position, turn = ChunkedReader(), b"", 0, 0
    while position < len(wire):
        step = sizes[turn % len(sizes)]
        out += reader.feed(wire[position : position + step])
        position, turn = position + step, turn + 1
    assert (out, reader.complete, reader.rest) == (b"".join(payloads), True, b"")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_our_error_and_nothing_else(data: bytes) -> None:
    reader = ChunkedReader()
    try:
        reader.feed(data)
    except FramingError:
        return
    assert reader.rest == b"" or reader.complete
