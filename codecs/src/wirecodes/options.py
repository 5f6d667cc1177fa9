"""Options of codecs: what they are called, what they may be, and the one conversion that checks them.

Values come from Python as values and from query strings and command lines as text; both go through `parse`,
which returns every option of the direction with its checked value or default, or raises OptionError naming
the option. An option whose name is a Python keyword is spelled with an underscore in calls: `from_`.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wirecodes.errors import OptionError, quoted

Direction = Literal["encode", "decode"]
Value = int | float | str | None

#: Fits 64 bits, whatever the option's own bounds are: hostile digits never become a long integer.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


@dataclass(frozen=True)
class Option:
    """One option; `choices` are for strings, `minimum` and `maximum` (both inclusive) for numbers."""

    name: str
    type: Literal["string", "integer", "number"]
    default: Value
    description: str
    direction: Literal["encode", "decode", "both"] = "both"
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def applies(self, direction: Direction) -> bool:
        return self.direction in ("both", direction)

    def convert(self, value: object) -> Value:
        """The checked value; a ValueError says what is allowed."""
        converted = value.strip() if isinstance(value, str) else value
        if self.type == "string":
            return self._choice(converted)
        number = self._number(converted)
        if not self._in_range(number):
            raise ValueError(self._wanted(value))
        return number

    def _choice(self, value: object) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        raise ValueError(self._wanted(value))

    def _number(self, value: object) -> int | float:
        pattern, kind = (_INTEGER, int) if self.type == "integer" else (_NUMBER, float)
        if isinstance(value, str) and pattern.fullmatch(value):
            return kind(value)
        if isinstance(value, bool) or not isinstance(value, (int, kind)):
            raise ValueError(self._wanted(value))
        return value

    def _in_range(self, number: int | float) -> bool:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= number <= high

    def _wanted(self, value: object) -> str:
        if self.choices:
            wanted = f"one of {', '.join(self.choices)}"
        else:
            article = "an integer" if self.type == "integer" else "a number"
            wanted = f"{article} from {self.minimum} to {self.maximum}"
        return f"must be {wanted}, not {quoted(value)}"

    def describe(self) -> dict[str, Any]:
        """For JSON: what stands in the catalogue about this option."""
        entry: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "default": self.default,
            "description": self.description,
            "direction": self.direction,
        }
        if self.choices:
            entry["choices"] = list(self.choices)
        if self.type != "string":
            entry |= {"minimum": self.minimum, "maximum": self.maximum}
        return entry


def parse(options: Iterable[Option], direction: Direction, given: Mapping[str, object]) -> dict[str, Any]:
    """Every option of `direction` by its Python name, from `given` or by default."""
    known = {option.name: option for option in options if option.applies(direction)}
    settings = {python_name(option.name): option.default for option in known.values()}
    require_one_spelling(given)
    for spelled, value in given.items():
        option = known.get(plain_name(spelled))
        if option is None:
            raise OptionError(plain_name(spelled), f"unknown here; known: {_listed(known)}", tuple(known))
        try:
            settings[python_name(option.name)] = option.convert(value)
        except ValueError as error:
            raise OptionError(option.name, str(error), tuple(known)) from None
    return settings


def require_one_spelling(given: Iterable[str]) -> None:
    """Raises OptionError where an option is given by its own and by its Python name."""
    names = [plain_name(spelled) for spelled in given]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(name, f"given twice, as {name} and as {python_name(name)}", ())


def require_plain_names(given: Iterable[str]) -> None:
    """For options from outside of Python, where `from_` is no name. Raises OptionError."""
    for spelled in given:
        if plain_name(spelled) != spelled:
            raise OptionError(
                spelled, f"unknown here; it is spelled {plain_name(spelled)}", (plain_name(spelled),)
            )


def python_name(name: str) -> str:
    """`from` is `from_` in a Python call."""
    return f"{name}_" if keyword.iskeyword(name) else name


def plain_name(name: str) -> str:
    """`from_` is `from` everywhere else."""
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


def _listed(known: Iterable[str]) -> str:
    return ", ".join(known) or "none"
