"""What all parts of a stack inherit, and where the project's code lies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from heliograph.stack.options import StackSettings
from heliograph.stack.plan import NO_BYTECODE, Layout, Project

#: What an application prints is seen at once, though it goes to a pipe.
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}

#: Where systemd is told, and how often it wants to be. For the manager alone: Gunicorn would tell of itself.
NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


def code_folders(project: Project, settings: StackSettings) -> list[Path]:
    """Where the project's own code lies."""
    return [project.root, *((project.root / one).resolve() for one in settings.pythonpath)]


def inherited(environ: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """The environment of all parts, as far as nobody has set it."""
    found = {"HELIOGRAPH_ACCESS_LOG": "0", **UNBUFFERED, **environ, "HELIOGRAPH_LOG": layout.settings.log}
    if (
        layout.settings.reload
    ):  # bytecode knows a change by seconds and size only, which are alike after a quick edit
        found.update(NO_BYTECODE)
    for name in ("PORT", NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID):
        # PORT is a platform's, for one process; here the settings say who listens where.
        found.pop(name, None)
    return found
