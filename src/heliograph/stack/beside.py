"""The processes of a part beside its present one: those that begin, and those that finish."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from heliograph.server.reports import BESIDE, LEAVE, LEFT, LOADED, READY
from heliograph.stack.child import Child
from heliograph.stack.ending import how_it_ended
from heliograph.stack.plan import PartKind, Plan

#: Seconds in which a new process beside the old one must be ready, once it has loaded the application.
READY_PATIENCE = 20.0

#: Seconds in which it must be ready once the old one has ended by itself.
ALONE_PATIENCE = 3.0

#: Seconds in which an old one must say that it accepts no more, and then end: Gunicorn ends its worker after 7.
LEAVE_PATIENCE, END_PATIENCE = 1.0, 9.0

#: Seconds in which an old proxy must end, which relays its tunnels for 30 (`drain` in its configuration) and needs up to 13 more.
PROXY_PATIENCE = 60.0

Say = Callable[[str], None]


class CannotReplace(Exception):
    """The present process stays. Its text is one line."""


class Beside:
    """Of one part."""

    def __init__(self, plan: Plan, spawn: Callable[[bytes], Child], say: Say) -> None:
        self._plan = plan
        self._spawn = spawn
        self._say = say
        self.children: set[Child] = set()
        self._retiring: set[asyncio.Task[None]] = set()

    async def leave_alone(self) -> None:
        """Who has it now ends its processes."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def begin(self, before: Child) -> Child:
        """A new process that is ready. Raises CannotReplace; then it is ended.

        Once the one `before` has ended, nothing accepts: then it has to be ready soon, or the usual start is as quick.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:

                def hurry(_: object) -> None:
                    limit.reschedule(loop.time() + ALONE_PATIENCE)

                before.ended.add_done_callback(hurry)
                try:
                    return await self._begin()
                finally:
                    before.ended.remove_done_callback(hurry)
        except TimeoutError:
            raise CannotReplace(
                f"process {before.pid} of {self._plan.name} has ended before the new one was ready; it is started again as usual"
            ) from None

    async def _begin(self) -> Child:
        try:
            child = self._spawn(BESIDE)
        except OSError as exc:
            raise CannotReplace(f"the new process of {self._plan.name} cannot be executed: {exc}") from exc
        self.children.add(child)
        try:
            await self._until_said(child, LOADED, self._plan.patience)
            await self._until_said(child, READY, READY_PATIENCE)
        except BaseException:
            child.send(signal.SIGKILL)
            child.ended.add_done_callback(lambda _: self._gone(child))
            raise
        self.children.discard(child)
        child.answered = True
        return child

    async def _until_said(self, child: Child, word: bytes, patience: float) -> None:
        if await child.has_said(word, patience):
            return
        of = f"the new process of {self._plan.name}"
        if child.ended.done():
            raise CannotReplace(f"{of} {how_it_ended(child.ended.result())}; its own lines say why")
        raise CannotReplace(f"{of} is not {word.decode()} after {patience:g} s")

    def retire(self, child: Child) -> asyncio.Task[None]:
        """Let a process end in order, while another one serves."""
        self.children.add(child)
        task = asyncio.create_task(self._end_in_order(child))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        child.ended.add_done_callback(lambda _: self._gone(child))
        return task

    async def _end_in_order(self, child: Child) -> None:
        patience = PROXY_PATIENCE  # it has been told, and would end its tunnels at a second signal
        if self._plan.kind is not PartKind.PROXY:
            patience = END_PATIENCE
            child.tell(LEAVE)
            await child.has_said(LEFT, LEAVE_PATIENCE)
            child.send(signal.SIGTERM)
        await asyncio.wait({child.ended}, timeout=patience)
        if not child.ended.done():
            self._say(f"{self._plan.name}: process {child.pid} is killed, it took too long to end")
            child.send(signal.SIGKILL)
            await child.wait()

    def _gone(self, child: Child) -> None:
        child.output.read_all()
        self.children.discard(child)
