"""`heliograph stop`: ends the running stack of this folder as Ctrl-C does, and waits for it."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Sequence

from heliograph.cli.arguments import CannotAct, CommandParser, ending_in_one_line
from heliograph.cli.running import FoundStack, find

#: A stack promises to end within 12 s; on a busy machine a little more.
PATIENCE = 20.0


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("stop", "Ends the running stack of this folder in order, as Ctrl-C does.")
    given = parser.takes_state().takes_json().parse_args(arguments)
    with ending_in_one_line():
        found = find(given.state)
        _end(found)
        told = {"state": str(found.path), "ended": True}
        print(json.dumps(told) if given.json else f"The stack in {found.path} has ended.")
    return 0


def _end(found: FoundStack) -> None:
    """Signal its manager and wait until that has ended. Raises CannotAct."""
    pid = int(found.state["pid"])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not found.still_runs():  # its id may be another process's by now
            return
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], PATIENCE)[0]:
            raise CannotAct(
                f"process {pid} has not ended after {PATIENCE:g} s; a second `stop` kills what is left"
            )
    except ProcessLookupError:
        return
    finally:
        os.close(process)
