"""`heliograph proxy VERB …`: the commands of `heliograph-proxy` for the proxy of the running stack."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from heliograph.cli import VERBS
from heliograph.cli.arguments import CommandParser, ending_in_one_line
from heliograph.cli.running import find


def main(arguments: Sequence[str]) -> int:
    """In the end this process becomes `heliograph-proxy`: it loads what this one must not."""
    parser = CommandParser("proxy", "Talks to the proxy of the running stack, as heliograph-proxy does.")
    parser.takes_state()
    parser.add_argument("verb", metavar="VERB", help=", ".join(VERBS))
    given, rest = parser.parse_known_args(arguments)
    if given.verb not in VERBS:
        parser.error(f"{given.verb!r} is not one of {', '.join(VERBS)}")
    with ending_in_one_line():
        file = find(given.state).proxy_file
        command = [sys.executable, "-P", "-m", "heliograph_proxy", given.verb, "--config", str(file), *rest]
        os.execv(command[0], command)
