"""JSON from clients, parsed without changing it: each member keeps its original text, so that no number loses digits. Pure.

Only JSON as RFC 8259 defines it is accepted: no NaN, no Infinity.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn


class NotJson(ValueError):
    """Its text says what is wrong. `position` is in characters, where it is known."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.position = position


@dataclass(frozen=True, slots=True)
class JsonMember:
    """`value` as Python sees it, with numbers as texts; `text` as it was sent."""

    value: Any
    text: str


def _refuse(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON.")


# Numbers stay texts: Python's limit for the digits of a number is not JSON's.
_decoder = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)
_space = re.compile(r"[ \t\n\r]*").match
_scan = _decoder.raw_decode


def check(data: bytes) -> None:
    """Raises NotJson unless `data` is one JSON value in UTF-8."""
    text = decode(data)
    _, end = _value(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise NotJson("Something follows the JSON value.", end)


def decode(data: bytes) -> str:
    """Text from UTF-8. Raises NotJson."""
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise NotJson("The JSON is not UTF-8.", exc.start) from exc


def members(text: str) -> dict[str, JsonMember]:
    """The members of an object; of those with the same name the last one. Raises NotJson."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise NotJson("This is not a JSON object.", at)
    found: dict[str, JsonMember] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return _end(text, at, found)
    while True:
        if text[at : at + 1] != '"':
            raise NotJson("The name of a member is missing.", at)
        name, at = _value(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise NotJson("A colon is missing.", at)
        start = _skip(text, at + 1)
        value, at = _value(text, start)
        found[name] = JsonMember(value, text[start:at])
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return _end(text, at, found)
        if text[at : at + 1] != ",":
            raise NotJson("A comma or the end of the object is missing.", at)
        at = _skip(text, at + 1)


def is_text(member: JsonMember) -> bool:
    """Whether the value is a string (numbers are texts here, too)."""
    return member.text[:1] == '"'


def _end(text: str, at: int, found: dict[str, JsonMember]) -> dict[str, JsonMember]:
    if _skip(text, at + 1) != len(text):
        raise NotJson("Something follows the JSON object.", at + 1)
    return found


def _skip(text: str, at: int) -> int:
    match = _space(text, at)
    assert match is not None  # it may be empty
    return match.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _scan(text, at)
    except json.JSONDecodeError as exc:
        raise NotJson(f"{exc.msg}.", exc.pos) from exc
    except RecursionError as exc:
        raise NotJson("The JSON is nested too deeply.") from exc
