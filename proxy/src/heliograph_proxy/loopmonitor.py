"""The native thread that watches the event loop of this process, and the loop's timer that tells how late it is.

What they decide stands in `loopwatch` and `looplag`.
"""

from __future__ import annotations

import sys
import threading
import time

from gevent import get_hub
from gevent.hub import Hub

from heliograph_proxy import eventlog as events
from heliograph_proxy.looplag import INTERVAL, LoopLag
from heliograph_proxy.loopwatch import LoopThread, LoopWatch

#: What runs while the loop waits.
WAITING = frozenset({Hub.run.__code__})


def start(watch: LoopWatch, lag: LoopLag) -> None:
    """Watch the loop of the calling thread for as long as the process lives."""
    timer = get_hub().loop.timer(
        INTERVAL, INTERVAL, ref=False
    )  # it keeps nothing running, and itself while it is active
    timer.start(lambda: lag.tick(time.monotonic()))
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
