"""Events in the forms of the transports, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.channels.cursor import Cursor
from heliograph.channels.live.events import Batch, Event, Lost, Subscribed, batches
from heliograph.channels.message import Kind, StoredMessage
from heliograph.channels.transports.forms import json_frames, plain_frames, server_sent
from heliograph.websocket.deflate import Deflate

AT = Cursor("epoch", 7)


def batch(*contents: tuple[Kind, bytes]) -> Batch:
    return Batch(
        "c", "epoch", [StoredMessage(n, 1.5, kind, data) for n, (kind, data) in enumerate(contents, 8)]
    )


CASES: list[tuple[Event, bytes, bytes, bytes]] = [
    (
        Subscribed("c", AT, None),
        b'{"type": "subscribed", "channel": "c", "epoch": "epoch", "offset": 7, "recovered": null}',
        b"",
        b"id: epoch:7\n\n",
    ),
    (
        Subscribed("c", AT, False),
        b'{"type": "subscribed", "channel": "c", "epoch": "epoch", "offset": 7, "recovered": false}',
        b"",
        b'event: lost\nid: epoch:7\ndata: {"epoch": "epoch", "offset": 7}\n\n',
    ),
    (
        Lost("c", AT),
        b'{"type": "lost", "epoch": "epoch", "offset": 7}',
        b"",
        b'event: lost\nid: epoch:7\ndata: {"epoch": "epoch", "offset": 7}\n\n',
    ),
    (
        batch((Kind.JSON, b'{"n": 1.0}')),
        b'{"type": "message", "channel": "c", "offset": 8, "time": 1.500000, "data": {"n": 1.0}}',
        b'{"n": 1.0}',
        b'id: epoch:8\ndata: {"n": 1.0}\n\n',
    ),
    (
        batch((Kind.TEXT, "ü\r\n\rx".encode())),
        '{"type": "message", "channel": "c", "offset": 8, "time": 1.500000, "data": "ü\\r\\n\\rx"}'.encode(),
        "ü\r\n\rx".encode(),
        "id: epoch:8\ndata: ü\ndata: \ndata: x\n\n".encode(),
    ),
]


@pytest.mark.parametrize(("event", "as_json", "plain", "sent"), CASES)
def test_each_form(event: Event, as_json: bytes, plain: bytes, sent: bytes) -> None:
    assert event.made(server_sent) == sent
    assert event.made(json_frames(None)) == bytes((0x81, len(as_json))) + as_json
    assert event.made(plain_frames(None)) == (bytes((0x81, len(plain))) + plain if plain else b"")


def test_bytes_are_a_binary_frame_or_base64() -> None:
    event = batch((Kind.BYTES, b"\xff"))
    assert event.made(plain_frames(None)) == b"\x82\x01\xff"
    assert event.made(server_sent) == b'id: epoch:8\ndata: {"base64": "/w=="}\n\n'


def test_a_batch_is_made_once_for_all_who_agreed_on_the_same() -> None:
    event = batch((Kind.TEXT, b"x" * 1000), (Kind.TEXT, b"y"))
    plain: Any = event.made(json_frames(None))
    assert event.made(json_frames(None)) is plain
    small = event.made(json_frames(Deflate(12)))
    assert small is event.made(json_frames(Deflate(12, 9)))
    assert len(small) < len(plain)


def test_batches_are_bounded_and_complete() -> None:
    messages = [StoredMessage(n, 0.0, Kind.TEXT, b"x" * (n % 7 * 10_000)) for n in range(1, 400)]
    found = list(batches("c", "e", messages))
    assert [message for part in found for message in part.messages] == messages
    assert all(len(part.messages) <= 100 for part in found)
    assert all(sum(len(m.data) for m in part.messages) <= 65_536 for part in found)
    assert found[-1].end == Cursor("e", 399)
