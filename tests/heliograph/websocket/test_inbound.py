"""From bytes to messages, without any I/O: each case whole, byte by byte, and with more behind it."""

from __future__ import annotations

import zlib

import pytest

from heliograph.websocket import fragments
from heliograph.websocket.deflate import Deflate
from heliograph.websocket.frames import PONG
from heliograph.websocket.inbound import FRAMES_A_TURN, MAX_UNREAD, MESSAGE_WEIGHT, Inbound
from tests.heliograph.websocket.breaches import BREACHES, LIMIT
from tests.heliograph.websocket.feeding import CUTS, Cut, close_frame_of, feed
from tests.heliograph.websocket.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, Frame, frame

LONG_TEXT = "grüße ☃ 𝄞 " * 2000

MESSAGES: dict[str, tuple[bytes, list[str | bytes], list[bytes]]] = {
    "text": (frame(TEXT, b"hello"), ["hello"], []),
    "empty": (frame(TEXT) + frame(BINARY), ["", b""], []),
    "bytes": (frame(BINARY, bytes(range(256))), [bytes(range(256))], []),
    "medium": (frame(BINARY, b"x" * 126), [b"x" * 126], []),
    "long": (frame(TEXT, LONG_TEXT.encode()), [LONG_TEXT], []),
    "longest": (frame(BINARY, b"x" * LIMIT), [b"x" * LIMIT], []),
    "several": (frame(TEXT, b"a") + frame(BINARY, b"b") + frame(TEXT, b"c"), ["a", b"b", "c"], []),
    "fragments": (
        frame(TEXT, "grü".encode()[:3], fin=False)
        + frame(CONTINUATION, "ü".encode()[1:], fin=False)
        + frame(CONTINUATION, b"ss"),
        ["grüss"],
        [],
    ),
    "bytes in fragments": (
        frame(BINARY, b"\xc3", fin=False) + frame(CONTINUATION, b"\x28"),
        [b"\xc3\x28"],
        [],
    ),
    "empty fragments": (
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 5 + frame(CONTINUATION),
        [""],
        [],
    ),
    "longest in fragments": (
        frame(BINARY, b"x" * (LIMIT - 1), fin=False) + frame(CONTINUATION, b"y"),
        [b"x" * (LIMIT - 1) + b"y"],
        [],
    ),
    "pings": (frame(PING, b"1") + frame(PING) + frame(PING, b"x" * 125), [], [b"1", b"", b"x" * 125]),
    "pongs nobody asked for": (frame(PONG, b"?") + frame(TEXT, b"a"), ["a"], []),
    "ping in a message": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"b") + frame(TEXT, b"c"),
        ["ab", "c"],
        [b"?"],
    ),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("behind", [b"", frame(TEXT, b"behind"), frame(TEXT, b"half")[:-2]])
@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_read_however_they_are_cut(name: str, behind: bytes, cut: Cut) -> None:
    data, messages, pings = MESSAGES[name]
    inbound = feed(Inbound(LIMIT), cut(data + behind))
    assert inbound.messages == [*messages, *(["behind"] if behind == frame(TEXT, b"behind") else [])]
    assert inbound.replies == [bytes([0x8A, len(ping)]) + ping for ping in pings]
    assert inbound.ending is None


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("before", [b"", frame(TEXT, b"before")])
@pytest.mark.parametrize("behind", [b"", frame(TEXT, b"never"), b"\xff" * 50])
@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_has_its_code_and_ends_the_reading(
    name: str, before: bytes, behind: bytes, cut: Cut
) -> None:
    data, code = BREACHES[name]
    inbound = feed(Inbound(LIMIT), cut(before + data + behind))
    assert close_frame_of(inbound).code == code
    assert inbound.messages == (["before"] if before else [])
    assert inbound.ending is not None
    assert not inbound.ending.clean


