"""What the page for people is told as it happens: server-sent events, made once for all who watch.

    start   {"fields", "total_fields", "conditions", "step_seconds", "kept_steps", "number"}; forget what you have
    past    {"name", "steps"}: ten minutes of a backend, oldest step first; of all together where the name is null
    failed  the last failed exchanges, or those that came since, oldest first
    step    {"number", "total", "backends"}: the steps that have just ended, by backend
    now     the status, with more about each backend and the total, every second

A step is a list as `fields` names its parts, or null where nothing is known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event

from heliograph_proxy.admin import history
from heliograph_proxy.admin.history import Track, TrafficHistory
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.runtime import Runtime

Status = Callable[[], dict[str, Any]]


class LiveStream:
    """`start`, then `events` for each who watches, then `stop`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.history = TrafficHistory(time.monotonic(), time.time())
        self._sampled = Event()
        self._now = b""
        self._step = b""
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def _run(self) -> None:
        while True:
            self.sample()
            gevent.sleep(history.SAMPLE_SECONDS)

    def sample(self) -> None:
        """Read the counters, and wake those who watch."""
        balancer, metrics = self._runtime.balancer, self._runtime.metrics
        self.history.sample(time.monotonic(), time.time(), balancer.backends, metrics, len(balancer.queue))
        self._step = b""
        self.changed()

    def changed(self) -> None:
        """Tell this moment anew, without waiting for the next sample."""
        self._now = b""
        sampled, self._sampled = self._sampled, Event()
        sampled.set()

    def events(self, status: Status) -> Iterator[bytes]:
        """What one page is sent, until this process is replaced. `status` gives what /status shows."""
        seen, failures, failed = -1, 0, self._runtime.failed
        while not self._runtime.replaced:
            number = self.history.number
            if seen >= 0 and number == seen + 1:
                yield self._last_step()
            elif number != seen:  # the first time, or too slow
                failures = 0  # the page forgets those as well
                yield from self._past()
            seen = number
            if failed.number > failures:
                news = failed.after(failures)
                failures = failed.number
                yield _event("failed", news)
            yield self._this_moment(status)
            self._sampled.wait()

    def _past(self) -> Iterator[bytes]:
        past = self.history
        # As it is now: while the pieces go out another step may end.
        steps: list[tuple[str | None, list[history.Step]]] = [(None, list(past.total.steps))]
        steps += [(one.name, list(track.steps)) for one, track in past.tracks.items()]
        yield _event(
            "start",
            {
                "fields": history.FIELDS,
                "total_fields": history.TOTAL_FIELDS,
                "conditions": [one.name.lower() for one in history.Condition],
                "step_seconds": history.STEP_SECONDS,
                "kept_steps": history.KEPT_STEPS,
                "number": past.number,
            },
        )
        for name, one in steps:
            yield _event("past", {"name": name, "steps": one})
            gevent.sleep(0)  # ten minutes of fifty backends in one go would hold up requests

    def _last_step(self) -> bytes:
        if not self._step:
            past = self.history
            last = {one.name: track.steps[-1] for one, track in past.tracks.items() if track.steps}
            step = {"number": past.number, "total": past.total.steps[-1], "backends": last}
            self._step = _event("step", step)
        return self._step

    def _this_moment(self, status: Status) -> bytes:
        """Made once a second for all who watch, and not at all while there is none."""
        if not self._now:
            runtime, found = self._runtime, status()
            own = runtime.balancer.backends
            del found["backends"][len(own) :]  # a row has its past; of older generations the page shows sums
            for shown, one in zip(found["backends"], own, strict=True):
                shown.update(self._more(one))
            found["time"] = round(time.time(), 3)
            found["stopping"] = runtime.stopping
            found["waiting"] = len(runtime.balancer.queue)
            found["check_seconds"] = runtime.settings.health.interval + runtime.settings.health.timeout
            found["total"] = _shown(self.history.total)
            self._now = _event("now", found)
        return self._now

    def _more(self, backend: Backend) -> dict[str, Any]:
        """What a row has beside the status. Until the next sample nothing is known of a backend that was just added."""
        track = self.history.tracks.get(backend)
        condition = history.condition(backend, time.monotonic())
        more = {
            **(_shown(track) if track else {}),
            "condition": condition.name.lower(),
            "backup": backend.settings.backup,
            "max_connections": backend.settings.max_connections,
        }
        if track and track.condition is not condition:  # since the last sample
            more["since"] = round(time.time(), 3)
        return more


def _shown(track: Track) -> dict[str, Any]:
    return {"since": round(track.since, 3), **track.figures()._asdict()}


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
