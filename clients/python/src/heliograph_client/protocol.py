"""The frames of one connection, decoded and checked: no message twice, no gap, nothing outside the protocol. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from heliograph_client.cursor import MAX_OFFSET, Cursor, Start, StartPoint, parse_cursor
from heliograph_client.errors import SHOWN, BadCursor, Violation
from heliograph_client.events import Lost, Message, Published
from heliograph_client.limits import MAX_MESSAGE

#: Bytes of a frame: a message whose characters are all escaped, `\\u0000` for one byte, and what is around it.
MAX_FRAME = 6 * MAX_MESSAGE + 4096


@dataclass(frozen=True, slots=True)
class SubscribedFrame:
    """The stream goes on behind `cursor`. `lost`: this is not the position that was asked for."""

    cursor: Cursor
    lost: bool


@dataclass(frozen=True, slots=True)
class PublishedFrame:
    ref: object
    published: Published


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """`ref` is None where the error concerns no single message."""

    ref: object
    problem: dict[str, Any]


Decoded = SubscribedFrame | Message | Lost | PublishedFrame | ErrorFrame


class ChannelProtocol:
    """`start` is what the client asked for. Must not be used after a Violation."""

    def __init__(self, channel: str, start: Start) -> None:
        self._channel, self._start = channel, start
        self._position: Cursor | None = None

    def take(self, frame: str | bytes) -> Decoded | None:
        """The next frame decoded; None for an unknown type. Raises Violation."""
        members = _members(frame)
        kind = members.get("type")
        if self._position is None:
            if kind == "error":
                return _error(members)
            if kind != "subscribed":
                raise Violation(f"The server began with {_shown(frame)}.")
            return self._subscribed(members)
        read = self._readers().get(kind) if isinstance(kind, str) else None
        return read(members, self._position) if read else None

    def _readers(self) -> dict[str, Callable[[dict[str, Any], Cursor], Decoded]]:
        return {
            "message": self._message,
            "lost": self._lost,
            "published": self._published,
            "error": lambda members, _: _error(members),
        }

    def _subscribed(self, members: dict[str, Any]) -> SubscribedFrame:
        self._check_channel(members)
        at, recovered, start = _cursor(members), members.get("recovered"), self._start
        if recovered is not None and not isinstance(recovered, bool):
            raise Violation(f"recovered is {_shown(recovered)}.")
        if recovered is None and start is not StartPoint.NOW:
            raise Violation("The server does not state whether the subscription was resumed.")
        if recovered and isinstance(start, Cursor):
            if at.epoch != start.epoch:
                raise Violation(f"The server resumed {start} in another epoch, {at}.")
            at = start
        self._position = at
        return SubscribedFrame(at, recovered is False)

    def _message(self, members: dict[str, Any], position: Cursor) -> Message:
        self._check_channel(members)
        offset, time = members.get("offset"), members.get("time")
        if type(offset) is not int or offset != position.offset + 1:
            raise Violation(f"Offset {_shown(offset)} came where {position.offset + 1} was next.")
        if not isinstance(time, int | float) or "data" not in members:
            raise Violation(f"Message {offset} has no time or no data.")
        self._position = Cursor(position.epoch, offset)
        return Message(self._channel, self._position, float(time), members["data"])

    def _lost(self, members: dict[str, Any], _: Cursor) -> Lost:
        self._position = _cursor(members)
        return Lost(self._channel, self._position)

    def _published(self, members: dict[str, Any], position: Cursor) -> PublishedFrame:
        offset = _cursor({"epoch": position.epoch, **members}).offset
        return PublishedFrame(members.get("ref"), Published(self._channel, Cursor(position.epoch, offset)))

    def _check_channel(self, members: dict[str, Any]) -> None:
        if members.get("channel") != self._channel:
            raise Violation(f"The server names channel {_shown(members.get('channel'))}.")


def _error(members: dict[str, Any]) -> ErrorFrame:
    problem = members.get("problem")
    return ErrorFrame(members.get("ref"), problem if isinstance(problem, dict) else {})


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
    """Python makes no int of more than some thousand digits, but JSON allows them, so a message may contain one."""
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _shown(value: object) -> str:
    return repr(value)[:SHOWN]
