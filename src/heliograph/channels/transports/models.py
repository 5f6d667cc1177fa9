"""The JSON of the channels, as the OpenAPI document describes it."""

from __future__ import annotations

from heliograph.channels.names import MAX_NAME
from heliograph.request.openapi import TEXT

NAME = {"type": "string", "pattern": f"^[A-Za-z0-9_.:-]{{1,{MAX_NAME}}}$"}

_CHANNEL, _EPOCH, _OFFSET, _TIME = TEXT, TEXT, {"type": "integer"}, {"type": "number"}

APPENDED = {
    "type": "object",
    "properties": {"channel": _CHANNEL, "epoch": _EPOCH, "offset": _OFFSET, "time": _TIME},
    "required": ["channel", "epoch", "offset", "time"],
}
PUSHED = {
    "type": "object",
    "properties": {"channel": _CHANNEL, "message": {}, "epoch": _EPOCH, "offset": _OFFSET},
    "required": ["channel", "message", "epoch", "offset"],
}
PAGE = {
    "type": "object",
    "properties": {
        "channel": _CHANNEL,
        "epoch": _EPOCH,
        "top": _OFFSET,
        "recovered": {"type": "boolean"},
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"offset": _OFFSET, "time": _TIME, "data": {}},
                "required": ["offset", "time", "data"],
            },
        },
    },
    "required": ["channel", "epoch", "top", "recovered", "messages"],
}
LIST = {
    "type": "object",
    "properties": {
        "channels": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "channel": _CHANNEL,
                    "epoch": _EPOCH,
                    "top": _OFFSET,
                    "subscribers": {"type": "integer"},
                },
                "required": ["channel", "epoch", "top", "subscribers"],
            },
        }
    },
    "required": ["channels"],
}
PRESENT = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "subscribers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": TEXT, "since": _TIME, "transport": TEXT, "instance": TEXT},
                "required": ["id", "since", "transport", "instance"],
            },
        },
    },
    "required": ["count", "subscribers"],
}
TICKET = {"type": "object", "properties": {"ticket": TEXT}, "required": ["ticket"]}
PUSH = {
    "type": "object",
    "properties": {"channel": NAME, "message": {}},
    "required": ["channel", "message"],
    "additionalProperties": False,
}
