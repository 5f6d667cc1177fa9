"""A running process of a stack, and the last time that changed code was to run in it."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
from dataclasses import dataclass

from heliograph.stack.children import signal_group


@dataclass(frozen=True)
class Renewal:
    """When changed code was to run: whether the process was ended for it, and whether the same was wanted shortly before."""

    ended: bool = False
    uncertain: bool = False
    at: float = -math.inf


class Child:
    """A running process; `ended` is done with its status once it, and all it started, is gone or killed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        #: It has answered, so it has set up what it does at signals.
        self.answered = False
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Workers outlive a killed master and would hold its port. Until it is reaped, the group's id is not used anew.
        signal_group(self.pid, signal.SIGKILL)
        self.ended.set_result(self._process.wait())

    async def wait(self) -> int:
        """Its status. A caller that is cancelled leaves `ended` as it is."""
        await asyncio.wait({self.ended})
        return self.ended.result()

    def send(self, signum: int) -> None:
        """To the process alone, whose business its workers are; SIGKILL to all of them."""
        if self.ended.done():
            return
        if signum == signal.SIGKILL:
            signal_group(self.pid, signum)
        else:
            self._process.send_signal(signum)

    @property
    def vanished(self) -> bool:
        """Whether nothing of its group is left, not even a killed process that is still on its way out."""
        return self.ended.done() and not signal_group(self.pid, 0)
