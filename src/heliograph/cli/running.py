"""The running stack that a command acts on: that of this folder, or another one that `--state` names."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heliograph.cli.arguments import CannotAct, NoStack
from heliograph.settings import environment
from heliograph.stack import admin, folder

#: A stack that is starting has not yet told what it runs; it does so with its first process.
PATIENCE, INTERVAL = 5.0, 0.05


@dataclass(frozen=True)
class FoundStack:
    """A stack that ran a moment ago: its state folder, and what it published there."""

    path: Path
    state: dict[str, Any]

    @property
    def proxy_file(self) -> Path:
        return self.path / "proxy.toml"

    @property
    def admin(self) -> admin.Listener:
        return admin.listener(self.proxy_file)

    def still_runs(self) -> bool:
        """Whether it is this one that runs there, and not one that was started later."""
        try:
            return folder.running(self.path) and folder.read_state(self.path)["pid"] == self.state["pid"]
        except (OSError, ValueError, KeyError):
            return False


def find(named: str | None) -> FoundStack:
    """Raises NoStack, CannotAct or SettingError."""
    path = Path(os.path.abspath(named)) if named else folder.of(Path.cwd(), environment())
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise CannotAct(f"the state folder {path} is not readable for this user")
    deadline = time.monotonic() + PATIENCE
    while folder.running(path):
        try:
            return FoundStack(path, folder.read_state(path))
        except (OSError, ValueError):
            if time.monotonic() > deadline:
                raise CannotAct(f"the stack in {path} has not told yet what it runs; try again") from None
        time.sleep(INTERVAL)
    raise NoStack(f"no stack runs in {path}; `heliograph run` starts one")
