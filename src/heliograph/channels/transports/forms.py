"""The forms in which subscribers take events: JSON objects or plain texts in WebSocket frames, and server-sent events.

A form turns an event into bytes that can be sent as they are. There is one object for each, so that events find it quickly.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable

from heliograph.channels.live.events import Batch, Event, Form, Lost, Subscribed
from heliograph.channels.message import Kind, StoredMessage
from heliograph.channels.transports.rendering import data_json
from heliograph.websocket.broadcast import Prepared
from heliograph.websocket.deflate import Deflate

Texts = Callable[[Event], Iterable[str | bytes]]

#: The line ends of a stream of server-sent events (HTML, 9.2.5). A carriage return in a text arrives as a line feed.
_LINE_END = re.compile("\r\n|\n|\r")


class Frames:
    """Texts in frames for all who agreed on the same compression."""

    def __init__(self, texts: Texts, deflate: Deflate | None) -> None:
        self._texts, self._deflate = texts, deflate

    def __call__(self, event: Event) -> bytes:
        return b"".join(Prepared(text).frame(self._deflate) for text in event.made(self._texts))


def json_frames(deflate: Deflate | None) -> Form:
    """Of `/ws/channels/<name>`."""
    return _frames(_json_texts, deflate.window_bits if deflate else None)


def plain_frames(deflate: Deflate | None) -> Form:
    """Of `/events`: nothing but the messages."""
    return _frames(_plain_texts, deflate.window_bits if deflate else None)


@functools.cache  # for each of two kinds of text at most the nine windows of RFC 7692, and none
def _frames(texts: Texts, window_bits: int | None) -> Form:
    return Frames(texts, None if window_bits is None else Deflate(window_bits))


def _json_texts(event: Event) -> list[str]:
    if isinstance(event, Batch):
        head = f'{{"type": "message", "channel": {json.dumps(event.channel)}, "offset": '
        return [
            f'{head}{message.offset}, "time": {message.time:.6f}, "data": {data_json(message.kind, message.data)}}}'
            for message in event.messages
        ]
    if isinstance(event, Lost):
        return [json.dumps({"type": "lost", "epoch": event.cursor.epoch, "offset": event.cursor.offset})]
    assert isinstance(event, Subscribed)
    return [
        json.dumps(
            {
                "type": "subscribed",
                "channel": event.channel,
                "epoch": event.cursor.epoch,
                "offset": event.cursor.offset,
                "recovered": event.recovered,
            }
        )
    ]


def _plain_texts(event: Event) -> list[str | bytes]:
    if not isinstance(event, Batch):
        return []
    return [
        message.data if message.kind is Kind.BYTES else message.data.decode() for message in event.messages
    ]


def server_sent(event: Event) -> bytes:
    """Events of `/channels/<name>/events`. An id without data sets where a browser resumes, and is no event for its page."""
    if isinstance(event, Batch):
        return "".join(
            f"id: {event.cursor(message)}\n{_data(message)}\n" for message in event.messages
        ).encode()
    if isinstance(event, Lost):
        return _lost(event)
    assert isinstance(event, Subscribed)
    return _lost(event) if event.recovered is False else f"id: {event.cursor}\n\n".encode()


def _lost(event: Lost | Subscribed) -> bytes:
    cursor = event.cursor
    data = json.dumps({"epoch": cursor.epoch, "offset": cursor.offset})
    return f"event: lost\nid: {cursor}\ndata: {data}\n\n".encode()


def _data(message: StoredMessage) -> str:
    plain = message.kind is Kind.TEXT
    text = message.data.decode() if plain else data_json(message.kind, message.data)
    return "".join(f"data: {line}\n" for line in _LINE_END.split(text))
