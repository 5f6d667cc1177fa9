"""One supervised process of a stack: started, asked whether it answers, started again with back-off when it dies.

begin ── answers ──▶ ready ── dies, or is killed because it answers no more ──▶ wait ──▶ begin …
  └──── dies, or does not answer in time, before it ever was ready ──▶ CannotStart
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import itertools
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from heliograph.stack import ports
from heliograph.stack.child import Child, Renewal
from heliograph.stack.children import spawn
from heliograph.stack.ending import how_it_ended, next_wait
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.relay import PartOutput, StackLog
from heliograph.stack.watch import ASK_TIMEOUT, ask, failure

#: Ends before the first answer until the part counts as one that cannot start. The first may have a passing cause, such
#: as a port that is just freed.
START_ATTEMPTS = 2

#: The status of an instance whose application cannot be loaded (`heliograph.server.loading.BOOT_ERROR`, which needs gevent).
BROKEN = 3

#: Between two questions whether it answers: often at first, as most need less than a second, then seldom, as each
#: answer that is not 200 is a line in a log.
FIRST_ASK_INTERVAL, LONGEST_ASK_INTERVAL = 0.05, 0.4

#: Seconds after which a start counts as long, and people are told.
LONG = 10.0


#: Seconds in which another server may end in order when the code has changed.
RENEWAL_GRACE = 1.0

#: Of two changes within so many seconds, Gunicorn may have ended by the first one without a look at the second.
UNCERTAIN = 10.0


class CannotStart(Exception):
    """A part never answered. Its text is one line."""


class Part:
    """A planned process and, once `supervise` runs, its present child process."""

    def __init__(
        self, plan: Plan, root: Path, environment: Mapping[str, str], log: StackLog, slots: asyncio.Semaphore
    ) -> None:
        self.plan = plan
        self.child: Child | None = None
        self.ready = asyncio.Event()
        #: It is ready, or has failed.
        self.settled = asyncio.Event()
        #: Another one of the same program, which tells what is wrong with that for both.
        self.leader: Part | None = None
        #: It is started again when the code has changed: what is broken waits for that.
        self.reloads = False
        self._code_changed = asyncio.Event()
        self._renewal = Renewal()
        self._slots = slots
        self._root = root
        self._environment = {**environment, **plan.extra}
        self._log = log
        self._say = log.say
        self._output: PartOutput | None = None
        self._last_problem = "no answer"

    @property
    def kind(self) -> PartKind:
        return self.plan.kind

    def state(self) -> dict[str, object]:
        """For stack.json."""
        plan = self.plan
        pid = self.child.pid if self.child else None
        return {"name": plan.name, "kind": plan.kind.value, "host": plan.host, "port": plan.port, "pid": pid}

    def end_output(self) -> None:
        """Write what its process has written up to its end."""
        if self._output:
            self._output.read_all()

    async def supervise(self, begun: Callable[[], None]) -> None:
        """Start it again whenever it ends; `begun` is called at each start. Raises CannotStart."""
        try:
            await self._supervise(begun)
        except CannotStart:
            await self._let_leader_tell()
            raise
        finally:
            self.settled.set()

    async def _let_leader_tell(self) -> None:
        """Before this one fails: what it wrote is shown only if its leader has not failed alike, which is told first then."""
        if self.leader:
            await self.leader.settled.wait()
        if self._output and (self.leader is None or self.leader.ready.is_set()):
            self._output.release()

    async def _supervise(self, begun: Callable[[], None]) -> None:
        clock = asyncio.get_running_loop().time
        wait = 0.0
        for attempt in itertools.count(1):
            start = clock()
            self._code_changed.clear()
            try:
                self.child = Child(self._spawn())
            except OSError as exc:
                answered, status, end = False, 1, f"cannot be executed: {exc}"
            else:
                begun()
                answered = self.child.answered = await self._answers(self.child)
                status = await self._watched(self.child) if answered else await self.child.wait()
                end = how_it_ended(status)
                self.end_output()
            if self.reloads and await self._with_changed_code(status, end):
                continue
            if not self.ready.is_set() and (attempt >= START_ATTEMPTS or self._is_broken(status)):
                times = f", {attempt} times" if attempt > 1 else ""
                raise CannotStart(
                    f"{self.plan.name} cannot start: it {end}{times}; its own lines above say why"
                )
            wait = next_wait(wait, clock() - start, in_order=answered and status == 0)
            self._say(f"{self.plan.name} {end}; starting it again {f'in {wait:g} s' if wait else 'at once'}")
            with contextlib.suppress(TimeoutError):  # changed code may work
                await asyncio.wait_for(self._code_changed.wait(), wait)

    async def _with_changed_code(self, status: int, end: str) -> bool:
        """Whether to begin anew at once: it was ended for that, or it was broken, until another try may end otherwise."""
        if self._renewal.ended or (self._is_broken(status) and self._renewal.uncertain):
            self._renewal = Renewal()
            return True
        if self.ready.is_set() and not self._is_broken(status):
            return False
        self._say(f"{self.plan.name} {end}; it is started again when the code has changed")
        self.settled.set()
        self._code_changed.clear()
        await self._code_changed.wait()
        self._renewal = Renewal()
        return True

    def renew(self) -> None:
        """Have the changed code run. Gunicorn keeps its listener, and what connects meanwhile waits for its next worker."""
        self._code_changed.set()
        child, now = self.child, asyncio.get_running_loop().time()
        if child is None or child.ended.done():
            return
        gracefully = child.answered and not self.plan.foreign
        self._renewal = Renewal(not gracefully, now - self._renewal.at < UNCERTAIN, now)
        if gracefully:
            child.send(signal.SIGHUP)
        else:
            child.send(signal.SIGTERM)
            asyncio.get_running_loop().call_later(RENEWAL_GRACE, child.send, signal.SIGKILL)

    def _is_broken(self, status: int) -> bool:
        """Whether it is an instance that could not load its application, and would not the next time."""
        return self.plan.kind is PartKind.INSTANCE and not self.plan.foreign and status == BROKEN

    def _spawn(self) -> subprocess.Popen[bytes]:
        plan = self.plan
        held = self.leader is not None and not self.ready.is_set()
        self._output = PartOutput(self._log, plan.name, held=held, requests=plan.kind is PartKind.PROXY)
        out, err = self._output.descriptors
        try:
            process = spawn(
                plan.command,
                cwd=self._root,
                environment=self._environment,
                output=out,
                errors=err,
                umask=plan.umask,
            )
        except OSError:
            self._output.close()
            raise
        self._output.started()
        return process

    async def _watched(self, child: Child) -> int:
        """Its status. One that answers no more is killed."""
        failing = asyncio.create_task(failure(self.plan.questions, child.pid, self.plan.watch, self._slots))
        first: set[asyncio.Future[Any]] = {failing, child.ended}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not child.ended.done():
                self._say(f"{self.plan.name} does not answer any more ({failing.result()}); it is killed")
                child.send(signal.SIGKILL)
            return await child.wait()
        finally:
            failing.cancel()

    async def _answers(self, child: Child) -> bool:
        """Wait until it answers or ends; whether it answered. Raises CannotStart when it never did and takes too long."""
        asking = asyncio.create_task(self._ask_until_it_answers(child))
        patience = None if self.ready.is_set() else self.plan.patience
        first: set[asyncio.Future[Any]] = {asking, child.ended}
        telling = asyncio.get_running_loop().call_later(LONG, self._tell_of_a_long_start)
        try:
            await asyncio.wait(first, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
            asking.cancel()
        if asking.done() and not asking.cancelled():
            self._say(f"{self.plan.name} answers{' again' if self.ready.is_set() else ''}")
            self.ready.set()
            self.settled.set()
            if self._output:
                self._output.release()
            return True
        if not child.ended.done():
            raise CannotStart(
                f"{self.plan.name} cannot start: GET {self.plan.first} is not answered well after {patience:g} s; "
                f"the last time: {self._last_problem}"
            )
        return False

    def _tell_of_a_long_start(self) -> None:
        left = "" if self.ready.is_set() else f"; it has {self.plan.patience:g} s"
        self._say(f"{self.plan.name} takes long to start, {LONG:g} s so far{left}")

    async def _ask_until_it_answers(self, child: Child) -> None:
        wait = FIRST_ASK_INTERVAL
        while problem := await self._problem() or self._foreign(child):
            self._last_problem = problem
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_ASK_INTERVAL)

    async def _problem(self) -> str:
        """Nothing when a real request is answered well: any application may say that it has no such page, or fail at it."""
        reply = await ask(self.plan.first, ASK_TIMEOUT)
        failed = reply.status == http.HTTPStatus.INTERNAL_SERVER_ERROR and self.kind is not PartKind.INSTANCE
        return "" if failed or 0 < reply.status < http.HTTPStatus.INTERNAL_SERVER_ERROR else reply.told

    def _foreign(self, child: Child) -> str:
        """Who else answers, having taken the port after we had looked. Who cannot be seen is trusted."""
        pid = ports.owner(self.plan.port)
        if pid is None or ports.descends_from(pid, child.pid):
            return ""
        return f"process {pid} answers there, which is not ours"
