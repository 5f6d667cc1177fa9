"""`heliograph rolling`: restarts the instances of the running stack of this folder."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.cli.arguments import CommandParser, ending_in_one_line
from heliograph.cli.running import find
from heliograph.stack import children
from heliograph.stack.rolling import roll


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("rolling", "Restarts the instances of the running stack one after another.")
    parser.add_argument(
        "--drain-first",
        action="store_true",
        help="end the old process before the new one starts, where there is no memory for both",
    )
    given = parser.takes_state().takes_json().parse_args(arguments)
    with ending_in_one_line():
        var = find(given.state).path
    with children.ending_on_signals():
        return roll(var, drain_first=given.drain_first, as_json=given.json)
