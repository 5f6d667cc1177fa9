"""The verdict on a frame's head, for every kind of head, beside that of `websockets`' protocol."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from heliograph.websocket.deflate import Deflate
from heliograph.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    RSV1,
    TEXT,
    TOO_LONG,
    BrokenRule,
    FrameHead,
    read_head,
)
from tests.heliograph.websocket.raw import MASK, frame

#: The longest message, and the part of one that has come before the frame.
LIMIT, BEGUN = 70_000, 1_000


def head_of(first: int, size: int, form: int, *, masked: bool = True) -> bytes:
    """A head whose length has the form 7, 16 or 64 bits."""
    bit = 0x80 if masked else 0
    length = {
        7: lambda: bytes((bit | size,)),
        16: lambda: bytes((bit | 126,)) + size.to_bytes(2, "big"),
        64: lambda: bytes((bit | 127,)) + size.to_bytes(8, "big"),
    }[form]()
    return bytes((first,)) + length + (MASK if masked else b"")


def ours(data: bytes, begun: int | None, *, deflated: bool = False) -> FrameHead | BrokenRule | None:
    buffer = bytearray(b"??" + data + b"?" * 20)
    return read_head(buffer, 2, 2 + len(data), begun, LIMIT, deflated=deflated)


class Other:
    """`websockets`' protocol, with a message begun or not."""

    def __init__(self, begun: int | None, *, deflated: bool) -> None:
        self._protocol = ServerProtocol(state=OPEN, max_size=LIMIT)
        if deflated:
            self._protocol.extensions = [Deflate(12).extension()]
        if begun is not None:
            self._protocol.receive_data(frame(BINARY, b"x" * begun, fin=False))
            self._protocol.events_received()

    def code(self, head: bytes, size: int) -> int | None:
        """The close code for a frame with this head and a payload of zeros; None where it is accepted."""
        self._protocol.receive_data(head)
        if self._protocol.parser_exc is None and size <= LIMIT:
            self._protocol.receive_data(bytes(size))
        if self._protocol.parser_exc is None:
            return None
        assert self._protocol.close_sent is not None
        return self._protocol.close_sent.code


def differs_on_purpose(first: int, size: int, begun: int | None) -> bool:
    """RFC 6455, 5.4: a control frame in a message has nothing to do with the size of that. `websockets` counts it."""
    opcode = first & 0x0F
    return opcode >= CLOSE and size > LIMIT - (begun or 0)


def looks_at_the_payload(first: int, *, deflated: bool) -> bool:
    """Of a close its code is judged, of a compressed message what it inflates to: not the head's matter."""
    opcode = first & 0x0F
    return opcode == CLOSE or (deflated and opcode in (TEXT, BINARY) and first & 0x70 == RSV1)


def compare(first: int, size: int, form: int, *, masked: bool, begun: int | None, deflated: bool) -> str:
    head = head_of(first, size, form, masked=masked)
    verdict = ours(head, begun, deflated=deflated)
    expected = Other(begun, deflated=deflated).code(head, size)
    where = f"{head.hex()} begun={begun} deflated={deflated}: {verdict}, websockets {expected}"
    assert verdict is not None, where
    if isinstance(verdict, BrokenRule):
        if differs_on_purpose(first, size, begun):
            assert (verdict.code, expected) in ((1002, 1002), (1002, TOO_LONG)), where
        else:
            assert verdict.code == expected, where
        return verdict.name
    assert expected is None or looks_at_the_payload(first, deflated=deflated), where
    assert (verdict.first, verdict.size, verdict.end) == (first, size, 2 + len(head) + size), where
    return "accepted"


