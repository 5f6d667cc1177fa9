"""Foreign texts inside our own: those of servers, of the operating system, of libraries. Pure.

They end with a full stop or without, have several lines, and may be long. One function joins them with what we say, so that no
message ends with two full stops.
"""

from __future__ import annotations

from typing import Final

#: Characters of a foreign text. Clients and logs get it.
MAX_FOREIGN: Final = 300

#: What ends a sentence, or would stand before our own full stop.
_ENDS: Final = " \t\r\n.,;:…"


def plain(text: object) -> str:
    """The first line with something in it, without its full stop."""
    lines = [line.strip() for line in str(text).splitlines()]
    line = next((line for line in lines if line.strip(_ENDS)), type(text).__name__)
    shown = "".join(character for character in line if character.isprintable())
    if len(shown) > MAX_FOREIGN:
        return shown[:MAX_FOREIGN] + "…"
    return shown.rstrip(_ENDS)


def full_stop(text: object) -> str:
    """With exactly one full stop."""
    return f"{plain(text)}."


def because(statement: str, cause: object) -> str:
    """What happened, and what others say about it."""
    return f"{statement}: {full_stop(cause)}"


def one_full_stop(text: str) -> str:
    """A text of our own that may end with a foreign one."""
    return text.rstrip(".") + "." if text.endswith("..") else text
