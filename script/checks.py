"""Everything that must hold: `python -m script.checks [--ci] [--all] [pytest's arguments]`, which script/test calls.

Installs the Debian packages that tests need where it may, then runs each check whatever the others said, pytest last, so
that its closing line ends the output; before that it names the checks that failed. The status is 0 only if all of them
passed. With --ci, a test that is skipped for another reason than the allowed ones fails. With --all, the tests that are
marked as slow run, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from heliograph.stack import children
from script import javascript

ROOT = Path(__file__).resolve().parent.parent

#: What the tests run beside Python, and the Debian package that has it.
DEBIAN_PACKAGES = {
    "nginx": "nginx",
    "openssl": "openssl",
    "curl": "curl",
    "chromium-headless-shell": "chromium-headless-shell",
    "redis-server": "redis-server",
    "initdb": "postgresql",
    "ip": "iproute2",
    "systemd-analyze": "systemd",
    "promtool": "prometheus",
}

#: Debian puts nginx where the PATH of ordinary users does not lead, and the programs of PostgreSQL where no PATH leads.
SYSTEM_PATH = ":".join(
    ("/usr/local/sbin", "/usr/sbin", "/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
)


def shell_scripts() -> list[str]:
    files = [
        path for folder in ("script", ".ci") for path in sorted((ROOT / folder).glob("*")) if path.is_file()
    ]
    return [str(path.relative_to(ROOT)) for path in files if re.match(rb"#!.*sh\b", path.read_bytes())]


#: Programs of our environment, and how each is called.
CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("uv", "lock", "--check"),
    ("shellcheck", *shell_scripts()),
)

#: Selects all tests: pyproject.toml deselects those that are marked as slow.
ALL = ("-m", "slow or not slow")

#: After a Ctrl-C tests stop the processes they started; a whole stack takes at most 12 s.
GRACE = 20.0

#: Those of each run.
PLUGINS = ("-p", "tests.failed_checks")

#: Most of a run is waiting for processes to start and end, so four files of tests run at a time on two cores.
SIDE_BY_SIDE = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")

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


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    return children.run(command, cwd=ROOT, grace=GRACE, environment=environment)


def tests_environment(failed: Sequence[str]) -> dict[str, str]:
    """They start some thousand processes, and none shall compile what another has compiled."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "FAILED_CHECKS": ", ".join(failed)}


@contextlib.contextmanager
def collecting(arguments: Sequence[str]) -> Iterator[None]:
    """Meanwhile pytest compiles the tests, which else each of the processes side by side would do."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", *arguments]
    environment = tests_environment(())
    with children.background(
        command, cwd=ROOT, grace=GRACE, environment=environment, output=subprocess.DEVNULL
    ) as child:
        yield
        child.wait()


def say(text: str) -> None:
    print(f"── {text}", flush=True)


def main(arguments: Sequence[str]) -> int:
    options = {"--ci": ("-p", "tests.only_allowed_skips"), "--all": ALL}
    before = [part for name, parts in options.items() if name in arguments for part in parts]
    others = [argument for argument in arguments if argument not in options]
    if packages := missing_packages():
        install(packages)
    with collecting(others):
        failed = failed_checks(javascript_required="--ci" in arguments)
    say("pytest")
    command = [sys.executable, "-m", "pytest", *SIDE_BY_SIDE, *PLUGINS, *before, *others]
    return run(command, tests_environment(failed)) or int(bool(failed))


def failed_checks(*, javascript_required: bool) -> list[str]:
    programs = Path(sys.prefix, "bin")
    failed = []
    for name, *rest in CHECKS:
        shown = " ".join((name, *rest))
        say(shown)
        if status := run([str(programs / name), *rest]):
            say(f"{shown} FAILED with status {status}")
            failed.append(shown)
    if not javascript.check(run, say, required=javascript_required):
        failed.append("JavaScript")
    return failed


if __name__ == "__main__":
    with children.ending_on_signals():
        sys.exit(main(sys.argv[1:]))
