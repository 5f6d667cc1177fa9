"""A running process of a stack, and the last time that changed code was to run in it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass
from typing import Any

from heliograph.server.reports import LEFT, LOADED, READY, STOPPING
from heliograph.stack.children import signal_group
from heliograph.stack.relay import PartOutput

#: More than all words that wait at once.
_READ_BYTES = 1024

#: The process, user and group of a sender.
_CREDENTIALS = struct.Struct("3i")

#: What the proxy says in the words of sd_notify(3).
_OF_SYSTEMD = {b"STOPPING=1": STOPPING}


@dataclass(frozen=True)
class Renewal:
    """When changed code was to run: whether the process was ended for it, and whether the same was wanted shortly before."""

    ended: bool = False
    uncertain: bool = False
    at: float = -math.inf


class Child:
    """A running process; `ended` is done with its status once it, and all it started, is gone or killed."""

    def __init__(
        self, process: subprocess.Popen[bytes], output: PartOutput, report: socket.socket | None = None
    ) -> None:
        """`report`: our end of the pair over which an instance talks with us, or where the proxy says how it is."""
        self.pid = process.pid
        self.output = output
        self._report = report
        #: It has answered, so it has set up what it does at signals.
        self.answered = False
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        #: What it has said.
        self.said = {word: asyncio.Event() for word in (LOADED, READY, STOPPING, LEFT)}
        self._loop.add_reader(self._pidfd, self._reap)
        if report is not None:
            report.setblocking(False)
            self._loop.add_reader(report, self._hear, report)

    def _hear(self, report: socket.socket) -> None:
        try:
            heard, told, *_ = report.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            return
        except OSError:
            heard, told = b"", []
        if (
            not heard and report.type == socket.SOCK_STREAM
        ):  # to the other one anybody may send an empty datagram
            self._loop.remove_reader(report)
        for _, kind, sender in told:  # others may send to an abstract address, too
            if kind == socket.SCM_CREDENTIALS and _CREDENTIALS.unpack(sender)[0] != self.pid:
                return
        for word in heard.split():
            said = self.said.get(_OF_SYSTEMD.get(word, word))
            if said is not None:
                said.set()

    def tell(self, word: bytes) -> None:
        """Say something to an instance, which may be gone or not care."""
        if self._report is not None:
            with contextlib.suppress(OSError):
                self._report.send(word + b"\n")

    async def has_said(self, word: bytes, patience: float) -> bool:
        """Wait until an instance says it; False when that takes too long, or it ends."""
        hearing = asyncio.create_task(self.said[word].wait())
        first: set[asyncio.Future[Any]] = {hearing, self.ended}
        await asyncio.wait(first, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        hearing.cancel()
        return self.said[word].is_set() and not self.ended.done()

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._report is not None:
            self._loop.remove_reader(self._report)
            self._report.close()
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
