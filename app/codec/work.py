"""CPU work in native threads, so that the event loop goes on answering.

`CodecJobs` bounds how many run at once and how many wait, and what one client has of both; more are refused with
`CodecsBusy`. A job that needs much memory takes several slots, so that memory is bounded too. A job is a sequence of steps.
Each step runs in a native thread; between steps the job's greenlet is back on the event loop and may stop the job.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from flask import current_app
from gevent.event import Event
from gevent.threadpool import ThreadPool
from prometheus_client import CollectorRegistry, Gauge

from app.codec.slots import SlotRequest, Slots
from app.problems import CodecsBusy
from heliograph.request.client import current_client
from heliograph.request.threads import in_thread

T = TypeVar("T")

EXTENSION = "codec_jobs"

#: Bytes of memory that a slot stands for. Hardly any job needs more; the compressor that needs most takes three slots.
SLOT_MEMORY = 256 << 20

#: Seconds that a job waits for its slots. Whoever waits longer is better told to come again.
MAX_WAIT = 10.0

#: Seconds until a thread releases the interpreter after the event loop asked for it. A request asks some ten times, and codecs that
#: are written in Python would keep it for 5 ms each time, the default. Measured beside four of them, p99 of /healthz: 130 ms with
#: the default, 33 ms with 1 ms, 17 ms with 0.2 ms.
SWITCH_INTERVAL = 0.0005


class CodecJobs:
    """At most `size` jobs at once, and as many again waiting; of each one client has at most three quarters (`slots.py`)."""

    def __init__(self, size: int, registry: CollectorRegistry, max_wait: float = MAX_WAIT) -> None:
        self._max_wait = max_wait
        self._slots = Slots(size)
        self._pool: ThreadPool | None = None
        self._running = Gauge("heliograph_codec_jobs", "Codec jobs running", registry=registry)
        self._queued = Gauge("heliograph_codec_jobs_waiting", "Codec jobs waiting", registry=registry)
        self._queued.set_function(lambda: len(self._slots.waiting))

    @contextmanager
    def job(self, memory: int = 0, client: str | None = None) -> Iterator[Callable[..., T]]:
        """Hold slots for a job of so many bytes of `memory`; waits until they are free. Raises CodecsBusy when that takes too long.

        The value is a function that runs one step: it calls its first argument with the others in a native thread. A job that
        needs more memory than there is gets all slots that its client may have. `client`: by default that of the current request.
        """
        slots, started = self._slots, Event()
        client = current_client() if client is None else client
        count = slots.fitting(client, math.ceil(memory / SLOT_MEMORY))
        request = SlotRequest(client, count, started.set)
        if not slots.arrive(request):
            raise CodecsBusy(
                f"At most {slots.size} codec jobs run and as many wait, three quarters of them for one client.",
                limit=slots.size,
            )
        try:
            if not started.wait(self._max_wait):
                raise CodecsBusy(
                    f"No slot for this codec job came free within {self._max_wait:g} s.", limit=slots.size
                )
            with self._running.track_inprogress():
                yield self._run
        finally:
            if started.is_set():
                slots.release(request)
            else:
                slots.give_up(request)

    def _run(self, step: Callable[..., T], *args: object) -> T:
        if self._pool is None:  # made after the fork: threads do not survive one
            self._pool = ThreadPool(self._slots.size)
            sys.setswitchinterval(SWITCH_INTERVAL)
        return in_thread(step, *args, pool=self._pool)

    def close(self) -> None:
        """End the threads. Jobs that run are waited for."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None


def jobs_of_app() -> CodecJobs:
    """Those of the current application."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, CodecJobs)
    return found
