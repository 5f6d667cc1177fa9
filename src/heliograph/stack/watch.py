"""Whether a part of a stack answers: asked until it does at its start, and over and over while it runs.

Any answer shows a process that works, an error too: what is wrong with an application is not mended by a new process. One missed
answer shows nothing, since the machine may be busy: a part counts as stuck after several, on one and the same listener, and only
while this process itself was not held up. While another listener of it answers, only a listener that refuses counts: one that lets
connections wait may have as many as it can take.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: How long one question may take at the start of a part.
ASK_TIMEOUT = 2.0

#: Questions under way at once, of all parts.
MAX_ASKED = 64

#: A sleep of ours that takes so much longer shows that this process did not run.
LAG = 1.0

NO_ANSWER = "no answer"

#: More than the head of any answer to a health check.
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Question:
    """What a listener is asked."""

    host: str
    port: int
    path: str
    tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


@dataclass(frozen=True)
class Watch:
    """How often a part is asked, how long an answer may take, and what counts as stuck. Found after 10 s, at the latest 13."""

    interval: float = 1.0
    timeout: float = 3.0
    misses: int = 3
    patience: float = 9.0


async def ask(question: Question, timeout: float) -> tuple[int, str]:
    """Make a real request; the status of the answer, or 0 and what is wrong."""
    request = f"GET {question.path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: script/server\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                question.host, question.port, ssl=_unverified() if question.tls else None
            )
            try:
                writer.write(request.encode())
                head = await reader.read(_HEAD_BYTES)
            finally:
                writer.close()
    except TimeoutError:
        return 0, NO_ANSWER
    except (OSError, ValueError) as exc:
        return 0, str(exc)
    line = head.partition(b"\r\n")[0].decode("ascii", "replace")
    status = line.removeprefix("HTTP/1.1 ")[:3]
    if not line.startswith("HTTP/1.1 ") or not status.isdigit():
        return 0, line or "the connection was closed"
    return int(status), line


def _unverified() -> ssl.SSLContext:
    """It is ourselves whom we ask."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def failure(questions: Sequence[Question], pid: int, watch: Watch, slots: asyncio.Semaphore) -> str:
    """Returns once a process does not answer any more: why."""
    latest = Latest(asyncio.get_running_loop().time())
    watchers = [asyncio.create_task(_unanswered(one, watch, slots, latest)) for one in questions]
    watchers.append(asyncio.create_task(_stopped(pid, watch)))
    try:
        done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for watcher in watchers:
            watcher.cancel()


@dataclass
class Latest:
    """When any listener of a part answered for the last time."""

    at: float


async def _unanswered(question: Question, watch: Watch, slots: asyncio.Semaphore, latest: Latest) -> str:
    clock = asyncio.get_running_loop().time
    answered, misses = clock(), 0
    while True:
        begun = clock()
        async with slots:
            status, problem = await ask(question, watch.timeout)
        if status:
            answered, misses = clock(), 0
            latest.at = answered
        else:
            misses += 1
        since = latest.at if problem == NO_ANSWER else answered
        if misses >= watch.misses and clock() - since >= watch.patience:
            return f"GET {question}: {problem}"
        if await _held_up(max(watch.interval - (clock() - begun), watch.interval / 5)):
            answered, misses = clock(), 0
            latest.at = answered


async def _stopped(pid: int, watch: Watch) -> str:
    """A stopped process may be one of several that share a listener, so that the others answer."""
    clock = asyncio.get_running_loop().time
    since: dict[int, float] = {}
    while True:
        since = {one: since.get(one, clock()) for one in _family(pid) if _state(one) == "T"}
        if await _held_up(watch.interval):
            since = {}
        for one, begun in since.items():
            if clock() - begun >= watch.patience and _state(one) == "T":
                return f"process {one} is stopped"


async def _held_up(seconds: float) -> bool:
    """Sleep; whether that took so long that nothing can be concluded from what was missed meanwhile."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    await asyncio.sleep(seconds)
    return clock() - begun > seconds + LAG


def _family(pid: int) -> list[int]:
    """A process and its children: masters of Gunicorn and nginx have workers, which have none."""
    with contextlib.suppress(OSError):
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return [pid]


def _state(pid: int) -> str:
    """The letter of /proc/PID/stat, behind the name of the program in parentheses; T is stopped by a signal."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""
