"""`heliograph reload`: has the manager of a running stack read its settings and files again, and applies what has changed.

Instances come first, one after another; proxy and nginx last, when all instances run with the new settings. So an error that only
an instance finds leaves everything as it was.
"""

from __future__ import annotations

from pathlib import Path

from heliograph.stack import control, folder
from heliograph.stack.rolling import FAILURES, renew, running
from heliograph.stack.terminal import say


def reload(var: Path, *, as_json: bool = False) -> int:
    """Of the stack that runs in this state folder. The exit status."""
    renewed: list[str] = []
    try:
        with folder.changing(var):
            stack = running(var, as_json=as_json)
            found = control.ask(var, control.CHECK)
            instances, layers = found["instances"], found["layers"]
            for warning in found["warnings"]:
                stack.tell(f"warning: {warning}")
            if not instances and not layers:
                stack.tell("Nothing has changed.")
                return 0
            stack.tell(
                f"Settings and files are good; they have changed for {', '.join([*instances, *layers])}"
            )
            for name in instances:
                renew(stack, name, renewed.append)
            control.ask(var, control.APPLY)
            for name in layers:
                stack.tell(f"{name}: reads its new configuration")
    except FAILURES as exc:
        say(f"heliograph reload: {exc}; {_state_of(renewed)}")
        return 1
    stack.tell("The stack runs with the new settings.")
    return 0


def _state_of(renewed: list[str]) -> str:
    """How it stands, and how to go on."""
    if not renewed:
        return "nothing was changed"
    return f"{', '.join(renewed)} run with the new settings already: mend them, or bring the old ones back, and reload again"