#: The least that shows each breach, where nobody should have to send the rest.
EARLY = {
    "a text that cannot become UTF-8": (frame(TEXT, b"abc\xff" + b"x" * 1000)[:12], 1007),
    "a later part of it": (frame(TEXT, b"x" * 500 + b"\xc3\x28" + b"x" * 500)[: 8 + 502], 1007),
    "a continuation that cannot": (
        frame(TEXT, b"a\xc3", fin=False) + frame(CONTINUATION, b"\x28" + b"x" * 60)[:7],
        1007,
    ),
    "an unmasked frame": (b"\x81\x05", 1002),
    "an unmasked frame of medium length": (b"\x82\x7e", 1002),
    "an opcode that is none": (b"\x83\xfe", 1002),
    "a length beyond the limit": (b"\x82\xff" + (LIMIT + 1).to_bytes(8, "big"), 1009),
    "a continuation beyond the limit": (
        frame(BINARY, b"x" * LIMIT, fin=False) + b"\x80\x81",
        1009,
    ),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", EARLY)
def test_a_breach_is_told_before_its_frame_is_whole(name: str, cut: Cut) -> None:
    data, code = EARLY[name]
    assert close_frame_of(feed(Inbound(LIMIT), cut(data))).code == code
    assert feed(Inbound(LIMIT), cut(data[:-1])).ending is None


def test_a_continuation_after_the_last_one_is_a_breach() -> None:
    inbound = feed(Inbound(LIMIT), [frame(TEXT, b"a", fin=False) + frame(CONTINUATION) * 2])
    assert close_frame_of(inbound).code == 1002
    assert inbound.messages == ["a"]


def test_half_a_character_at_the_edge_of_a_part_is_no_breach() -> None:
    data = frame(TEXT, ("☃" * 100).encode())
    for size in range(len(data)):
        assert feed(Inbound(LIMIT), [data[:size], data[size:]]).messages == ["☃" * 100]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0", b"\x03\xf4later"])
def test_a_close_is_echoed_and_nothing_read_after_it(payload: bytes, cut: Cut) -> None:
    inbound = feed(
        Inbound(LIMIT), cut(frame(TEXT, b"last") + frame(CLOSE, payload) + frame(TEXT, b"too late"))
    )
    assert inbound.messages == ["last"]
    assert close_frame_of(inbound) == Frame(CLOSE, payload)
    assert inbound.ending is not None
    assert inbound.ending.clean


def test_a_close_in_the_middle_of_a_message_is_a_proper_one() -> None:
    inbound = feed(Inbound(LIMIT), [frame(TEXT, b"begun", fin=False) + frame(CLOSE, b"\x03\xe8")])
    assert close_frame_of(inbound).code == 1000
    assert inbound.messages == []


@pytest.mark.parametrize("cut", CUTS)
def test_after_our_close_only_the_answer_is_looked_for(cut: Cut) -> None:
    inbound = feed(Inbound(LIMIT), [frame(TEXT, b"unread") + frame(TEXT, b"half")[:-1]])
    assert inbound.close(4000, "enough") == b"\x88\x08\x0f\xa0enough"
    feed(inbound, cut(frame(TEXT, b"half")[-1:] + frame(TEXT, b"ignored") + frame(CLOSE, b"\x0f\xa0")))
    assert inbound.messages == []
    assert inbound.ending is not None
    assert inbound.ending.clean
    assert inbound.ending.data == b""


def test_the_answer_to_our_close_is_found_behind_a_full_queue() -> None:
    inbound = Inbound(LIMIT)
    feed(inbound, [frame(BINARY, b"x" * LIMIT) * 6 + frame(CLOSE, b"\x03\xe8")])
    assert inbound.stalled
    inbound.close(1012, "restart")
    assert inbound.ending is not None
    assert inbound.ending.clean


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 5000])
def test_a_code_that_no_close_may_have_is_refused_and_changes_nothing(code: int) -> None:
    inbound = Inbound(LIMIT)
    with pytest.raises(ValueError, match=str(code)):
        inbound.close(code, "")
    assert feed(inbound, [frame(TEXT, b"still here")]).messages == ["still here"]


def test_reading_stops_when_enough_waits_and_goes_on_where_it_stopped() -> None:
    inbound = Inbound(LIMIT)
    count = MAX_UNREAD // MESSAGE_WEIGHT
    data = b"".join(frame(TEXT, str(number).encode()) for number in range(2 * count)) + frame(PING, b"behind")
    feed(inbound, [data])
    assert inbound.stalled
    assert count // 2 < len(inbound.messages) <= count
    assert inbound.replies == []
    read: list[str | bytes] = []
    while inbound.messages:
        read += inbound.messages
        inbound.messages.clear()
        inbound.unread = 0
        inbound.resume()
    assert read == [str(number) for number in range(2 * count)]
    assert inbound.replies == [b"\x8a\x06behind"]
    assert not inbound.stalled
    assert inbound.rest is None


def test_fragments_are_bounded_in_number_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MAX_FRAGMENTS", 100)
    ninety_nine = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * 98
    assert feed(Inbound(LIMIT), [ninety_nine + frame(CONTINUATION)]).messages == [b""]
    assert (
        close_frame_of(feed(Inbound(LIMIT), [ninety_nine + frame(CONTINUATION, fin=False) * 2])).code == 1009
    )


@pytest.mark.parametrize(
    "one",
    [frame(PING, b"?"), frame(PONG), frame(CONTINUATION, b"x", fin=False), frame(CONTINUATION, fin=False)],
)
def test_other_frames_leave_others_a_turn(one: bytes) -> None:
    inbound = feed(Inbound(LIMIT), [frame(BINARY, b"x", fin=False) + one * 1000 + frame(CONTINUATION)])
    count = 1
    while inbound.stalled:
        assert len(inbound.replies) <= FRAMES_A_TURN
        inbound.replies.clear()
        inbound.resume()
        count += 1
    assert count == 1 + 1002 // FRAMES_A_TURN
    assert len(inbound.messages) == 1


@pytest.mark.parametrize("one", [frame(BINARY, b"x"), frame(CONTINUATION, b"x", fin=False), frame(PING)])
def test_after_our_close_a_flood_leaves_others_a_turn_too(one: bytes) -> None:
    inbound = feed(Inbound(LIMIT), [frame(TEXT, b"begun", fin=False)])
    inbound.close(1000, "")
    end = frame(CONTINUATION) if one[0] == 0 else b""
    feed(
        inbound,
        [(frame(CONTINUATION) if one[0] == 0x82 else b"") + one * 1000 + end + frame(CLOSE, b"\x03\xe8")],
    )
    count = 1
    while inbound.stalled:
        inbound.resume()
        count += 1
    assert count >= 1000 // FRAMES_A_TURN
    assert inbound.ending is not None
    assert inbound.ending.clean
    assert inbound.messages == []


def test_a_compressed_message_of_the_longest_length_may_come_in_fragments() -> None:
    """The last fragment has some bytes that inflate to nothing."""
    for extra, whole in ((0, True), (1, False)):
        compressor = zlib.compressobj(wbits=-15)
        data = compressor.compress(b"0" * (1000 + extra)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        data = data.removesuffix(b"\0\0\xff\xff")
        inbound = Inbound(1000, Deflate(15))
        for piece in (frame(TEXT, data[:-1], fin=False, flags=0x40), frame(CONTINUATION, data[-1:])):
            inbound.feed(bytearray(piece), len(piece))
        assert (inbound.messages == ["0" * 1000]) is whole
        assert (inbound.ending is None) is whole
