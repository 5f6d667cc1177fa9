"""`heliograph logs [-f] [PART]`: what the parts of the running stack of this folder have written."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from heliograph.cli.arguments import CannotAct, CommandParser, ending_in_one_line
from heliograph.cli.running import FoundStack, find
from heliograph.stack import journal
from heliograph.stack.lines import STACK, as_json, records


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("logs", "Prints the log of the running stack of this folder.")
    parser.takes_state().takes_json()
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the stack ends")
    parser.add_argument(
        "part", metavar="PART", nargs="?", help=f"one of its parts: web1, proxy, nginx, {STACK}"
    )
    given = parser.parse_args(arguments)
    with ending_in_one_line():
        found = find(given.state)
        _require_part(found, given.part)
        try:
            for part, line in records(_lines(found, given.follow)):
                if given.part in (None, part):
                    sys.stdout.buffer.write(as_json(part, line) if given.json else line)
                    sys.stdout.buffer.flush()
        except KeyboardInterrupt:
            return 0
    return 0


def _require_part(found: FoundStack, part: str | None) -> None:
    parts = [one["name"] for one in found.state["parts"]] + [STACK]
    if part is not None and part not in parts:
        raise CannotAct(f"{part!r} is no part of this stack; it has {', '.join(parts)}")


def _lines(found: FoundStack, follow: bool) -> Iterator[bytes]:
    if not follow:
        return journal.kept(found.path, found.state["since"])
    return journal.followed(found.path, found.state["since"], found.still_runs)
