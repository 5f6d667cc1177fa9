"""Whether a part of a stack answers: asked until it does at its start, and over and over while it runs.

Any answer shows a process that works, an error and a closed connection too: what is wrong with an application is not mended by a
new process. One missed answer shows nothing, since the machine may be busy: a part counts as stuck after several, on one and the
same listener, and only while this process itself was not held up. A part that lets new connections wait may have as many as it can
take, so one connection is kept to each listener that keeps it: while any of its listeners answers on any connection, only a
listener that refuses connections counts. A worker that ends closes its kept connections, and its master then starts another one,
which takes a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heliograph.stack.lines import OWN_AGENT

#: How long one question may take at the start of a part.
ASK_TIMEOUT = 2.0

#: Questions under way at once, of all parts.
MAX_ASKED = 64

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
    #: The patience with a part that has closed its kept connection: Gunicorn's old worker has 7 s to end, a new one imports
    #: the application.
    renewal: float = 30.0
    #: What takes so much longer than it may shows that this process did not run. Less than the patience.
    lag: float = 1.0


class Sign(enum.Enum):
    """What a question has shown of the process."""

    WORKS = enum.auto()
    SILENT = enum.auto()
    REFUSES = enum.auto()


@dataclass(frozen=True)
class Reply:
    """To one question: the status, or 0, and the first line or what is wrong."""

    status: int
    told: str
    sign: Sign


async def ask(question: Question, timeout: float) -> Reply:
    """Make a real request on a new connection."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(question)
            try:
                writer.write(_request("GET", question, "close"))
                head = await reader.read(_HEAD_BYTES)
            finally:
                writer.close()
    except TimeoutError:
        return Reply(0, NO_ANSWER, Sign.SILENT)
    except ConnectionRefusedError as exc:
        return Reply(0, str(exc), Sign.REFUSES)
    except (ConnectionError, ssl.SSLError) as exc:
        return Reply(0, str(exc), Sign.WORKS)
    except (OSError, ValueError) as exc:  # ours, as when we have no descriptors left
        return Reply(0, str(exc), Sign.SILENT)
    line = head.partition(b"\r\n")[0].decode("ascii", "replace")
    status = line.removeprefix("HTTP/1.1 ")[:3]
    if not line.startswith("HTTP/1.1 ") or not status.isdigit():
        return Reply(0, line or "the connection was closed", Sign.WORKS)
    return Reply(int(status), line, Sign.WORKS)


async def _connect(question: Question) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        question.host, question.port, ssl=_unverified() if question.tls else None
    )


def _request(method: str, question: Question, connection: str) -> bytes:
    lines = (
        f"{method} {question.path} HTTP/1.1",
        "Host: localhost",
        f"User-Agent: {OWN_AGENT}",
        f"Connection: {connection}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@functools.cache
def _unverified() -> ssl.SSLContext:
    """It is ourselves whom we ask. Without the system's certificates, which take long to load."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def failure(questions: Sequence[Question], pid: int, watch: Watch, slots: asyncio.Semaphore) -> str:
    """Returns once a process does not answer any more: why."""
    signs = Signs(watch)
    watchers = [asyncio.create_task(_unanswered(one, watch, slots, signs)) for one in questions]
    watchers.append(asyncio.create_task(_stopped(pid, watch)))
    kept = [asyncio.create_task(_keep_asking(one, watch, signs)) for one in questions]
    try:
        done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in (*watchers, *kept):
            task.cancel()


class Signs:
    """Until when the silence of a part shows nothing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._clock = asyncio.get_running_loop().time
        self._until = 0.0
        self.works()

    def works(self) -> None:
        """Any of its listeners has answered, or we could not have heard it."""
        self._until = max(self._until, self._clock() + self._watch.patience)

    def closed(self) -> None:
        """It has ended a connection that it had kept before."""
        self._until = max(self._until, self._clock() + self._watch.renewal)

    @property
    def missing(self) -> bool:
        return self._clock() >= self._until


async def _unanswered(question: Question, watch: Watch, slots: asyncio.Semaphore, signs: Signs) -> str:
    clock = asyncio.get_running_loop().time
    answered, misses = clock(), 0
    while True:
        begun = clock()
        async with slots:
            asked = clock()
            reply = await ask(question, watch.timeout)
        if reply.sign is Sign.WORKS or clock() - asked > watch.timeout + watch.lag:
            answered, misses = clock(), 0
            signs.works()
        else:
            misses += 1
        refuses = reply.sign is Sign.REFUSES and clock() - answered >= watch.patience
        if misses >= watch.misses and (refuses or signs.missing):
            return f"GET {question}: {reply.told}"
        if await _held_up(max(watch.interval - (clock() - begun), watch.interval / 5), watch.lag):
            answered, misses = clock(), 0
            signs.works()


async def _keep_asking(question: Question, watch: Watch, signs: Signs) -> None:
    """Note each answer on a connection that is kept, and connect again when it ends. HEAD, whose answers have no body.

    Asked so often that it is not closed for being idle: only a worker that ends closes it without a word.
    """
    while True:
        with contextlib.suppress(OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            reader, writer = await _connect(question)
            kept = False
            try:
                while True:
                    writer.write(_request("HEAD", question, "keep-alive"))
                    head = await reader.readuntil(b"\r\n\r\n")
                    signs.works()
                    kept = b"\nconnection: close" not in head.lower()
                    await asyncio.sleep(watch.interval)
            finally:
                writer.close()
                if kept:
                    signs.closed()
        await asyncio.sleep(watch.interval)


async def _stopped(pid: int, watch: Watch) -> str:
    """A stopped process may be one of several that share a listener, so that the others answer."""
    clock = asyncio.get_running_loop().time
    since: dict[int, float] = {}
    while True:
        since = {one: since.get(one, clock()) for one in _family(pid) if _state(one) == "T"}
        if await _held_up(watch.interval, watch.lag):
            since = {}
        for one, begun in since.items():
            if clock() - begun >= watch.patience and _state(one) == "T":
                return f"process {one} is stopped"


async def _held_up(seconds: float, lag: float) -> bool:
    """Sleep; whether that took so long that nothing can be concluded from what was missed meanwhile."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    await asyncio.sleep(seconds)
    return clock() - begun > seconds + lag


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
