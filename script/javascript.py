"""The checks of the JavaScript: TypeScript's of the types, and the linter's. The tools are pinned in package-lock.json.

They are development tools from npm, installed into node_modules when the lock file has changed; nothing that runs needs them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Which lock file node_modules was made from.
STAMP = ROOT / "node_modules" / ".made-from"

INSTALL = ("npm", "ci", "--silent")
CHECKS = (("npm", "run", "--silent", "types"), ("npm", "run", "--silent", "lint"))


def check(run: Callable[[Sequence[str]], int], say: Callable[[str], None], *, required: bool) -> bool:
    """Whether all checks passed. Without npm they are left out, unless they are `required`."""
    if not shutil.which("npm"):
        say(
            f"npm is missing: the JavaScript is {'NOT CHECKED, which CI must do' if required else 'not checked'}"
        )
        return not required
    lock = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    if not STAMP.exists() or STAMP.read_text() != lock:
        say(" ".join(INSTALL))
        if status := run(INSTALL):
            say(f"npm ci FAILED with status {status}")
            return False
        STAMP.parent.mkdir(exist_ok=True)
        STAMP.write_text(lock)
    passed = True
    for command in CHECKS:
        say(" ".join(command))
        if status := run(command):
            say(f"{' '.join(command)} FAILED with status {status}")
            passed = False
    return passed
