"""The forms of a stack's log: text for a terminal, JSON lines elsewhere. Each line names its part. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Iterator
from typing import Any

from heliograph_proxy.batches import timestamp

#: How the manager calls itself.
STACK = "stack"

#: And to those whom it asks.
OWN_AGENT = "heliograph run"


class Style(enum.Enum):
    TEXT = "text"
    JSON = "json"


class LineForm:
    """Makes lines of a log from what parts write, and from what the manager says. Times are seconds since 1970."""

    def __init__(self, style: Style, parts: Iterable[str]) -> None:
        self.style = style
        self._width = max(map(len, [STACK, *parts]))

    def own(self, message: str, now: float, **more: object) -> bytes:
        """A line of the manager."""
        if self.style is Style.TEXT:
            return self._prefixed(STACK, message.encode(errors="replace") + b"\n")
        line = {"time": timestamp(now), "level": "info", "part": STACK, "message": message, **more}
        return json.dumps(line).encode() + b"\n"

    def of_part(self, part: str, lines: bytes, now: float, *, all_json: bool = False) -> bytes:
        """Whole lines as a part has written them. `all_json`: in JSON style it writes nothing else, so nobody has to look."""
        if self.style is Style.TEXT:
            return self._prefixed(part, without_own_questions(lines))
        head = f'{{"part": {json.dumps(part)}, '.encode()
        if all_json and lines.startswith(b"{"):
            return head + lines[1:].replace(b"\n{", b"\n" + head)
        return b"".join(_json_line(part, head, line, now) for line in lines.splitlines() if line.strip())

    def _prefixed(self, part: str, lines: bytes) -> bytes:
        if not lines:
            return b""
        prefix = f"{part:<{self._width}} | ".encode()
        prefixed = prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + lines[-1:]
        return prefixed.replace(prefix + f"{part}: ".encode(), prefix)  # some say their name themselves


def _json_line(part: str, head: bytes, line: bytes, now: float) -> bytes:
    found = _members(line)
    if found and "part" not in found:
        return head + line[1:] + b"\n"
    message = line.decode(errors="replace").removeprefix(f"{part}: ")
    told = {"time": timestamp(now), "level": "info", "part": part, "message": message}
    return json.dumps(told).encode() + b"\n"


def _members(line: bytes) -> dict[str, Any]:
    """Those of a JSON object. Any application may print anything: of all else there are none."""
    if not line.startswith(b"{"):
        return {}
    try:
        found: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found


#: The manager asks from this machine; in the combined format the client is the first field and the agent stands in quotes.
_OWN_CLIENTS = (b"127.0.0.1 ", b"::1 ")
_OWN_QUESTION = f'"{OWN_AGENT}"'.encode()


def without_own_questions(lines: bytes) -> bytes:
    """Access lines of text without those of the manager's questions, which are no requests of people."""
    if _OWN_QUESTION not in lines:
        return lines
    return b"".join(
        line
        for line in lines.splitlines(keepends=True)
        if _OWN_QUESTION not in line or not line.startswith(_OWN_CLIENTS)
    )


def records(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The part of each line of a log, in either form, and the line. One that names none belongs to the line before."""
    part = STACK
    for line in lines:
        part = part_of(line) or part
        yield part, line


def part_of(line: bytes) -> str:
    """Nothing where the line names none."""
    if line.startswith(b"{"):
        return str(_members(line).get("part", ""))
    name, bar, _ = line.partition(b" | ")
    return name.decode(errors="replace").rstrip() if bar and b" " not in name.rstrip() else ""


def as_json(part: str, line: bytes) -> bytes:
    """A line of a log as JSON has it."""
    if line.startswith(b"{"):
        return line
    text = line.rstrip(b"\n").partition(b" | ")[2].decode(errors="replace")
    return json.dumps({"part": part, "message": text}).encode() + b"\n"
