"""Writes what tomllib reads. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any


def dumps(document: Mapping[str, Any]) -> str:
    return "".join(_table("", document)).lstrip("\n")


def _table(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """First what belongs to the table itself, then the tables below it."""
    for key, value in values.items():
        if not isinstance(value, dict) and not _is_tables(value):
            yield f"{_key(key)} = {_value(value)}\n"
    for key, value in values.items():
        below = f"{name}.{_key(key)}" if name else _key(key)
        if isinstance(value, dict):
            yield f"\n[{below}]\n"
            yield from _table(below, value)
        elif _is_tables(value):
            for one in value:
                yield f"\n[[{below}]]\n"
                yield from _table(below, one)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, str):  # a basic string has JSON's escapes, and needs one for DEL as well
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + "}"
    return str(value)  # numbers, times and dates
