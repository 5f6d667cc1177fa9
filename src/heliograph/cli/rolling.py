"""`heliograph rolling`: restarts the instances of the stack that runs in this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heliograph.cli import refuse
from heliograph.stack import children
from heliograph.stack.rolling import roll


def main(arguments: Sequence[str]) -> int:
    if arguments:
        return refuse("rolling takes no arguments")
    with children.ending_on_signals():
        return roll(Path.cwd())
