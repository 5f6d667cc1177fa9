"""Everything that must hold: `python -m script.checks [--ci] [pytest's arguments]`, which script/test calls.

Installs the Debian packages that tests need where it may, then runs each check whatever the others said, pytest last, so
that its closing line ends the output. The status is 0 only if all of them passed. With --ci, a test that is skipped for
another reason than the allowed ones fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from heliograph.stack import children
from script import javascript

ROOT = Path(__file__).resolve().parent.parent

#: What the tests run beside Python, and the Debian package that has it.
DEBIAN_PACKAGES = {
    "nginx": "nginx",
    "openssl": "openssl",
    "curl": "curl",
    "chromium": "chromium",
    "redis-server": "redis-server",
    "initdb": "postgresql",
    "ip": "iproute2",
}

#: Debian puts nginx where the PATH of ordinary users does not lead, and the programs of PostgreSQL where nobody's does.
SYSTEM_PATH = ":".join(
    ("/usr/local/sbin", "/usr/sbin", "/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
)

CHECKS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))

#: After a Ctrl-C tests stop the processes they started; a whole stack takes at most 12 s.
GRACE = 20.0

#: Most of a run is waiting for processes to start and end, so three files of tests run at a time on two cores.
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")

APT_GET = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y")


def missing_packages() -> list[str]:
    return [
        package
        for binary, package in DEBIAN_PACKAGES.items()
        if not (shutil.which(binary) or shutil.which(binary, path=SYSTEM_PATH))
    ]


def privilege() -> tuple[str, ...] | None:
    """What to put before a command that needs root, or None where we may not."""
    if os.geteuid() == 0:
        return ()
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ("sudo", "-n")
    return None


def install(packages: Sequence[str]) -> None:
    before = privilege()
    if before is None or not shutil.which("apt-get"):
        say(f"not installed: {', '.join(packages)}; tests that need them will be skipped")
        return
    say(f"installing {', '.join(packages)}")
    for command in (("update",), ("install", "--no-install-recommends", *packages)):
        if run([*before, *APT_GET, *command]):
            say(f"apt-get {command[0]} failed")


def run(command: Sequence[str]) -> int:
    return children.run(command, cwd=ROOT, grace=GRACE)


def say(text: str) -> None:
    print(f"── {text}", flush=True)


def main(arguments: Sequence[str]) -> int:
    strict = arguments[:1] == ["--ci"]
    if packages := missing_packages():
        install(packages)
    failed = False
    for check in CHECKS:
        say(" ".join(check))
        if status := run([sys.executable, "-m", *check]):
            say(f"{' '.join(check)} FAILED with status {status}")
            failed = True
    failed |= not javascript.check(run, say, required=strict)
    plugin = ["-p", "tests.only_allowed_skips"] if strict else []
    say("pytest")
    return run([sys.executable, "-m", "pytest", *SIDE_BY_SIDE, *plugin, *arguments[strict:]]) or int(failed)


if __name__ == "__main__":
    with children.ending_on_signals():
        sys.exit(main(sys.argv[1:]))
