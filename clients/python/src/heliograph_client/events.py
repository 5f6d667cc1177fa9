"""The events of a subscription. Pure.

Each event carries the cursor behind it, so a program that stores `cursor` after it has handled an event can continue from there
at any time.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import Enum
from typing import Any

from heliograph_client.cursor import Cursor


class Status(Enum):
    CONNECTING = "connecting"
    SUBSCRIBED = "subscribed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Message:
    """`time` is in seconds since 1970. `data` is the JSON value, the text, or {"base64": …}."""

    channel: str
    cursor: Cursor
    time: float
    data: Any

    @property
    def offset(self) -> int:
        return self.cursor.offset

    def content(self) -> bytes | None:
        """The bytes of a message that was published as bytes; None for any other."""
        if not isinstance(self.data, dict) or self.data.keys() != {"base64"}:
            return None
        try:
            return base64.b64decode(self.data["base64"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            return None


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages after the previous event are no longer stored. The stream continues behind `cursor`."""

    channel: str
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class State:
    """How the connection is. WAITING has a `reason`, and in how many seconds the next attempt follows (`wait`).

    `cursor` is None as long as a subscription that is live only has never been connected.
    """

    channel: str
    status: Status
    cursor: Cursor | None
    reason: str = ""
    wait: float | None = None


Event = Message | Lost | State


@dataclass(frozen=True, slots=True)
class Published:
    """Where a message is now. `time` is None where the server did not give it."""

    channel: str
    cursor: Cursor
    time: float | None = None

    @property
    def offset(self) -> int:
        return self.cursor.offset
