"""`python -m heliograph.stack run` is what script/server starts, `rolling` what script/rolling starts."""

from __future__ import annotations

import sys

from heliograph.stack import children, commands
from heliograph.stack.terminal import say

COMMANDS = {"run": commands.run, "rolling": commands.rolling}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        say("script/server and script/rolling take no arguments; settings are HELIOGRAPH_* variables")
        return 2
    with children.ending_on_signals():
        return COMMANDS[arguments[0]]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
