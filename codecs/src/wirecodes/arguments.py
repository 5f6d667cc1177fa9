"""The words of a command line. Pure.

    wirecodes COMMAND [WORD…] [-o OUT] [--option value | --option=value]…

Options stand anywhere, `--` ends them. Which options and words a command takes, it decides itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


class UsageError(Exception):
    """The words are no call of this command."""


@dataclass
class Arguments:
    words: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    output: str = "-"
    help: bool = False
    version: bool = False


#: Options that have no value, and the members of Arguments that they set.
_SWITCHES = {"-h": "help", "--help": "help", "--version": "version"}


def parsed(words: Iterable[str]) -> Arguments:
    """Raises UsageError for an option without a value, one that is given twice, and one that there cannot be."""
    found = Arguments()
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            found.words += remaining
        elif word in _SWITCHES:
            setattr(found, _SWITCHES[word], True)
        elif word.startswith("--"):
            _long(word[2:], remaining, found)
        elif word.startswith("-o"):
            found.output = word[2:].removeprefix("=") or _value("-o", remaining)
        elif word.startswith("-") and word != "-" and not word[1].isdigit():
            raise UsageError(f"there is no option {word[:2]}")
        else:
            found.words.append(word)
    return found


def _long(text: str, remaining: Iterator[str], found: Arguments) -> None:
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError("an option needs a name")
    if not equals:
        value = _value(f"--{name}", remaining)
    if name == "output":
        found.output = value
    elif name in found.options:
        raise UsageError(f"option --{name} is given twice")
    else:
        found.options[name] = value


def _value(option: str, remaining: Iterator[str]) -> str:
    value = next(remaining, None)
    # What begins with a dash and is no number is the next option: its value was forgotten.
    if value is None or (value.startswith("-") and value != "-" and not value[1:2].isdigit()):
        raise UsageError(
            f"option {option} needs a value; write {option}=VALUE for one that begins with a dash"
        )
    return value
