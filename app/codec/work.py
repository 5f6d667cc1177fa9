"""CPU work in native threads, so that the event loop goes on answering.

`CodecJobs` bounds how many run at once and how many wait; more are refused at once with `CodecsBusy`. A job that needs much memory
takes several slots, so that memory is bounded too. A job is a sequence of steps. Each step runs in a native thread; between steps
the job's greenlet is back on the event loop and may stop the job.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from flask import current_app
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool
from prometheus_client import CollectorRegistry, Gauge

from app.problems import CodecsBusy
from heliograph.request.threads import in_thread

T = TypeVar("T")

EXTENSION = "codec_jobs"

#: Bytes of memory that a slot stands for. Hardly any job needs more; the compressor that needs most takes three slots.
SLOT_MEMORY = 256 << 20

#: Seconds until a thread releases the interpreter after the event loop asked for it. A request asks some ten times, and codecs that
#: are written in Python would keep it for 5 ms each time, the default. Measured beside four of them, p99 of /healthz: 130 ms with
#: the default, 33 ms with 1 ms, 17 ms with 0.2 ms.
SWITCH_INTERVAL = 0.0005


class CodecJobs:
    """At most `size` jobs at once, and as many again waiting."""

    def __init__(self, size: int, registry: CollectorRegistry) -> None:
        self._size = size
        self._waiting = 0
        self._slots = BoundedSemaphore(size)
        # Held by the first job of the queue, the only one that takes slots: two that had some slots each would wait for ever.
        self._first = BoundedSemaphore()
        self._pool: ThreadPool | None = None
        self._running = Gauge("heliograph_codec_jobs", "Codec jobs running", registry=registry)
        self._queued = Gauge("heliograph_codec_jobs_waiting", "Codec jobs waiting", registry=registry)

    @contextmanager
    def job(self, memory: int = 0) -> Iterator[Callable[..., T]]:
        """Hold slots for a job of so many bytes of `memory`; waits until they are free. Raises CodecsBusy when the queue is full.

        The value is a function that runs one step: it calls its first argument with the others in a native thread. A job that
        needs more memory than there is gets all slots.
        """
        count = min(self._size, max(1, math.ceil(memory / SLOT_MEMORY)))
        if self._waiting or self._slots.counter < count:
            self._queue(count)
        else:
            self._take(count)
        self._running.inc()
        try:
            yield self._run
        finally:
            self._running.dec()
            self._release(count)

    def _queue(self, count: int) -> None:
        if self._waiting >= self._size:
            raise CodecsBusy(f"{self._size} codec jobs run and as many wait.", limit=self._size)
        self._waiting += 1
        self._queued.inc()
        try:
            with self._first:
                self._take(count)
        finally:
            self._waiting -= 1
            self._queued.dec()

    def _take(self, count: int) -> None:
        taken = 0
        try:
            while taken < count:
                self._slots.acquire()
                taken += 1
        except BaseException:
            self._release(taken)
            raise

    def _release(self, count: int) -> None:
        for _ in range(count):
            self._slots.release()

    def _run(self, step: Callable[..., T], *args: object) -> T:
        if self._pool is None:  # made after the fork: threads do not survive one
            self._pool = ThreadPool(self._size)
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
