"""One round of echoes from the load's process, and what it cost the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from bench.harness import ROOT, Unavailable
from bench.loads.messages import PATIENCE, Load
from bench.websocket_parts.servers import Server, cores

PATH = "/ws/echo"


@dataclass(frozen=True)
class Round:
    """Messages a second; microseconds of processor time that each took the server; how much of a core the load used."""

    rate: float
    cpu: float
    load: float

    @property
    def busy(self) -> float:
        """How much of a core the server used."""
        return self.rate * self.cpu / 1e6


def echoes(server: Server, connections: int, size: int, seconds: float) -> Round:
    """Raises Unavailable when the load did not get back what it sent."""
    numbers = [str(server.port), PATH, str(connections), str(size), str(seconds), str(server.leader)]
    mine, _ = cores()
    done = subprocess.run(
        [sys.executable, "-m", "bench.loads.messages", *numbers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 4 * PATIENCE,
        preexec_fn=lambda: os.sched_setaffinity(0, mine),
    )
    if done.returncode:
        raise Unavailable(f"{server.name}, messages of {size} bytes: {done.stderr.strip().splitlines()[-1]}")
    found = Load(**json.loads(done.stdout))
    return Round(
        found.messages / found.seconds, found.served * 1e6 / found.messages, found.worked / found.seconds
    )
