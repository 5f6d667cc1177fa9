"""The manager's end of the control socket, and who asks over it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from heliograph.stack import control
from heliograph.stack.beside import CannotReplace
from heliograph.stack.control import ControlError
from heliograph.stack.folder import CONTROL
from tests.stack.loops import in_a_loop_of_its_own

PATIENCE = 60

ASKED = json.dumps({"command": "replace", "part": "web1"}).encode() + b"\n"


class Service:
    """It does what `act` does, and notes what was begun, done and said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.noted: list[str] = []

    async def act(self, command: str, part: str) -> None:
        self.noted.append(f"{command} {part}")
        if part == "refused":
            raise CannotReplace("it is being replaced already")
        if part == "faulty":
            raise LookupError("a fault of ours")
        if part == "unreadable":
            b"token = 'secret'  # caf\xe9".decode()
        if part == "slow":
            try:
                await asyncio.Event().wait()
            finally:
                self.noted.append("taken back")

    async def ask(self, part: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(control.ask, self.folder, control.REPLACE, part)

    async def send(self, line: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self.folder / CONTROL)
            writer.write(line)
            answer = await reader.readline()
            writer.close()
            return answer


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Service]:
    service = Service(folder)
    with control.listening(folder) as listener:
        task = asyncio.create_task(control.serve(listener, service.act, service.said.append))
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def run(folder: Path, work: Callable[[Service], Awaitable[None]]) -> None:
    async def within() -> None:
        async with serving(folder) as service:
            await work(service)

    in_a_loop_of_its_own(within())


def test_what_was_done_and_what_was_refused_is_answered(tmp_path: Path) -> None:
    async def work(service: Service) -> None:
        await service.ask("web1")
        with pytest.raises(ControlError, match=r"^it is being replaced already$"):
            await service.ask("refused")
        assert service.noted == ["replace web1", "replace refused"]

    run(tmp_path, work)


@pytest.mark.parametrize(
    "line", [b"[" * 60000 + b"\n", b"x" * 100_000 + b"\n", b"[]\n", b'{"command": 1}\n', b"\xff\n", b"\n"]
)
def test_a_line_that_is_not_understood_is_answered_and_the_next_command_too(
    tmp_path: Path, line: bytes
) -> None:
    async def work(service: Service) -> None:
        assert json.loads(await service.send(line)) == {"error": "this is not understood"}
        assert json.loads(await service.send(ASKED)) == {"error": ""}

    run(tmp_path, work)


def test_a_fault_in_one_command_is_told_and_ends_no_other(tmp_path: Path) -> None:
    async def work(service: Service) -> None:
        with pytest.raises(ControlError, match="a fault of ours"):
            await service.ask("faulty")
        await service.ask("web1")

    run(tmp_path, work)


def test_a_fault_is_told_without_the_text_at_which_it_was(tmp_path: Path) -> None:
    async def work(service: Service) -> None:
        with pytest.raises(ControlError, match=r"UnicodeDecodeError: .*byte 0xe9") as refused:
            await service.ask("unreadable")
        assert "secret" not in str(refused.value)

    run(tmp_path, work)


def test_what_was_begun_for_a_client_that_leaves_is_taken_back(tmp_path: Path) -> None:
    async def work(service: Service) -> None:
        _, writer = await asyncio.open_unix_connection(tmp_path / CONTROL)
        writer.write(ASKED.replace(b"web1", b"slow"))
        async with asyncio.timeout(PATIENCE):
            while not service.noted:
                await asyncio.sleep(0.01)
            writer.close()
            while "taken back" not in service.noted:
                await asyncio.sleep(0.01)

    run(tmp_path, work)


def test_a_connection_that_cannot_be_accepted_is_told_and_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket of this test listens only after the first attempt: before, accept fails as it does without descriptors."""
    monkeypatch.setattr(control, "ACCEPT_PAUSE", 0.01)

    async def work() -> None:
        said: list[str] = []
        service = Service(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / CONTROL))
            listener.setblocking(False)
            task = asyncio.create_task(control.serve(listener, service.act, said.append))
            async with asyncio.timeout(PATIENCE):
                while not said and not task.done():
                    await asyncio.sleep(0.01)
            listener.listen()
            await service.ask("web1")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert said[0].startswith("commands cannot be accepted: ")

    in_a_loop_of_its_own(work())


def test_who_asks_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_PATIENCE", 0.01)
    with control.listening(tmp_path), pytest.raises(ControlError, match="timed out"):
        control.ask(tmp_path, control.REPLACE, "web1")
