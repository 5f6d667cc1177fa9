"""Asks a part that has been started until it answers."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from typing import Any

from heliograph.stack import ports
from heliograph.stack.child import Child
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.watch import ASK_TIMEOUT, ask

#: Between two questions whether it answers: often at first, as most need less than a second, then seldom, as each
#: answer that is not 200 is a line in a log.
FIRST_ASK_INTERVAL, LONGEST_ASK_INTERVAL = 0.05, 0.4


#: Seconds after which a start counts as long, and people are told.
LONG = 10.0


class CannotStart(Exception):
    """A part never answered. Its text is one line."""


class Answering:
    """Of all processes of one part."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self._say = say
        self._last_problem = "no answer"

    async def until_answered(self, child: Child, again: bool) -> bool:
        """Wait until it answers or ends; whether it answered. Raises CannotStart when it never did and takes too long."""
        asking = asyncio.create_task(self._ask(child))
        patience = None if again else self.plan.patience
        first: set[asyncio.Future[Any]] = {asking, child.ended}
        telling = asyncio.get_running_loop().call_later(LONG, self._tell_of_a_long_start, again)
        try:
            await asyncio.wait(first, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
            asking.cancel()
        if asking.done() and not asking.cancelled():
            self._say(f"{self.plan.name} answers{' again' if again else ''}")
            return True
        if not child.ended.done():
            raise CannotStart(
                f"{self.plan.name} cannot start: GET {self.plan.first} is not answered well after {patience:g} s; "
                f"the last time: {self._last_problem}"
            )
        return False

    def _tell_of_a_long_start(self, again: bool) -> None:
        left = "" if again else f"; it has {self.plan.patience:g} s"
        self._say(f"{self.plan.name} takes long to start, {LONG:g} s so far{left}")

    async def _ask(self, child: Child) -> None:
        wait = FIRST_ASK_INTERVAL
        while problem := await _problem(self.plan) or _foreign(self.plan, child):
            self._last_problem = problem
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_ASK_INTERVAL)


async def _problem(plan: Plan) -> str:
    """Nothing when a real request is answered well: any application may say that it has no such page, or fail at it."""
    reply = await ask(plan.first, ASK_TIMEOUT)
    failed = reply.status == http.HTTPStatus.INTERNAL_SERVER_ERROR and plan.kind is not PartKind.INSTANCE
    return "" if failed or 0 < reply.status < http.HTTPStatus.INTERNAL_SERVER_ERROR else reply.told


def _foreign(plan: Plan, child: Child) -> str:
    """Who else answers, having taken the port after we had looked. Who cannot be seen is trusted."""
    if plan.sockets:  # we hold it, and only who is handed it can accept
        return ""
    pid = ports.owner(plan.port)
    if pid is None or ports.descends_from(pid, child.pid):
        return ""
    return f"process {pid} answers there, which is not ours"
