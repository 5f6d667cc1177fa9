"""`heliograph reload`: applies changed settings and files to the running stack of this folder."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.cli.arguments import CommandParser, ending_in_one_line
from heliograph.cli.running import find
from heliograph.stack import children
from heliograph.stack.renewing import reload


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        "reload",
        "Reads settings and files of the running stack again, checks them, and applies what has changed: proxy and nginx read "
        "their configurations again, instances are restarted one after another. With an error nothing changes.",
    )
    given = parser.takes_state().takes_json().parse_args(arguments)
    with ending_in_one_line():
        var = find(given.state).path
    with children.ending_on_signals():
        return reload(var, as_json=given.json)
