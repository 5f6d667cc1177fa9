"""All parts of a stack: started in stages, watched, and stopped in the order that lets clients finish.

What ends it is a signal (status 0) or a part that cannot start (status 1). Either way nothing is left running. SIGINT,
SIGTERM, SIGQUIT and the end of its terminal stop it; a second one, after a moment, kills what is left at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from heliograph_proxy import signals

from heliograph.stack import control
from heliograph.stack.answering import CannotStart
from heliograph.stack.beside import CannotReplace
from heliograph.stack.child import Child
from heliograph.stack.children import has_terminal
from heliograph.stack.ending import STOPPING
from heliograph.stack.part import Part
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.relay import StackLog
from heliograph.stack.reload import INTERVAL, CodeWatch
from heliograph.stack.reloading import Reloading
from heliograph.stack.spawning import Spawner, Surroundings
from heliograph.stack.watch import MAX_ASKED

#: Wrappers such as make or npm pass a Ctrl-C on that the terminal has sent us as well: not a second request to stop.
SAME_REQUEST = 0.5

#: How long killed processes may take to vanish, and how often we look.
VANISH_PATIENCE, VANISH_INTERVAL = 1.0, 0.01


class Manager:
    """Runs planned processes. `changed` is called with the parts whenever one was started."""

    def __init__(
        self,
        stages: Sequence[Sequence[Plan]],
        around: Surroundings,
        log: StackLog,
        changed: Callable[[Sequence[Part]], None],
        code: CodeWatch | None = None,
        reloading: Reloading | None = None,
    ) -> None:
        """The listening sockets are closed when it stops."""
        slots = asyncio.Semaphore(MAX_ASKED)
        self._listeners = around.listeners

        def part_of(plan: Plan) -> Part:
            reloads = code is not None and plan.kind is PartKind.INSTANCE
            return Part(plan, Spawner(plan, around), log, slots, reloads)

        self._stages = [[part_of(plan) for plan in stage] for stage in stages]
        self._parts = [part for stage in self._stages for part in stage]
        for first, *others in self._stages:
            for part in others:
                part.leader = first
        self._code, self._root, self._reloading = code, around.root, reloading
        self._log = log
        self._say = log.say
        self._changed = changed
        self._supervisors: set[asyncio.Task[None]] = set()
        self._started = False
        self._answering: asyncio.Task[None] | None = None
        self._stop_asked: float | None = None
        self._had_terminal = has_terminal()
        self._over: asyncio.Future[None]
        self._kill_now: asyncio.Future[None]

    async def run(self, announce: Callable[[], Awaitable[None]], stopping: Callable[[], None]) -> int:
        """The exit status. `announce` is called when every part has answered, `stopping` when they are to end."""
        loop = asyncio.get_running_loop()
        self._over, self._kill_now = loop.create_future(), loop.create_future()
        self._listen_to_signals()
        if opened := self._listeners.commands:
            self._answering = asyncio.create_task(control.serve(opened, self.act, self._say))
        following = asyncio.create_task(self._follow_code())
        try:
            for step in (self._start, announce):
                if not self._over.done():
                    await self._until_over(asyncio.ensure_future(step()))
            await self._over
        except CannotStart as exc:
            self._say(str(exc))
            return 1
        finally:
            following.cancel()
            stopping()
            await self._stop()
        return 0

    async def _until_over(self, step: asyncio.Future[None]) -> None:
        """A stop, or a part that cannot start, ends the step."""
        await asyncio.wait({step, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            step.result()
        else:
            step.cancel()

    async def _follow_code(self) -> None:
        """Restart the instances whenever the code has changed; without --reload nobody looks."""
        while self._code:
            await asyncio.sleep(INTERVAL)
            if path := self._code.changed():
                self._say(f"{os.path.relpath(path, self._root)} has changed: instances are restarted")
                for part in self._parts:
                    if part.reloads:
                        part.renew()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in signals.STOPPING:
            loop.add_signal_handler(signum, self._ask_to_stop, signum)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup: the terminal may close
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGUSR1, self._open_logs_anew)
        for signum in (signal.SIGUSR2, *signals.WITHOUT_MEANING):
            loop.add_signal_handler(signum, self._say, f"{signum.name}: ignored, it has no meaning here")
        # Not with a line: where a terminal stops who writes to it in the background, the line would bring the next one.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def _hang_up(self) -> None:
        """The terminal has closed; or an operator wants a reload, as HUP brings elsewhere."""
        if self._had_terminal and not has_terminal():
            self._ask_to_stop(signal.SIGHUP)
        elif self._reloading and self._started and not self._over.done():
            self._reloading.by_signal()
        else:
            self._say("SIGHUP: ignored; the stack is starting or stopping")

    def _open_logs_anew(self) -> None:
        """Tell all who write logs. A part that has not answered yet may not know the signal, and has just opened its logs."""
        for part in self._parts:
            for child in [] if part.plan.foreign else part.children:
                if child.answered:
                    child.send(signal.SIGUSR1)
        self._log.reopen()
        self._say("SIGUSR1: logs are opened anew")

    def _ask_to_stop(self, signum: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        if self._stop_asked is None:
            self._stop_asked = now
            self._say(f"{signum.name}: stopping; once more kills what is left")
            if not self._over.done():
                self._over.set_result(None)
        elif now - self._stop_asked > SAME_REQUEST and not self._kill_now.done():
            self._kill_now.set_result(None)

    async def _start(self) -> None:
        for stage in self._stages:
            self._say(f"starting {', '.join(part.plan.name for part in stage)}")
            for part in stage:
                supervisor = asyncio.create_task(part.supervise(lambda: self._changed(self._parts)))
                supervisor.add_done_callback(self._supervisor_ended)
                self._supervisors.add(supervisor)
            for part in stage:
                await part.ready.wait()
        self._started = True

    def _supervisor_ended(self, supervisor: asyncio.Task[None]) -> None:
        """Only by failing, or because we stop."""
        if not supervisor.cancelled() and (error := supervisor.exception()) and not self._over.done():
            self._over.set_exception(error)

    async def act(self, command: str, name: str) -> Mapping[str, object] | None:
        """What `control` is asked for. Raises CannotReplace."""
        if not self._started or self._over.done():
            raise CannotReplace("the stack is starting or stopping")
        if self._reloading and command == control.CHECK:
            return await self._reloading.check(self._parts)
        if self._reloading and command == control.APPLY:
            await self._reloading.apply(self._parts)
            return None
        part = next((one for one in self._parts if one.plan.name == name), None)
        if part is None:
            raise CannotReplace(f"no part has the name {name}")
        if command == control.REPLACE:
            await part.replace()
        elif command == control.STOP_FIRST:
            part.present.stop_first()
        elif self._reloading and command == control.RENEW:
            await self._reloading.renew(part)
        else:
            raise CannotReplace(f"{command} is not known to this stack; was it started by another version?")
        return None

    async def _stop(self) -> None:
        beginning = [*self._supervisors, *([self._answering] if self._answering else [])]
        for task in beginning:
            task.cancel()
        if self._reloading:
            await self._reloading.stop()
        await asyncio.gather(*beginning, return_exceptions=True)  # none may start a child any more
        self._listeners.close()  # what the parts do not accept any more is refused
        for part in self._parts:
            await part.present.beside.leave_alone()
        for step in STOPPING:
            children = self._running(step.kind)
            for child in children:
                child.send(step.signum)
            if children and step.signum is signal.SIGKILL:
                self._say(f"{step.kind.value}: killed, it took too long to end")
            await self._ended(children, step.patience)
        await self._vanished()
        for part in self._parts:
            part.end_output()

    def _running(self, kind: PartKind) -> list[Child]:
        children = [child for part in self._parts if part.kind is kind for child in part.children]
        return [child for child in children if not child.ended.done()]

    async def _ended(self, children: Sequence[Child], patience: float) -> None:
        """Until all have ended, patience is over, or a second signal has come."""
        if not (children and patience):
            return
        all_ended = asyncio.create_task(asyncio.wait({child.ended for child in children}))
        first: set[asyncio.Future[Any]] = {all_ended, self._kill_now}
        await asyncio.wait(first, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        all_ended.cancel()

    async def _vanished(self) -> None:
        """Until no process of any group is left; killed ones take a moment."""
        children = [child for part in self._parts for child in part.children]
        deadline = asyncio.get_running_loop().time() + VANISH_PATIENCE
        while not all(child.vanished for child in children) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(VANISH_INTERVAL)
