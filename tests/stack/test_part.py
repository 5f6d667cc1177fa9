"""One part of a stack in a loop of its own, over small real processes on a socket that is handed to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from heliograph.stack import beside
from heliograph.stack.beside import CannotReplace
from heliograph.stack.lines import LineForm, Style
from heliograph.stack.listeners import Listeners
from heliograph.stack.part import Part
from heliograph.stack.plan import DESCRIPTOR_FIELD, PartKind, Plan
from heliograph.stack.ports import Wanted
from heliograph.stack.relay import StackLog
from heliograph.stack.spawning import Spawner, Surroundings
from heliograph.stack.watch import Watch
from tests.stack.loops import in_a_loop_of_its_own

PATIENCE = 60

#: It answers, and does what a file says: end at once with a status, or never be ready. At SIGHUP it says that it stops, and stays.
PROGRAM = """
import os, pathlib, signal, socket, sys, time
act = pathlib.Path(sys.argv[2]).read_text()
if act.isdigit():
    sys.exit(int(act))
if act == "loading":
    time.sleep(1000)
told = os.environ.get("NOTIFY_SOCKET", "")
def stop(*_):
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    to.sendto(b"STOPPING=1", "\\0" + told[1:])
signal.signal(signal.SIGHUP, stop)
signal.signal(signal.SIGUSR1, lambda *_: None)
listener = socket.socket(fileno=int(sys.argv[1]))
listener.setblocking(True)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    connection.close()
"""


class Running:
    """A part, what it does at its next start, and what was said of it."""

    def __init__(self, folder: Path, kind: PartKind) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.act = folder / "act"
        self.act.write_text("serve")
        command = (sys.executable, "-I", "-S", "-c", PROGRAM, DESCRIPTOR_FIELD, str(self.act))
        address = "127.0.0.1", self.port
        watch = Watch(interval=0.2, patience=PATIENCE)
        plan = Plan("web1", kind, command, *address, sockets=(address,), watch=watch)
        self.listeners = Listeners()
        self.listeners.open([Wanted(*address, "PORT", "web1")], {address})
        self.said: list[str] = []
        log = StackLog(LineForm(Style.TEXT, ["web1"]))
        log.say = self.tell  # type: ignore[method-assign]
        around = Surroundings(folder, os.environ, self.listeners)
        self.part = Part(plan, Spawner(plan, around), log, asyncio.Semaphore(4), reloads=False)

    def tell(self, message: str, **_more: object) -> None:
        self.said.append(message)

    async def until_said(self, words: str) -> None:
        await until(lambda: any(words in one for one in self.said))

    def connects(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def pid(self) -> int:
        assert self.part.child is not None
        return self.part.child.pid


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(folder: Path, kind: PartKind = PartKind.INSTANCE) -> AsyncIterator[Running]:
    one = Running(folder, kind)
    supervisor = asyncio.create_task(one.part.supervise(lambda: None))
    try:
        await until(one.part.ready.is_set)
        yield one
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
        await one.part.present.beside.leave_alone()
        for child in one.part.children:
            child.send(signal.SIGKILL)
            await child.wait()
        one.listeners.close()


def test_an_instance_that_cannot_load_its_application_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as one:
            one.act.write_text("3")
            os.kill(one.pid, signal.SIGKILL)
            await one.until_said("web1 was ended by SIGKILL")
            assert one.connects()  # it is back at once, as far as anybody knows
            await one.until_said("web1 ended with status 3")
            assert not one.connects()
            one.act.write_text("serve")
            await one.until_said("web1 answers again")
            assert one.connects()

    in_a_loop_of_its_own(work())


def test_an_instance_that_ends_again_and_again_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as one:
            one.act.write_text("1")
            os.kill(one.pid, signal.SIGKILL)
            await one.until_said("web1 ended with status 1")
            assert not one.connects()

    in_a_loop_of_its_own(work())


def test_an_empty_datagram_of_a_stranger_does_not_keep_the_proxys_words_from_us(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, PartKind.PROXY) as one:
            before = one.part.child
            assert before is not None
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
                environment = Path(f"/proc/{one.pid}/environ").read_bytes()
                name = next(
                    part[15:] for part in environment.split(b"\0") if part.startswith(b"NOTIFY_SOCKET=@")
                )
                stranger.sendto(b"", b"\0" + name)
            os.kill(one.pid, signal.SIGHUP)
            await one.until_said("web1 is stopping")
            await until(lambda: one.part.child is not before)

    in_a_loop_of_its_own(work())


def test_a_proxy_that_does_not_finish_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PROXY_PATIENCE", 0.05)

    async def work() -> None:
        async with running(tmp_path, PartKind.PROXY) as one:
            before = one.part.child
            assert before is not None
            os.kill(before.pid, signal.SIGHUP)
            await one.until_said(f"web1: process {before.pid} is killed, it took too long to end")
            assert await before.wait() == -signal.SIGKILL

    in_a_loop_of_its_own(work())


def test_the_end_of_a_process_does_not_wait_for_the_one_that_begins_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "ALONE_PATIENCE", 0.05)

    async def work() -> None:
        async with running(tmp_path) as one:
            one.act.write_text("loading")
            replacing = asyncio.create_task(one.part.replace())
            await until(lambda: bool(one.part.present.beside.children))
            one.act.write_text("serve")
            os.kill(one.pid, signal.SIGKILL)
            with pytest.raises(CannotReplace, match="has ended before the new one was ready"):
                async with asyncio.timeout(PATIENCE):
                    await replacing
            await one.until_said("web1 answers again")

    in_a_loop_of_its_own(work())


def test_a_process_that_is_being_replaced_is_not_replaced_once_more(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as one:
            before = one.pid
            one.act.write_text("loading")
            replacing = asyncio.create_task(one.part.replace())
            await until(lambda: bool(one.part.present.beside.children))
            with pytest.raises(CannotReplace, match="web1 is being replaced already"):
                await one.part.replace()
            replacing.cancel()  # as when the client of the first one leaves
            await until(lambda: not one.part.present.beside.children)
            assert one.pid == before

    in_a_loop_of_its_own(work())
