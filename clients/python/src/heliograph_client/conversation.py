"""What the server says on one connection, checked: nothing twice, no hole, nothing that is not of the protocol. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from heliograph_client.cursor import MAX_OFFSET, Cursor, From, Start, parse_cursor
from heliograph_client.errors import SHOWN, BadCursor, Violation
from heliograph_client.events import Lost, Message, Published
from heliograph_client.limits import MAX_MESSAGE

#: Bytes of a frame: a message whose characters are all escaped, `\\u0000` for one byte, and what is around it.
MAX_FRAME = 6 * MAX_MESSAGE + 4096


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The stream goes on behind `cursor`. `lost`: that is not where it was to."""

    cursor: Cursor
    lost: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    ref: object
    published: Published


@dataclass(frozen=True, slots=True)
class Failed:
    """`ref` is None where the server speaks of no message in particular."""

    ref: object
    problem: dict[str, Any]


Said = Subscribed | Message | Lost | Acknowledged | Failed


class Conversation:
    """`start` is what was asked for. Not to be used after a Violation."""

    def __init__(self, channel: str, start: Start) -> None:
        self._channel, self._start = channel, start
        self._place: Cursor | None = None

    def take(self, frame: str | bytes) -> Said | None:
        """The meaning of the next frame; None for a type that is not known. Raises Violation."""
        members = _members(frame)
        kind = members.get("type")
        if self._place is None:
            if kind == "error":
                return _failed(members)
            if kind != "subscribed":
                raise Violation(f"The server began with {_shown(frame)}.")
            return self._subscribed(members)
        read = self._readers().get(kind) if isinstance(kind, str) else None
        return read(members, self._place) if read else None

    def _readers(self) -> dict[str, Callable[[dict[str, Any], Cursor], Said]]:
        return {
            "message": self._message,
            "lost": self._lost,
            "published": self._published,
            "error": lambda members, _: _failed(members),
        }

    def _subscribed(self, members: dict[str, Any]) -> Subscribed:
        self._own(members)
        at, recovered, start = _cursor(members), members.get("recovered"), self._start
        if recovered is not None and not isinstance(recovered, bool):
            raise Violation(f"recovered is {_shown(recovered)}.")
        if recovered is None and start is not From.NOW:
            raise Violation("The server does not say whether the subscription was resumed.")
        if recovered and isinstance(start, Cursor):
            if at.epoch != start.epoch:
                raise Violation(f"The server resumed {start} in another epoch, {at}.")
            at = start
        self._place = at
        return Subscribed(at, recovered is False)

    def _message(self, members: dict[str, Any], place: Cursor) -> Message:
        self._own(members)
        offset, time = members.get("offset"), members.get("time")
        if type(offset) is not int or offset != place.offset + 1:
            raise Violation(f"Offset {_shown(offset)} came where {place.offset + 1} was next.")
        if not isinstance(time, int | float) or "data" not in members:
            raise Violation(f"Message {offset} has no time or no data.")
        self._place = Cursor(place.epoch, offset)
        return Message(self._channel, self._place, float(time), members["data"])

    def _lost(self, members: dict[str, Any], _: Cursor) -> Lost:
        self._place = _cursor(members)
        return Lost(self._channel, self._place)

    def _published(self, members: dict[str, Any], place: Cursor) -> Acknowledged:
        offset = _cursor({"epoch": place.epoch, **members}).offset
        return Acknowledged(members.get("ref"), Published(self._channel, Cursor(place.epoch, offset)))

    def _own(self, members: dict[str, Any]) -> None:
        if members.get("channel") != self._channel:
            raise Violation(f"The server speaks of channel {_shown(members.get('channel'))}.")


def _failed(members: dict[str, Any]) -> Failed:
    problem = members.get("problem")
    return Failed(members.get("ref"), problem if isinstance(problem, dict) else {})


def _cursor(members: dict[str, Any]) -> Cursor:
    epoch, offset = members.get("epoch"), members.get("offset")
    if not isinstance(epoch, str) or type(offset) is not int or not 0 <= offset <= MAX_OFFSET:
        raise Violation(f"{_shown(epoch)}, {_shown(offset)} are no epoch and offset.")
    try:
        return parse_cursor(f"{epoch}:{offset}")
    except BadCursor as exc:
        raise Violation(f"{_shown(epoch)} is no epoch.") from exc


def _members(frame: str | bytes) -> dict[str, Any]:
    if isinstance(frame, bytes):
        raise Violation("The server sent a binary frame.")
    try:
        members = json.loads(frame, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise Violation(f"The server sent what is not JSON: {_shown(frame)}") from exc
    if not isinstance(members, dict):
        raise Violation(f"The server sent no JSON object: {_shown(frame)}")
    return members


def _integer(digits: str) -> int | Decimal:
    """Python makes no int of more than some thousand digits, but JSON may have them, so somebody may publish them."""
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _shown(value: object) -> str:
    return repr(value)[:SHOWN]
