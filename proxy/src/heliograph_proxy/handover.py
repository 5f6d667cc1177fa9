"""USR2: a proxy starts its successor with its own listening sockets, and stops accepting when that one accepts.

The successor is the same program with the same arguments, read anew, so a new release may be there. Both accept until it is
ready, so there is no moment without one. Where it fails, this process goes on as before and says why. A process ends only
for its last client, or with the time to drain; until then it reports to its successor how many clients are left.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import gevent
from gevent import socket

from heliograph_proxy import eventlog as events
from heliograph_proxy import inherited
from heliograph_proxy.generations import (
    REPORT_SECONDS,
    Channel,
    Predecessors,
    known_backends,
    report,
    take_over,
)
from heliograph_proxy.notify import Notifier
from heliograph_proxy.server import ProxyServer
from heliograph_proxy.settings import STATE_VARIABLE

#: What a successor is told besides its listening sockets.
VARIABLE = "HELIOGRAPH_PROXY_SUCCESSION"

#: A successor that is not ready by then is ended. Starting takes about a second; a busy machine may need many.
READY_SECONDS = 60.0

#: A process that has closed its socket is ending; it is killed if it has not ended by then.
END_SECONDS = 2.0


@dataclass(slots=True)
class Succession:
    """What this process was told by its predecessor; of the first in a row: nothing."""

    generation: int = 1
    channel: Channel | None = None
    #: Its process.
    predecessor: int = 0
    #: From generations before.
    older: list[Channel] = field(default_factory=list)
    #: Descriptors of listening sockets whose files are this program's to remove.
    owned: frozenset[int] = frozenset()
    known: list[dict[str, Any]] = field(default_factory=list)

    def ready(self, server: ProxyServer) -> bool:
        """This process accepts from the next turn of the loop on. False where it must not: the predecessor goes on."""
        if self.channel is None:
            return True
        if not self.channel.send({"ready": os.getpid()}) and os.getppid() == self.predecessor:
            return False
        server.predecessors = Predecessors([self.channel, *self.older])
        return True

    def failed(self, reason: str) -> None:
        if self.channel is not None:
            self.channel.send({"failed": reason})

    def take_over(self, server: ProxyServer) -> None:
        server.runtime.generation = self.generation
        take_over(server.runtime.balancer.backends, self.known, monotonic())


def refusal(environment: Mapping[str, str], file: str) -> str:
    """Why this process must not be replaced; empty where it may be."""
    if _in_stack(environment, file):
        return "the manager of the stack replaces this proxy"
    if os.getpid() == 1:
        return "this is process 1, with whose end the container ends"
    return ""


def _in_stack(environment: Mapping[str, str], file: str) -> bool:
    """Whether the manager of a stack has started this proxy, with the file that it has put into its state folder. It then watches
    and replaces the proxy itself."""
    state = environment.get(STATE_VARIABLE, "")
    return bool(state) and os.path.realpath(state) == os.path.dirname(os.path.realpath(file))


def from_environment(environment: MutableMapping[str, str]) -> Succession:
    """What it says is removed: a process that this one starts must not find it."""
    told = json.loads(environment.pop(VARIABLE, "") or "null")
    if told is None:
        return Succession()
    for number in (told["channel"], *told["older"]):
        os.set_inheritable(number, False)
    channel = Channel(told["channel"])
    known = channel.receive() or {}
    older = [Channel(number) for number in told["older"]]
    return Succession(
        told["generation"],
        channel,
        told.get("pid", 0),
        older,
        frozenset(told["owned"]),
        known.get("backends", []),
    )


class Handover:
    """`begin` at the signal. `succeeded` when this process is no longer the one that accepts."""

    def __init__(
        self, server: ProxyServer, environment: Mapping[str, str], notifier: Notifier, *, refused: str = ""
    ) -> None:
        #: Why this process must not be replaced.
        self.refused = refused
        self._server = server
        self._environment = environment
        self._notifier = notifier
        self._folder = _folder(environment)
        self._pid = 0
        self._aborted = False
        self.succeeded = False

    def begin(self) -> bool:
        """Whether this process has been replaced. Whatever goes wrong, it goes on as before."""
        if self._pid:
            events.log("handover-ignored", reason=f"process {self._pid} is the successor already")
            return False
        channel = None
        try:
            channel = self._start()
            events.log("handover-begun", successor=self._pid)
            failure = self._wait(channel)
        except OSError as exc:
            failure = f"{sys.orig_argv[0]} cannot be started: {exc.strerror}"
        except Exception as exc:
            # gevent would throw it into the main greenlet, which would end the process.
            failure = repr(exc)
        if channel is None:
            events.log("handover-failed", reason=failure)
            return False
        if failure or self._aborted:
            self._give_up(channel, failure)
            return False
        self.succeeded = True
        events.log("handover-done", successor=self._pid)
        self._notifier.send(f"MAINPID={self._pid}")
        gevent.spawn(self._report, channel)
        return True

    def _give_up(self, channel: Channel, failure: str) -> None:
        """A successor that serves already has got the signal of `abort`, and the time to drain."""
        channel.close()
        events.log(
            "handover-failed",
            reason=failure or "this process is to end",
            successor=self._pid,
            status=_end(self._pid) if failure else None,
        )
        self._pid = 0

    def abort(self) -> None:
        """This process is to end: the one that it starts must not go on."""
        self._aborted = True
        if self._pid and not self.succeeded:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def _wait(self, channel: Channel) -> str:
        """Empty when the successor serves; else why it does not, and never will."""
        late = True
        answer = None
        with gevent.Timeout(READY_SECONDS, False):  # type: ignore[arg-type]  # as its documentation has it
            channel.send({"backends": known_backends(self._server.runtime.balancer.backends, monotonic())})
            answer = _answer(channel)
            late = False
        if late:
            # What it has sent counts. What it sends now fails, and tells it that it must not serve.
            channel.refuse()
            answer = _answer(channel)
        if answer is None:
            return f"it was not ready within {READY_SECONDS:g} seconds" if late else "it ended"
        return str(answer.get("failed", ""))

    def _report(self, channel: Channel) -> None:
        while channel.send(report(self._server.runtime)):
            gevent.sleep(REPORT_SECONDS)

    def _start(self) -> Channel:
        """Descriptors that the successor gets lie in a row, from 3 on: its listening sockets, its channel to this process, and
        those to generations before."""
        ours, theirs = socket.socketpair()
        listening = self._server.listening()
        predecessors = self._server.predecessors
        older = [one.sock.fileno() for one in predecessors.channels] if predecessors else []
        passed = [*(one.sock.fileno() for one in listening), theirs.fileno(), *older]
        numbers = range(inherited.FIRST, inherited.FIRST + len(passed))
        told = {
            "generation": self._server.runtime.generation + 1,
            "channel": numbers[len(listening)],
            "pid": os.getpid(),
            "older": list(numbers[len(listening) + 1 :]),
            "owned": [number for number, one in zip(numbers, listening, strict=False) if one.owned],
        }
        environment = {
            **self._environment,
            inherited.FDS: str(len(listening)),
            inherited.NAMES: ":".join(one.role for one in listening),
            VARIABLE: json.dumps(told),
        }
        # First out of the way of each other.
        moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, numbers.stop) for number in passed]
        try:
            actions = [
                (os.POSIX_SPAWN_DUP2, number, target) for number, target in zip(moved, numbers, strict=True)
            ]
            with _inside(self._folder):
                program = _program()
                command = [program, *sys.orig_argv[1:]]
                self._pid = os.posix_spawn(program, command, environment, file_actions=actions)
        finally:
            for number in moved:
                os.close(number)
            theirs.close()
        return Channel(ours.detach())


def _folder(environment: Mapping[str, str]) -> str:
    """The current folder, by the name that led to it: where that is a link it may lead to another release by now. Empty where
    it is gone."""
    named, current = environment.get("PWD", ""), ""
    with suppress(OSError):
        current = os.getcwd()
        if named and os.path.samefile(named, current):
            return named
    return current


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    """What is started here begins in the folder, as far as there still is one."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.chdir(folder)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _program() -> str:
    """As this process was called, which may be another release's by now: sys.executable has the links of the folder resolved."""
    called = sys.orig_argv[0]
    return called if "/" in called and os.access(called, os.X_OK) else sys.executable


def _answer(channel: Channel) -> dict[str, Any] | None:
    """What the successor says of its start; another release may say more. None at the end."""
    said = (one for one in channel.messages() if "ready" in one or "failed" in one)
    return next(said, None)


def _end(pid: int) -> int | None:
    """The exit status of a process that is about to end, or is made to. None where the kernel keeps none: a process whose
    parent ignored SIGCHLD has inherited that."""
    deadline = monotonic() + END_SECONDS
    with suppress(ChildProcessError, ProcessLookupError):
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            gevent.sleep(0.02)
    return None
