"""Starts the process of a part with the sockets that it is handed."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from heliograph.server.reports import REPORT_VARIABLE
from heliograph.stack.child import Child
from heliograph.stack.children import spawn
from heliograph.stack.listeners import Listeners
from heliograph.stack.plan import DESCRIPTOR_FIELD, Plan
from heliograph.stack.relay import PartOutput


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

    def start(self, output: PartOutput, word: bytes = b"") -> Child:
        """A process; `word` is what an instance is told before it begins. Raises OSError when it cannot be executed."""
        try:
            child = self._instance(output, word) if self._plan.beside else self._other(output)
        except OSError:
            output.close()
            raise
        output.started()
        return child

    def _instance(self, output: PartOutput, word: bytes) -> Child:
        """On its socket, and with one end of a pair over which it talks with us."""
        [listener] = self._listeners.descriptors(self._plan.sockets)
        command = [part.replace(DESCRIPTOR_FIELD, str(listener)) for part in self._plan.command]
        ours, theirs = socket.socketpair()
        with theirs:
            ours.sendall(word + b"\n")
            process = spawn(
                command,
                cwd=self._root,
                environment={**self._environment, REPORT_VARIABLE: str(theirs.fileno())},
                output=output.descriptors,
                umask=self._plan.umask,
                handed=(listener, theirs.fileno()),
            )
        return Child(process, output, ours)

    def _other(self, output: PartOutput) -> Child:
        process = spawn(
            self._plan.command,
            cwd=self._root,
            environment=self._environment,
            output=output.descriptors,
            umask=self._plan.umask,
        )
        return Child(process, output)
