"""What the manager of a running stack is asked for, over a Unix socket in its state folder: a line of JSON, and one as the answer.

Who goes before the answer has changed his mind, so that what was begun is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from heliograph.stack.beside import CannotReplace
from heliograph.stack.folder import CONTROL

#: Start another process beside the present one; end the present one, and start the next when it has ended.
REPLACE, STOP_FIRST = "replace", "stop-first"

#: More than any answer.
_READ_BYTES = 65536

Act = Callable[[str, str], Awaitable[None]]


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


async def serve(listener: socket.socket, act: Act) -> None:
    """Answer until cancelled."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as answering:
        while True:
            connection, _ = await loop.sock_accept(listener)
            answering.create_task(_answer(connection, act))


async def _answer(connection: socket.socket, act: Act) -> None:
    with contextlib.suppress(OSError, ValueError):
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            asked = json.loads(await reader.readline())
            acting = asyncio.ensure_future(_outcome(act, str(asked["command"]), str(asked["part"])))
            gone = asyncio.create_task(reader.read())
            try:
                await asyncio.wait({acting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if acting.done():
                    writer.write(json.dumps(acting.result()).encode() + b"\n")
                    await writer.drain()
            finally:
                acting.cancel()
                gone.cancel()
                await asyncio.gather(acting, gone, return_exceptions=True)
        except (KeyError, TypeError):
            writer.write(b'{"error": "this is not understood"}\n')
        finally:
            writer.close()


async def _outcome(act: Act, command: str, part: str) -> dict[str, Any]:
    try:
        await act(command, part)
    except CannotReplace as exc:
        return {"error": str(exc)}
    return {"error": ""}


def ask(folder: Path, command: str, part: str) -> None:
    """Have the manager of the stack in this folder do something, and wait until it has. Raises ControlError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection, _address(folder) as address:
            connection.connect(address)
            connection.sendall(json.dumps({"command": command, "part": part}).encode() + b"\n")
            with connection.makefile() as answers:
                error = json.loads(answers.readline(_READ_BYTES))["error"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        told = " ".join(str(exc).split())
        raise ControlError(f"the manager of the stack in {folder} does not answer: {told}") from exc
    if error:
        raise ControlError(str(error))
