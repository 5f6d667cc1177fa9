"""What the manager of a running stack is asked for, over a Unix socket in its state folder: a line of JSON, and one as the answer.

Who goes before the answer has changed his mind, so that what was begun is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from heliograph.stack.beside import CannotReplace
from heliograph.stack.folder import CONTROL

#: Start another process beside the present one; end the present one, and start the next when it has ended.
REPLACE, STOP_FIRST = "replace", "stop-first"

#: The steps of a reload: read and check everything; have one instance run with that; have proxy and nginx run with it.
CHECK, RENEW, APPLY = "check", "renew", "apply"

#: More than any answer.
_READ_BYTES = 65536

#: Connections that are answered at once; others wait in the kernel's queue.
MOST_ASKED = 32

#: Seconds that a client has for its line, and until the next connection is accepted after one that could not be.
LINE_PATIENCE, ACCEPT_PAUSE = 10.0, 1.0

#: Seconds for an answer: more than a new process has to load the application and be ready, and an old one to end.
ANSWER_PATIENCE = 180.0

#: Gives what is answered.
Act = Callable[[str, str], Awaitable[Mapping[str, object] | None]]


class ControlError(Exception):
    """The manager cannot be asked, or refuses. Its text is one line."""


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A short name: a state folder may be deeper than the address of a socket is long."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{CONTROL}"
    finally:
        os.close(descriptor)


def listening(folder: Path) -> socket.socket:
    """The manager's socket. The folder belongs to this user alone, and to no other stack."""
    (folder / CONTROL).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    with _address(folder) as address:
        found.bind(address)
    found.listen()
    found.setblocking(False)
    return found


async def serve(listener: socket.socket, act: Act, say: Callable[[str], None]) -> None:
    """Answer until cancelled."""
    loop = asyncio.get_running_loop()
    free = asyncio.Semaphore(MOST_ASKED)
    async with asyncio.TaskGroup() as answering:
        while True:
            await free.acquire()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as exc:  # as when we have no descriptors left
                say(f"commands cannot be accepted: {exc}; trying again in {ACCEPT_PAUSE:g} s")
                await asyncio.sleep(ACCEPT_PAUSE)
                free.release()
            else:
                answering.create_task(_answer(connection, act)).add_done_callback(lambda _: free.release())


async def _answer(connection: socket.socket, act: Act) -> None:
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            if answer := await _answered(reader, act):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()


async def _answered(reader: asyncio.StreamReader, act: Act) -> dict[str, Any] | None:
    """None when who asked has gone."""
    try:
        async with asyncio.timeout(LINE_PATIENCE):
            asked = json.loads(await reader.readline())
        command, part = str(asked["command"]), str(asked["part"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"error": "this is not understood"}
    acting = asyncio.ensure_future(_outcome(act, command, part))
    gone = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait({acting, gone}, return_when=asyncio.FIRST_COMPLETED)
        return acting.result() if acting.done() else None
    finally:
        acting.cancel()
        gone.cancel()
        await asyncio.gather(acting, gone, return_exceptions=True)


async def _outcome(act: Act, command: str, part: str) -> dict[str, Any]:
    try:
        answer = await act(command, part)
    except CannotReplace as exc:
        return {"error": str(exc)}
    except Exception as exc:  # the next command may work
        told = " ".join(str(exc).split())  # not its repr, which may have a whole file with secrets
        return {"error": f"the manager failed: {type(exc).__name__}: {told}"}
    return {"error": "", **(answer or {})}


def ask(folder: Path, command: str, part: str = "") -> dict[str, Any]:
    """Have the manager of the stack in this folder do something, and wait until it has: its answer. Raises ControlError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection, _address(folder) as address:
            connection.settimeout(ANSWER_PATIENCE)
            connection.connect(address)
            connection.sendall(json.dumps({"command": command, "part": part}).encode() + b"\n")
            with connection.makefile() as answers:
                answer: dict[str, Any] = json.loads(answers.readline(_READ_BYTES))
                error = answer["error"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        told = " ".join(str(exc).split())
        raise ControlError(f"the manager of the stack in {folder} does not answer: {told}") from exc
    if error:
        raise ControlError(str(error))
    return answer
