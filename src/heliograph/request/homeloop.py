"""One event loop for what belongs together, called from any thread.

In a patched process that is the loop of the process: a call from its thread is a plain call. In any other process, such as
`flask run`, a script or a test, it is a loop in a thread of its own, and the caller's thread waits for each call.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from typing import Any, TypeVar

import gevent
from gevent import monkey
from gevent.event import Event

T = TypeVar("T")

#: Those of the standard library, whether or not the process is patched: they are about native threads.
_thread_id: Callable[[], int] = monkey.get_original("_thread", "get_ident")
_native_id: Callable[[], int] = monkey.get_original("_thread", "get_native_id")
_new_lock: Callable[[], Any] = monkey.get_original("_thread", "allocate_lock")
_start: Callable[..., int] = monkey.get_original("_thread", "start_new_thread")


class HomeLoop:
    """May be made before a fork; calls begin after it."""

    def __init__(self) -> None:
        self._hub: Any = None
        self._thread: int | None = None
        self._stop: Event | None = None
        self._process = 0
        self._choosing = _new_lock()
        if (
            is_patched() and _native_id() == os.getpid()
        ):  # the main thread, whose loop it will be after a fork, too
            self._hub, self._thread = gevent.get_hub(), _thread_id()

    @property
    def here(self) -> bool:
        """Whether the caller runs on the loop."""
        return self._thread == _thread_id()

    @property
    def begun(self) -> bool:
        return self._hub is not None and not self._lost

    @property
    def _lost(self) -> bool:
        """Whether its thread stayed in the process that this one was forked from."""
        return self._stop is not None and self._process != os.getpid()

    def call(self, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` on the loop, with the caller's context variables. What it raises is raised here."""
        if self._thread == _thread_id():
            return function(*args)
        if self._hub is None:
            with self._choosing:
                if self._hub is None:
                    self._choose()
            return self.call(function, *args)
        return self._across(function, args)

    def post(self, function: Callable[[], object]) -> None:
        """Have `function()` called on the loop, unless that has ended. Never waits: finalizers call it, on any thread."""
        hub = self._hub
        if self.begun and hub.loop is not None:
            hub.loop.run_callback_threadsafe(gevent.spawn, function)

    def close(self) -> None:
        """End the thread, where there is one."""
        if self._lost:
            return
        stop, self._stop = self._stop, None
        if stop is not None:
            self._across(stop.set, ())
            self._hub = self._thread = None

    def _choose(self) -> None:
        if is_patched():
            self._hub, self._thread = gevent.get_hub(), _thread_id()
            return
        started = _new_lock()
        started.acquire()
        _start(self._run, (started,))
        with started:
            return

    def _run(self, started: Any) -> None:
        self._process = os.getpid()
        stop = self._stop = Event()
        hub = gevent.get_hub()
        self._thread, self._hub = _thread_id(), hub
        keeping = hub.loop.async_()  # a loop with nothing to wait for would end
        keeping.start(_nothing)
        started.release()
        stop.wait()
        keeping.stop()
        keeping.close()
        hub.destroy(destroy_loop=True)

    def _across(self, function: Callable[..., T], args: tuple[object, ...]) -> T:
        if self._lost:
            raise RuntimeError("this was used before the process was forked: make another one in the child")
        done = _new_lock()
        done.acquire()
        outcome: list[Any] = [None, None]
        context = contextvars.copy_context()

        def run() -> None:
            try:
                outcome[0] = context.run(function, *args)
            except BaseException as exc:
                outcome[1] = exc
            finally:
                done.release()

        self._hub.loop.run_callback_threadsafe(gevent.spawn, run)
        with done:
            result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


def is_patched() -> bool:
    """Whether this process waits cooperatively wherever it waits."""
    return bool(monkey.is_module_patched("socket"))


def _nothing() -> None:
    """Wakes the loop, which is all."""
