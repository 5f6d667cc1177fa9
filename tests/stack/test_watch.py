"""What shows that a part works: a full one, and one that replaces its worker, are not taken for one that is stuck."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from heliograph.stack.watch import Question, Watch, failure

WATCH = Watch(interval=0.02, timeout=0.05, misses=3, patience=0.3, renewal=1.2)


class Part:
    """A listener of this process, which takes questions as the tests want it."""

    def __init__(self) -> None:
        self.full = self.frozen = self.closing = False
        self.kept = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """New connections of a full one wait without an answer, as in the kernel's queue."""
        waits = self.full
        self.writers.append(writer)
        with contextlib.suppress(OSError, EOFError):
            while not self.closing:
                head = await reader.readuntil(b"\r\n\r\n")
                if waits or self.frozen:
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                if head.startswith(b"HEAD "):
                    self.kept.set()
        writer.close()

    def fill(self) -> None:
        self.full = True

    def freeze(self) -> None:
        self.frozen = True

    def close_what_comes(self) -> None:
        self.end_the_worker()
        self.closing = True

    def end_the_worker(self) -> None:
        """Its master keeps the listener, and nobody answers until there is a new one."""
        self.full = True
        for writer in self.writers:
            writer.close()


async def found(act: Callable[[Part], None], wait: float) -> str:
    """Why a part is found stuck within `wait` seconds after `act`; empty when it is not."""
    part = Part()
    server = await asyncio.start_server(part.serve, "127.0.0.1", 0)
    question = Question("127.0.0.1", server.sockets[0].getsockname()[1], "/-/health")
    failing = asyncio.create_task(failure([question], os.getpid(), WATCH, asyncio.Semaphore(8)))
    try:
        await asyncio.wait_for(part.kept.wait(), 10)
        act(part)
        await asyncio.wait({failing}, timeout=wait)
        return failing.result() if failing.done() else ""
    finally:
        failing.cancel()
        server.close()


def in_a_loop_of_its_own(work: Coroutine[Any, Any, str]) -> str:
    """In another thread: the tests with a browser keep a loop running in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


@pytest.mark.parametrize("act", [Part.fill, Part.close_what_comes, Part.end_the_worker])
def test_a_part_that_works_is_left_alone(act: Callable[[Part], None]) -> None:
    assert in_a_loop_of_its_own(found(act, 2.5 * WATCH.patience)) == ""


@pytest.mark.parametrize("act", [Part.freeze, Part.end_the_worker])
def test_a_part_that_answers_on_no_connection_is_stuck(act: Callable[[Part], None]) -> None:
    assert in_a_loop_of_its_own(found(act, 10)).endswith("/-/health: no answer")
