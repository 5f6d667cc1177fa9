"""CPU work in native threads, so that the event loop goes on answering.

`Jobs` bounds how many run at once and how many wait; more are refused at once with `CodecsBusy`. A job is a sequence of steps;
each step runs in a native thread, and between steps the job's greenlet is back on the event loop and may stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from app.errors import CodecsBusy
from app.metrics import Metrics
from app.threads import in_thread

T = TypeVar("T")


class Jobs:
    """At most `size` jobs at once, and as many again waiting."""

    def __init__(self, size: int, metrics: Metrics) -> None:
        self._size = size
        self._waiting = 0
        self._slots = BoundedSemaphore(size)
        self._pool: ThreadPool | None = None
        self._metrics = metrics

    @contextmanager
    def job(self) -> Iterator[Callable[..., T]]:
        """A place to run steps in: the function given calls its argument in a native thread. Raises CodecsBusy."""
        self._acquire()
        self._metrics.codec_jobs.inc()
        try:
            yield self._run
        finally:
            self._metrics.codec_jobs.dec()
            self._slots.release()

    def _acquire(self) -> None:
        if self._slots.acquire(blocking=False):
            return
        if self._waiting >= self._size:
            raise CodecsBusy(f"{self._size} codec jobs run and as many wait.", limit=self._size)
        self._waiting += 1
        self._metrics.codec_waiting.inc()
        try:
            self._slots.acquire()
        finally:
            self._waiting -= 1
            self._metrics.codec_waiting.dec()

    def _run(self, step: Callable[..., T], *args: object) -> T:
        if self._pool is None:  # made after the fork: threads do not survive one
            self._pool = ThreadPool(self._size)
        return in_thread(step, *args, pool=self._pool)
