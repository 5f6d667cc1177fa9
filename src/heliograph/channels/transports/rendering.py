"""How a message's `data` looks in JSON: the value itself, a string, or {"base64": …}. Pure."""

from __future__ import annotations

import base64
import json

from heliograph.channels.message import Kind, StoredMessage


def data_json(kind: Kind, data: bytes) -> str:
    """The `data` member as JSON text. What was published as JSON goes out as it came in: no number loses digits."""
    if kind is Kind.JSON:
        return data.decode()
    if kind is Kind.TEXT:
        return json.dumps(data.decode(), ensure_ascii=False)
    return f'{{"base64": "{base64.b64encode(data).decode()}"}}'


def message_json(message: StoredMessage) -> str:
    """A message as an element of `messages`: {"offset", "time", "data"}."""
    return (
        f'{{"offset": {message.offset}, "time": {message.time:.6f}, '
        f'"data": {data_json(message.kind, message.data)}}}'
    )
