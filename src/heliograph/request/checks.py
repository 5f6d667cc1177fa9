"""What an application says of its readiness: checks with a bound on time, whose results are kept for a moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

import gevent

from heliograph.request.homeloop import HomeLoop

log = logging.getLogger("heliograph")

OK = "ok"

#: OK, or why the application is not ready. It may wait, but must not hold the event loop.
Check = Callable[[], str]

#: Seconds for which results are kept: probes that come faster cost no checks. Less than the proxy's interval of 2 s.
AGE = 1.0

#: Seconds that all checks may take together: longer than the one of channels waits (0.5 s), which then says more, and less than
#: the proxy waits for a probe (1 s).
LIMIT = 0.8


#: A check as applications write them: true, or false; or as `Check` does.
ReadinessFunction = Callable[[], bool | str]


def check_of(function: ReadinessFunction) -> Check:
    def check() -> str:
        outcome = function()
        if isinstance(outcome, str):
            return outcome
        return OK if outcome else "the check says no"

    return check


class CheckResults:
    """The results of `checks`, which may grow later. Each check runs at most once at a time, whoever asks.

    `parts` are those of applications below this one: where they have a check of the same name, all of them must be ok.
    """

    def __init__(
        self, checks: Mapping[str, Check], parts: Iterable[CheckResults] = (), loop: HomeLoop | None = None
    ) -> None:
        """`loop`: where the checks run, by default where they are asked for."""
        self._checks = checks
        self._loop = loop
        self._parts = tuple(parts)
        self._running: dict[str, gevent.Greenlet[[str, Check], str]] = {}
        self._refresh: gevent.Greenlet[[], None] | None = None
        self._results: dict[str, str] = {}
        self._ended = float("-inf")

    def get(self) -> dict[str, str]:
        """By name, not older than AGE. Waits at most LIMIT."""
        return self._get() if self._loop is None else self._loop.call(self._get)

    def _get(self) -> dict[str, str]:
        running = [one for one in (self, *self._parts) if one._begin()]
        for one in running:
            if one._refresh is not None:
                one._refresh.join()
        found = dict(self._results)
        for part in self._parts:
            found.update(
                (name, result) for name, result in part._results.items() if found.get(name, OK) == OK
            )
        return found

    def _begin(self) -> bool:
        """Begin to check where the results are too old; returns whether checks run."""
        if time.monotonic() - self._ended < AGE and len(self._results) == len(self._checks):
            return False
        if self._refresh is None or self._refresh.ready():
            self._refresh = gevent.spawn(self._run)
        return True

    def _run(self) -> None:
        checks = dict(self._checks)
        for name, check in checks.items():
            if name not in self._running:
                self._running[name] = gevent.spawn(_outcome, name, check)
        gevent.joinall(list(self._running.values()), timeout=LIMIT)
        self._results = {name: self._take(name) for name in checks}
        self._ended = time.monotonic()

    def _take(self, name: str) -> str:
        """A check that still runs stays: it is not begun a second time."""
        if not self._running[name].ready():
            return f"no result within {LIMIT:g} s"
        return str(self._running.pop(name).value)


def _outcome(name: str, check: Check) -> str:
    try:
        return check()
    except Exception as exc:
        log.warning("the check %s failed", name, exc_info=exc)
        return f"the check failed: {type(exc).__name__}"
