"""`heliograph rolling`: restarts the instances of the stack that runs in this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heliograph.cli import is_help, refuse
from heliograph.stack import children
from heliograph.stack.rolling import roll


def main(arguments: Sequence[str]) -> int:
    if is_help(arguments):
        print("usage: heliograph rolling\n\nRestarts the instances of the running stack one after another.")
        return 0
    if arguments:
        return refuse("rolling takes no arguments")
    with children.ending_on_signals():
        return roll(Path.cwd())
