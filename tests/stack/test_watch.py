"""What shows that a part works: a full one, and one that replaces its worker, are not taken for one that is stuck."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from heliograph.stack.watch import Question, Sign, Watch, ask, failure
from tests.stack.loops import in_a_loop_of_its_own

WATCH = Watch(interval=0.02, timeout=0.05, misses=3, patience=0.3, renewal=1.2, lag=0.1)

#: With all the time in the world for a new worker.
SLOW_TO_RENEW = replace(WATCH, renewal=60.0)


class Part:
    """A listener of this process, which takes questions as the tests want it."""

    def __init__(self) -> None:
        self.full = self.frozen = self.closing = self.last = self.stalls = False
        self.kept = asyncio.Event()
        self.asked = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """New connections of a full one wait without an answer, as in the kernel's queue."""
        waits = self.full
        self.writers.append(writer)
        with contextlib.suppress(OSError, EOFError):
            while not self.closing:
                head = await reader.readuntil(b"\r\n\r\n")
                if self.stalls and head.startswith(b"GET "):
                    self.stalls = False
                    time.sleep(1.5 * WATCH.patience)
                if waits or self.frozen:
                    continue
                told = b"Connection: close\r\n" if self.last else b""
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + told + b"\r\n")
                if head.startswith(b"HEAD "):
                    self.asked += 1
                    self.kept.set()
                    if self.last:
                        self.frozen = True
                        break
        writer.close()

    def fill(self) -> None:
        self.full = True

    def freeze(self) -> None:
        self.frozen = True

    def stall(self) -> None:
        """The whole process, for longer than the patience."""
        self.stalls = True

    def end_as_told(self) -> None:
        """After a last answer on its kept connection, which says so."""
        self.last = True

    def close_what_comes(self) -> None:
        self.end_the_worker()
        self.closing = True

    def end_the_worker(self) -> None:
        """Its master keeps the listener, and nobody answers until there is a new one."""
        self.full = True
        for writer in self.writers:
            writer.close()


async def found(act: Callable[[Part], None], wait: float, watch: Watch = WATCH) -> str:
    """Why a part is found stuck within `wait` seconds after `act`; empty when it is not."""
    part = Part()
    server = await asyncio.start_server(part.serve, "127.0.0.1", 0)
    question = Question("127.0.0.1", server.sockets[0].getsockname()[1], "/-/health")
    failing = asyncio.create_task(failure([question], os.getpid(), watch, asyncio.Semaphore(8)))
    try:
        await asyncio.wait_for(part.kept.wait(), 10)
        act(part)
        await asyncio.wait({failing}, timeout=wait)
        return failing.result() if failing.done() else ""
    finally:
        failing.cancel()
        server.close()


@pytest.mark.parametrize("act", [Part.fill, Part.close_what_comes, Part.end_the_worker])
def test_a_part_that_works_is_left_alone(act: Callable[[Part], None]) -> None:
    assert in_a_loop_of_its_own(found(act, 2.5 * WATCH.patience)) == ""


@pytest.mark.parametrize("act", [Part.freeze, Part.end_the_worker])
def test_a_part_that_answers_on_no_connection_is_stuck(act: Callable[[Part], None]) -> None:
    assert in_a_loop_of_its_own(found(act, 10)).endswith("/-/health: no answer")


def test_the_announced_end_of_a_kept_connection_gives_no_patience() -> None:
    told = in_a_loop_of_its_own(found(Part.end_as_told, 10, SLOW_TO_RENEW))
    assert told.endswith("/-/health: no answer")


def test_a_kept_connection_is_not_left_idle() -> None:
    part = Part()

    async def asked() -> str:
        server = await asyncio.start_server(part.serve, "127.0.0.1", 0)
        question = Question("127.0.0.1", server.sockets[0].getsockname()[1], "/-/health")
        watch = replace(WATCH, timeout=60.0)
        failing = asyncio.create_task(failure([question], os.getpid(), watch, asyncio.Semaphore(8)))
        try:
            async with asyncio.timeout(10):
                while part.asked < 3:
                    part.kept.clear()
                    await part.kept.wait()
        finally:
            failing.cancel()
            server.close()
        return ""

    in_a_loop_of_its_own(asked())


def test_a_process_that_did_not_run_itself_concludes_nothing() -> None:
    """Its first missed answer would do, and it does not run while it waits for one."""
    assert in_a_loop_of_its_own(found(Part.stall, 3 * WATCH.patience, replace(WATCH, misses=1))) == ""


def test_an_answer_that_is_not_tls_is_an_answer() -> None:
    async def sign() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        question = Question("127.0.0.1", server.sockets[0].getsockname()[1], "/-/health", tls=True)
        async with server:
            return (await ask(question, 10)).sign.name

    assert in_a_loop_of_its_own(sign()) == Sign.WORKS.name
