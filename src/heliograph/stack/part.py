"""One supervised process of a stack: started, asked whether it answers, started again with back-off when it dies.

begin ── answers ──▶ ready ── dies, or is killed because it answers no more ──▶ wait ──▶ begin …
  │                    ├───── says that it stops ──▶ begin, while it finishes
  │                    └───── `replace`: another one beside it says that it is ready, and takes its place
  └──── dies, or does not answer in time, before it ever was ready ──▶ CannotStart
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Callable, Mapping
from typing import Any

from heliograph.server.reports import STOPPING
from heliograph.stack.answering import Answering, CannotStart
from heliograph.stack.beside import Beside, CannotReplace
from heliograph.stack.child import Child, Renewal
from heliograph.stack.ending import FIRST_WAIT, how_it_ended, next_wait
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.relay import PartOutput, StackLog
from heliograph.stack.spawning import Spawner
from heliograph.stack.watch import failure

#: Ends before the first answer until the part counts as one that cannot start. The first may have a passing cause, such
#: as a port that is just freed.
START_ATTEMPTS = 2

#: The status of an instance whose application cannot be loaded (`heliograph.server.loading.BOOT_ERROR`, which needs gevent).
BROKEN = 3

#: Seconds in which another server may end in order when the code has changed.
RENEWAL_GRACE = 1.0

#: Of two changes within so many seconds, Gunicorn may have ended by the first one without a look at the second.
UNCERTAIN = 10.0


class Part:
    """A planned process and, once `supervise` runs, its present child process."""

    def __init__(self, plan: Plan, spawner: Spawner, log: StackLog, slots: asyncio.Semaphore) -> None:
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
        self._spawner = spawner
        self._log = log
        self._say = log.say
        self._answering = Answering(plan, log.say)
        self._begun: Callable[[], None] = lambda: None
        self.beside = Beside(plan, self._spawn, log.say)
        self._replacing = asyncio.Lock()
        self._replaced = asyncio.Event()
        #: It is not to be replaced before it has ended.
        self._ends_first: Child | None = None

    @property
    def kind(self) -> PartKind:
        return self.plan.kind

    def state(self) -> dict[str, object]:
        """For stack.json."""
        plan = self.plan
        pid = self.child.pid if self.child else None
        place = {"name": plan.name, "kind": plan.kind.value, "host": plan.host, "port": plan.port}
        return {**place, "pid": pid, "beside": plan.beside}

    @property
    def children(self) -> list[Child]:
        """All of its processes."""
        return [*self.beside.children, *([self.child] if self.child else [])]

    def end_output(self) -> None:
        """Write what its processes have written up to their ends."""
        for child in self.children:
            child.output.read_all()

    async def supervise(self, begun: Callable[[], None]) -> None:
        """Start it again whenever it ends; `begun` is called at each start. Raises CannotStart."""
        self._begun = begun
        try:
            await self._supervise()
        except CannotStart:
            await _let_leader_tell(self)
            raise
        finally:
            self.settled.set()

    async def replace(self) -> None:
        """Start another process beside the present one, and end that once the new one is ready. Raises CannotReplace."""
        name = self.plan.name
        if not self.plan.beside:
            raise CannotReplace(
                f"{name} is no instance on a socket of the manager; only beside such a process another can start"
            )
        if self._replacing.locked():
            raise CannotReplace(f"{name} is being replaced already")
        async with self._replacing:
            before = self.child
            if before is None or before.ended.done() or not before.answered:
                raise CannotReplace(f"{name} is not running just now")
            self.child = await self.beside.begin(before)
            self._begun()
            self._replaced.set()
        self._say(f"{name}: process {self.child.pid} has taken the place of {before.pid}")
        await asyncio.shield(self.beside.retire(before))

    def change(self, plan: Plan, environment: Mapping[str, str]) -> None:
        """What its next process is started with, and how that is asked."""
        self.plan = self._answering.plan = plan
        self._spawner.change(plan, environment)

    def stop_first(self) -> None:
        """End the present process; the next one is started when it has ended. Raises CannotReplace."""
        if self.child is None or self.child.ended.done():
            raise CannotReplace(f"{self.plan.name} is not running just now")
        self._ends_first = self.child
        self.child.send(signal.SIGTERM)

    async def _supervise(self) -> None:
        clock = asyncio.get_running_loop().time
        wait = 0.0
        for attempt in itertools.count(1):
            start = clock()
            self._code_changed.clear()
            try:
                child = self.child = self._spawn()
            except OSError as exc:
                answered, status, end = False, 1, f"cannot be executed: {exc}"
            else:
                self._begun()
                answered = child.answered = await self._answering.until_answered(child, self.ready.is_set())
                if answered:
                    self._has_answered(child)
                status, end = await (self._served(child) if answered else _ended(child))
            if self.reloads and await self._with_changed_code(status, end):
                continue
            if not self.ready.is_set() and (attempt >= START_ATTEMPTS or _is_broken(self.plan, status)):
                times = f", {attempt} times" if attempt > 1 else ""
                raise CannotStart(
                    f"{self.plan.name} cannot start: it {end}{times}; its own lines above say why"
                )
            wait = next_wait(wait, clock() - start, in_order=answered and status == 0)
            if _is_broken(self.plan, status) or wait > FIRST_WAIT:
                self._spawner.refuse()
            self._say(f"{self.plan.name} {end}; starting it again {f'in {wait:g} s' if wait else 'at once'}")
            with contextlib.suppress(TimeoutError):  # changed code may work
                await asyncio.wait_for(self._code_changed.wait(), wait)

    def _has_answered(self, child: Child) -> None:
        self.ready.set()
        self.settled.set()
        child.output.release()

    async def _with_changed_code(self, status: int, end: str) -> bool:
        """Whether to begin anew at once: it was ended for that, or it was broken, until another try may end otherwise."""
        if self._renewal.ended or (_is_broken(self.plan, status) and self._renewal.uncertain):
            self._renewal = Renewal()
            return True
        if self.ready.is_set() and not _is_broken(self.plan, status):
            return False
        self._say(f"{self.plan.name} {end}; it is started again when the code has changed")
        self._spawner.refuse()
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

    def _spawn(self, word: bytes = b"") -> Child:
        """A process; `word` is what an instance is told before it begins."""
        plan = self.plan
        held = self.leader is not None and not self.ready.is_set()
        output = PartOutput(self._log, plan.name, held=held, requests=plan.kind is PartKind.PROXY)
        return self._spawner.start(output, word)

    async def _served(self, child: Child) -> tuple[int, str]:
        """Watch a process, and those that take its place, until one has ended and none has: its status, and that in words."""
        while True:
            end = await self._watched(child)
            async with self._replacing:  # one that begins beside it may take its place
                self._replaced.clear()
            if self.child is child and end is not None:
                return end
            assert self.child is not None
            child = self.child

    async def _watched(self, child: Child) -> tuple[int, str] | None:
        """How it ended, in order too where it says that it will; None once another one is in its place."""
        failing = asyncio.create_task(failure(self.plan.questions, child.pid, self.plan.watch, self._slots))
        replaced = asyncio.create_task(self._replaced.wait())
        stopping = asyncio.create_task(self._stops(child))
        first: set[asyncio.Future[Any]] = {failing, replaced, stopping, child.ended}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if replaced.done():
                return None
            if stopping.done() and not child.ended.done():
                self.beside.retire(child)
                return 0, "is stopping"
            if not child.ended.done():
                self._say(f"{self.plan.name} does not answer any more ({failing.result()}); it is killed")
                child.send(signal.SIGKILL)
            return await _ended(child)
        finally:
            for task in (failing, replaced, stopping):
                task.cancel()

    async def _stops(self, child: Child) -> None:
        """Until it says that it stops, and another one is wanted in its place at once. Gunicorn renews its worker with --reload."""
        await child.said[STOPPING].wait()
        if self.reloads or self._ends_first is child:
            await child.wait()


async def _let_leader_tell(part: Part) -> None:
    """Before it fails: what it wrote is shown only if its leader has not failed alike, which is told first then."""
    if part.leader:
        await part.leader.settled.wait()
    if part.child and (part.leader is None or part.leader.ready.is_set()):
        part.child.output.release()


def _is_broken(plan: Plan, status: int) -> bool:
    """Whether it is an instance that could not load its application, and would not the next time."""
    return plan.kind is PartKind.INSTANCE and not plan.foreign and status == BROKEN


async def _ended(child: Child) -> tuple[int, str]:
    status = await child.wait()
    child.output.read_all()
    return status, how_it_ended(status)
