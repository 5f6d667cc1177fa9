from __future__ import annotations

import json

import pytest

from heliograph.channels.message import Kind, StoredMessage
from heliograph.channels.transports.rendering import data_json, message_json


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Kind.JSON, b'{"a": [1, null, "\xc3\xa9"]}', {"a": [1, None, "é"]}),
        (Kind.TEXT, 'say "é"\n\u2028'.encode(), 'say "é"\n\u2028'),
        (Kind.TEXT, b"", ""),
        (Kind.BYTES, b"\0\xff", {"base64": "AP8="}),
        (Kind.BYTES, b"", {"base64": ""}),
    ],
)
def test_data_is_the_value_a_string_or_base64(kind: Kind, data: bytes, value: object) -> None:
    assert json.loads(data_json(kind, data)) == value


def test_numbers_lose_no_digits() -> None:
    assert data_json(Kind.JSON, b"1.10000000000000000000001") == "1.10000000000000000000001"


def test_a_message_is_offset_time_and_data() -> None:
    text = message_json(StoredMessage(7, 1795261354.25, Kind.TEXT, b"x"))
    assert json.loads(text) == {"offset": 7, "time": 1795261354.25, "data": "x"}
