"""The watch over this process's event loop: stalls are logged with the stack that held the loop, and counted.

Started by our servers, and by the middleware with the first request under any other cooperative server.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

import gevent
from gevent.hub import Hub
from gevent.monkey import get_original, is_module_patched
from heliograph_proxy.looplag import INTERVAL, LoopLag
from heliograph_proxy.loopwatch import LoopThread, LoopWatch, Stall
from prometheus_client import Metric

log = logging.getLogger("heliograph")

#: What runs while the loop waits.
WAITING = frozenset({Hub.run.__code__})

_sleep = get_original("time", "sleep")
_start_thread = get_original("_thread", "start_new_thread")
_get_ident = get_original("_thread", "get_ident")
_get_native_id = get_original("_thread", "get_native_id")

#: The watch over this process, and the process that it belongs to: a fork has neither its thread nor its loop.
_watch = LoopWatch(WAITING)
_owner = 0

#: How late the loop is, and the loop's timer that tells.
_lag = LoopLag()
_timer: Any = None


def watch_loop() -> None:
    """Begin to watch the loop of the current thread, unless this process does so already or has none."""
    global _watch, _owner, _lag, _timer
    if _owner == os.getpid() or not is_module_patched("socket"):
        return
    _owner, _watch = os.getpid(), LoopWatch(WAITING)
    thread = LoopThread(_get_native_id(), time.monotonic)
    loop = gevent.get_hub().loop
    _start_thread(_run, (_watch, loop, _get_ident(), thread))
    _lag, _timer = LoopLag(), loop.timer(INTERVAL, INTERVAL, ref=False)  # which keeps nothing running
    _timer.start(_tick, _lag)


def stalled_seconds() -> float:
    """For how long the loop was held, in all."""
    return _watch.stalled_seconds


def lag_family(name: str) -> Metric:
    """How late the loop was."""
    return _lag.family(name)


def _tick(lag: LoopLag) -> None:
    lag.tick(time.monotonic())


def _run(watch: LoopWatch, loop: Any, ident: int, thread: LoopThread) -> None:
    """In the native thread, for as long as the process lives."""
    while True:
        _sleep(watch.pause)
        stall = watch.look(loop.iteration, sys._current_frames().get(ident), thread.times)
        if stall is not None:
            _write(stall)


def _write(stall: Stall) -> None:
    """Not through the handlers of the log: these need the loop, which may be held still."""
    record = logging.LogRecord(log.name, logging.WARNING, __file__, 0, "%s", (stall,), None)
    formatter = next((one.formatter for one in log.handlers if one.formatter), None) or logging.Formatter()
    try:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{formatter.format(record)}\n".encode())
    except OSError:  # nobody reads it
        return
