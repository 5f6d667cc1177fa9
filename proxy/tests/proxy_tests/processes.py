"""Real processes for tests: start one, wait until it answers, look inside it through /proc, stop it.

Everything listens on 127.0.0.1 on a port that was free a moment ago. A process started here is stopped by its own id and is
killed by the kernel should the test runner die (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[3]
PYTHON = sys.executable

#: How long any process may take to answer or to end. Generous: a busy machine must not fail a test.
PATIENCE = 30.0

#: Below those that the kernel gives to connections (net.ipv4.ip_local_port_range): one of a neighbour's would take a port
#: before its server does.
PORTS = range(10_000, 32_000)

#: Given once to a test of this process already; whoever got them may be about to listen.
_given: set[int] = set()

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listened on when asked."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """`count` free ports in a row."""
    while True:
        first = random.choice(PORTS)
        ports = range(first, first + count)
        with contextlib.ExitStack() as probes:
            try:
                for port in ports:
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        if _given.isdisjoint(ports):
            _given.update(ports)
            return list(ports)


def until(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Return the first true value of `condition`; fail, saying `what` was awaited, when patience ends."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting after {patience} s for: {what} (last value {value!r})")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something accepts a connection on this port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without any setting of the stack, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HELIOGRAPH_") and k != "PORT"}
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


class Process:
    """A child process with its output in a file. Use as a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        user: int | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                self.command,
                cwd=cwd,
                env=clean_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 (one system call)
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def running(self) -> bool:
        return self._popen.poll() is None

    def send(self, signum: int) -> None:
        self._popen.send_signal(signum)

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit status."""
        return self._popen.wait(patience)

    def wait_for_port(self, port: int) -> Process:
        def ready() -> bool:
            if not self.running():
                raise AssertionError(f"{self.command} ended with {self._popen.returncode}:\n{self.output}")
            return answers(port)

        until(ready, f"{self.command} on port {port}")
        return self

    def wait_for_output(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        def seen() -> re.Match[str] | None:
            found = re.search(pattern, self.output)
            if not found and not self.running():
                raise AssertionError(f"{self.command} ended without printing {pattern!r}:\n{self.output}")
            return found

        match = until(seen, f"{pattern!r} in the output of {self.command}", patience)
        assert match
        return match

    def stop(self, signum: int = signal.SIGTERM, patience: float = PATIENCE) -> int:
        """Ask it to end, wait, and return the exit status; kill its whole session if it does not."""
        if self.running():
            self.send(signum)
        try:
            return self.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
            raise AssertionError(f"{self.command} did not end within {patience} s:\n{self.output}") from None

    def tree(self) -> list[int]:
        """Its process id and those of all its descendants."""
        return [self.pid, *descendants(self.pid)]


def descendants(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it ended while we looked
        return []
    return [p for child in children for p in (child, *descendants(child))]


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of a process points to, e.g. ``socket:[123]`` or ``/tmp/x (deleted)``."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:  # closed while we looked
            continue
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
