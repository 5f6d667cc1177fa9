"""The process of a part that serves at present: watched until it ends, says that it stops, or another one takes its place.

One that answers no more is killed. One that says that it stops finishes beside the next one.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from heliograph.server.reports import STOPPING
from heliograph.stack.beside import Beside, CannotReplace
from heliograph.stack.child import Child
from heliograph.stack.ending import how_it_ended
from heliograph.stack.plan import Plan
from heliograph.stack.watch import failure

#: A status, and that in words.
End = tuple[int, str]


class PresentProcess:
    """Of one part. `reloads`: it is started again when the code has changed, by its own master where it has one."""

    def __init__(
        self,
        plan: Plan,
        beside: Beside,
        say: Callable[[str], None],
        slots: asyncio.Semaphore,
        reloads: bool,
    ) -> None:
        self.plan = plan
        self.child: Child | None = None
        self.beside = beside
        self._say = say
        self._slots = slots
        self._reloads = reloads
        self._replacing = asyncio.Lock()
        self._replaced = asyncio.Event()
        #: It is not to be replaced before it has ended.
        self._ends_first: Child | None = None

    async def replace(self, begun: Callable[[], None]) -> None:
        """Start another process beside the present one, and end that once the new one is ready. Raises CannotReplace.

        `begun` is called when the new one has taken the place.
        """
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
            begun()
            self._replaced.set()
        self._say(f"{name}: process {self.child.pid} has taken the place of {before.pid}")
        await asyncio.shield(self.beside.retire(before))

    def stop_first(self) -> None:
        """End the present process; the next one is started when it has ended. Raises CannotReplace."""
        if self.child is None or self.child.ended.done():
            raise CannotReplace(f"{self.plan.name} is not running just now")
        self._ends_first = self.child
        self.child.send(signal.SIGTERM)

    async def served(self, child: Child) -> End:
        """Watch a process, and those that take its place, until one has ended and none has: how."""
        while True:
            end = await self._watched(child)
            async with self._replacing:  # one that begins beside it may take its place
                self._replaced.clear()
            if self.child is child and end is not None:
                return end
            assert self.child is not None
            child = self.child

    async def _watched(self, child: Child) -> End | None:
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
            return await ended(child)
        finally:
            for task in (failing, replaced, stopping):
                task.cancel()

    async def _stops(self, child: Child) -> None:
        """Until it says that it stops, and another one is wanted in its place at once. Gunicorn renews its worker with --reload."""
        await child.said[STOPPING].wait()
        if self._reloads or self._ends_first is child:
            await child.wait()


async def ended(child: Child) -> End:
    """Wait for it, and write the last that it wrote."""
    status = await child.wait()
    child.output.read_all()
    return status, how_it_ended(status)
