"""The native thread that watches the event loop of this process. What it decides stands in `loopwatch`."""

from __future__ import annotations

import sys
import threading
import time

from gevent import get_hub
from gevent.hub import Hub

from heliograph_proxy import eventlog as events
from heliograph_proxy.loopwatch import LoopThread, LoopWatch

#: What runs while the loop waits.
WAITING = frozenset({Hub.run.__code__})


def start(watch: LoopWatch) -> None:
    """Watch the loop of the calling thread for as long as the process lives."""
    thread = LoopThread(threading.get_native_id(), time.monotonic)
    arguments = (watch, get_hub().loop, threading.get_ident(), thread)
    threading.Thread(target=_run, args=arguments, name="loop-watch", daemon=True).start()


def _run(watch: LoopWatch, loop: object, ident: int, thread: LoopThread) -> None:
    while True:
        time.sleep(watch.pause)
        iteration: int = loop.iteration  # type: ignore[attr-defined]
        stall = watch.look(iteration, sys._current_frames().get(ident), thread.times)
        if stall is not None:
            events.log_from_thread(
                "loop-stalled", seconds=round(stall.seconds, 3), over=stall.over, stack=stall.stack
            )