LENGTHS = [
    (0, 7),
    (1, 7),
    (125, 7),
    (0, 16),
    (125, 16),
    (126, 16),
    (60_000, 16),
    (126, 64),
    (LIMIT + 1, 64),
    (1 << 63, 64),
]


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("begun", [None, BEGUN])
def test_every_first_byte_is_judged_as_websockets_judges_it(begun: int | None, deflated: bool) -> None:
    seen: Counter[str] = Counter()
    kinds = [*((size, form, True) for size, form in LENGTHS), (1, 7, False), (126, 16, False)]
    for first, (size, form, masked) in itertools.product(range(256), kinds):
        seen[compare(first, size, form, masked=masked, begun=begun, deflated=deflated)] += 1
    expected = {"accepted", *(rule.name for rule in BrokenRule)}
    assert set(seen) == expected - {"MESSAGE_UNFINISHED" if begun is None else "NOTHING_TO_CONTINUE"}


@given(
    st.integers(0, 255),
    st.sampled_from((7, 16, 64)).flatmap(
        lambda form: st.tuples(st.integers(0, {7: 125, 16: 0xFFFF, 64: (1 << 64) - 1}[form]), st.just(form))
    ),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, LIMIT)),
    st.booleans(),
)
def test_any_head_is_judged_as_websockets_judges_it(
    first: int, length: tuple[int, int], masked: bool, begun: int | None, deflated: bool
) -> None:
    size, form = length
    compare(first, size, form, masked=masked, begun=begun, deflated=deflated)


@pytest.mark.parametrize(
    ("head", "begun", "rule"),
    [
        (b"\x83\x80", None, BrokenRule.OPCODE),
        (b"\x81\x05", None, BrokenRule.MASK),
        (b"\xa1\x85", None, BrokenRule.RESERVED),
        (b"\xc1\x85", None, BrokenRule.RESERVED),
        (b"\x09\x80", None, BrokenRule.CONTROL_FRAGMENTED),
        (b"\x89\xfe\x00\x7e", None, BrokenRule.CONTROL_LENGTH),
        (b"\x80\x81", None, BrokenRule.NOTHING_TO_CONTINUE),
        (b"\x81\x81", 5, BrokenRule.MESSAGE_UNFINISHED),
        (b"\x80\x81", LIMIT, BrokenRule.MESSAGE_LENGTH),
        (b"\x82\xff" + (LIMIT + 1).to_bytes(8, "big"), None, BrokenRule.MESSAGE_LENGTH),
    ],
)
def test_a_broken_rule_is_named_as_soon_as_it_shows(head: bytes, begun: int | None, rule: BrokenRule) -> None:
    assert ours(head, begun) is rule
    assert all(ours(head[:size], begun) is None for size in range(len(head)))


def test_every_rule_has_words_that_fit_a_close_frame_and_a_section() -> None:
    assert len({rule.words for rule in BrokenRule}) == len(BrokenRule)
    for rule in BrokenRule:
        assert 0 < len(rule.words.encode()) <= 123
        assert rule.section[0] in "57"


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
def test_a_head_is_read_as_soon_as_it_is_whole(size: int) -> None:
    data = bytearray(b"??" + frame(BINARY, b"x" * size))
    heads = [read_head(data, 2, end, None, LIMIT, deflated=False) for end in range(2, 20)]
    first = next(number for number, head in enumerate(heads) if head is not None)
    assert first == {0: 2, 5: 2, 125: 2, 126: 4, 65535: 4, 65536: 10}[size]
    head = heads[first]
    assert isinstance(head, FrameHead)
    assert (head.size, head.opcode, head.compressed) == (size, BINARY, False)
    assert head.end == len(data)
    assert head.payload(data) == b"x" * size


def test_a_compressed_message_is_told_by_its_first_frame() -> None:
    head = ours(frame(TEXT, b"?", fin=False, flags=RSV1), None, deflated=True)
    assert isinstance(head, FrameHead)
    assert (head.opcode, head.compressed) == (TEXT, True)
    assert ours(frame(CONTINUATION, b"?", flags=RSV1), 5, deflated=True) is BrokenRule.RESERVED
    assert ours(frame(PING, b"?", flags=RSV1), None, deflated=True) is BrokenRule.RESERVED
