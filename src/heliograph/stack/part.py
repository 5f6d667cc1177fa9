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

from heliograph.stack.answering import Answering, CannotStart
from heliograph.stack.beside import Beside
from heliograph.stack.child import Child, Renewal
from heliograph.stack.ending import FIRST_WAIT, next_wait
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.present import PresentProcess, ended
from heliograph.stack.relay import PartOutput, StackLog
from heliograph.stack.spawning import Spawner

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

    def __init__(
        self, plan: Plan, spawner: Spawner, log: StackLog, slots: asyncio.Semaphore, reloads: bool
    ) -> None:
        self.plan = plan
        self.present = PresentProcess(plan, Beside(plan, self._spawn, log.say), log.say, slots, reloads)
        self.ready = asyncio.Event()
        #: It is ready, or has failed.
        self.settled = asyncio.Event()
        #: Another one of the same program, which tells what is wrong with that for both.
        self.leader: Part | None = None
        #: It is started again when the code has changed: what is broken waits for that.
        self.reloads = reloads
        self._code_changed = asyncio.Event()
        self._renewal = Renewal()
        self._spawner = spawner
        self._log = log
        self._say = log.say
        self._answering = Answering(plan, log.say)
        self._begun: Callable[[], None] = lambda: None

    @property
    def child(self) -> Child | None:
        """Its present process."""
        return self.present.child

    @property
    def kind(self) -> PartKind:
        return self.plan.kind

    def state(self) -> dict[str, object]:
        """For stack.json."""
        plan = self.plan
        pid = self.child.pid if self.child else None
        place = {"name": plan.name, "kind": plan.kind.value, "host": plan.host, "port": plan.port}
        return {**place, "pid": pid, "beside": plan.beside, "health": plan.health}

    @property
    def children(self) -> list[Child]:
        """All of its processes."""
        return [*self.present.beside.children, *([self.child] if self.child else [])]

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
        """Start another process beside the present one, which ends once the new one is ready. Raises CannotReplace."""
        await self.present.replace(self._begun)

    def change(self, plan: Plan, environment: Mapping[str, str]) -> None:
        """What its next process is started with, and how that is asked."""
        self.plan = self._answering.plan = self.present.plan = plan
        self._spawner.change(plan, environment)

    async def _supervise(self) -> None:
        clock = asyncio.get_running_loop().time
        wait = 0.0
        for attempt in itertools.count(1):
            start = clock()
            self._code_changed.clear()
            try:
                child = self.present.child = self._spawn()
            except OSError as exc:
                answered, status, end = False, 1, f"cannot be executed: {exc}"
            else:
                self._begun()
                answered = child.answered = await self._answering.until_answered(child, self.ready.is_set())
                if answered:
                    self._has_answered(child)
                status, end = await (self.present.served(child) if answered else ended(child))
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


async def _let_leader_tell(part: Part) -> None:
    """Before it fails: what it wrote is shown only if its leader has not failed alike, which is told first then."""
    if part.leader:
        await part.leader.settled.wait()
    if part.child and (part.leader is None or part.leader.ready.is_set()):
        part.child.output.release()


def _is_broken(plan: Plan, status: int) -> bool:
    """Whether it is an instance that could not load its application, and would not the next time."""
    return plan.kind is PartKind.INSTANCE and not plan.foreign and status == BROKEN
