"""Starts the process of a part with the sockets that it is handed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from heliograph.server.reports import REPORT_VARIABLE
from heliograph.stack.child import Child
from heliograph.stack.children import spawn
from heliograph.stack.inherited import NOTIFY_SOCKET
from heliograph.stack.listeners import Listeners
from heliograph.stack.plan import DESCRIPTOR_FIELD, PartKind, Plan
from heliograph.stack.relay import PartOutput

#: Where systemd's protocol begins.
FIRST_HANDED = 3

#: What systemd or another manager has handed to this process, not to its parts.
FOR_US_ALONE = frozenset({"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID", "NGINX"})


@dataclass(frozen=True)
class Surroundings:
    """What all parts of a stack are started with."""

    root: Path
    environment: Mapping[str, str]
    listeners: Listeners


class Spawner:
    """For all processes of one part."""

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        self._plan = plan
        self._root = around.root
        self._environment = {**around.environment, **plan.extra}
        self._listeners = around.listeners

    def change(self, plan: Plan, environment: Mapping[str, str]) -> None:
        """What the next process is started with."""
        self._plan = plan
        self._environment = {**environment, **plan.extra}

    def start(self, output: PartOutput, word: bytes = b"") -> Child:
        """A process; `word` is what an instance is told before it begins. Raises OSError when it cannot be executed."""
        try:
            self._listeners.listen(self._plan.sockets)
            child = self._instance(output, word) if self._plan.beside else self._other(output)
        except OSError:
            output.close()
            raise
        output.started()
        return child

    def refuse(self) -> None:
        """Until the next start of an instance, another one may answer who asks for it: nobody waits for it meanwhile."""
        if self._plan.kind is PartKind.INSTANCE:
            self._listeners.refuse(self._plan.sockets)

    def _instance(self, output: PartOutput, word: bytes) -> Child:
        """On its socket, and with one end of a pair over which it talks with us."""
        [listener] = self._listeners.descriptors(self._plan.sockets)
        ours, theirs = socket.socketpair()
        with theirs:
            ours.sendall(word + b"\n")
            end = theirs.fileno()
            return Child(
                self._spawn(output, {REPORT_VARIABLE: str(end)}, {listener: listener, end: end}), output, ours
            )

    def _other(self, output: PartOutput) -> Child:
        found = self._listeners.descriptors(self._plan.sockets)
        if self._plan.kind is PartKind.NGINX and found:
            variables = {"NGINX": "".join(f"{one};" for one in found)}
            return Child(self._spawn(output, variables, {one: one for one in found}), output)
        if not found:
            return Child(self._spawn(output, {}, {}), output)
        told = _notified()
        variables = {**_systemd_variables(len(found)), NOTIFY_SOCKET: f"@{told.getsockname()[1:].decode()}"}
        return Child(self._spawn(output, variables, dict(enumerate(found, FIRST_HANDED))), output, told)

    def _spawn(
        self, output: PartOutput, variables: Mapping[str, str], handed: Mapping[int, int]
    ) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in self._environment.items() if name not in FOR_US_ALONE}
        first = str(next(iter(handed), ""))
        return spawn(
            [part.replace(DESCRIPTOR_FIELD, first) for part in self._plan.command]
            if handed
            else self._plan.command,
            cwd=self._root,
            environment={**environment, **variables},
            output=output.descriptors,
            umask=self._plan.umask,
            handed=handed,
        )


def _notified() -> socket.socket:
    """Where one process of the proxy says how it is, as sd_notify(3) has it: under a name that the kernel chooses."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    found.bind("")
    return found


def _systemd_variables(number: int) -> dict[str, str]:
    """As sd_listen_fds(3) has it, for the proxy: its admin listener comes last. LISTEN_PID cannot be known before the start."""
    return {"LISTEN_FDS": str(number), "LISTEN_FDNAMES": ":".join([*["listen"] * (number - 1), "admin"])}
