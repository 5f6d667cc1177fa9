"""Whether an event loop is held, for how long, and by what: a native thread tells what it sees of the loop. Pure.

The loop itself does nothing for it. The thread looks at the number of the loop's iteration and at the stack of the loop's
thread, every BUSY seconds, and less often while the loop waits. A loop that is in the same iteration as before and does not
wait is held. How long it was held before the first and after the last such look is known by the time on a core that its
thread used meanwhile. Time in which the thread waited for a core is not counted, nor time in which the watch itself could not
look, unless the thread was on a core: then the machine is busy, not the loop. Where the stack begins elsewhere than at the last
look, the loop works for several greenlets in turn, and the count begins anew.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, Metric

#: Seconds between two looks while the loop has work, and while it waits: together less than 0.1 % of a core.
BUSY: Final = 0.05
IDLE: Final = 0.1
#: Seconds above which a loop that was held is reported.
LIMIT: Final = 0.1
#: Seconds after which it is reported although it is held still, in case that this never ends.
STANDING: Final = 2.0
#: Seconds by which a look may come late and still be on time.
LATE: Final = 0.02
#: Frames of a stack that are shown, the innermost ones.
MAX_FRAMES: Final = 40
#: Iterations from one look to the next that are still told apart by the time on a core.
FEW: Final = 2

_NANOSECOND: Final = 1e-9


class Times(NamedTuple):
    """Of the loop's thread, in seconds: by the clock, on a core, and waiting for one."""

    now: float
    run: float
    waited: float

    def since(self, earlier: Times) -> float:
        """By the clock, without the time that the thread waited for a core."""
        return self.now - earlier.now - (self.waited - earlier.waited)

    def run_since(self, earlier: Times) -> float:
        """The same, of which the thread was on a core."""
        return max(0.0, min(self.since(earlier), self.run - earlier.run))


@dataclass(frozen=True)
class Stall:
    """`stack` is empty where it could not be read, because foreign code kept Python's lock all the time."""

    seconds: float
    stack: str
    over: bool

    def __str__(self) -> str:
        stood = "was held" if self.over else "has been held"
        return f"the event loop {stood} for {self.seconds:.3f} s by:\n{self.stack or '  unknown'}"


@dataclass(slots=True)
class _Hold:
    """One greenlet has the loop, for so many `seconds` until the last look."""

    holder: FrameType | None
    seconds: float
    reported: bool = False
    stack: str = ""
    _seen: Counter[CodeType] = field(default_factory=Counter)

    def note(self, frame: FrameType) -> None:
        """Keep the stack of the function that was seen most often."""
        self._seen[frame.f_code] += 1
        if self._seen[frame.f_code] == max(self._seen.values()):
            self.stack = "".join(traceback.format_stack(frame)[-MAX_FRAMES:]).rstrip("\n")


class LoopWatch:
    """Of one loop, whose thread runs a code of `waiting` while the loop waits for something to do."""

    def __init__(self, waiting: frozenset[CodeType]) -> None:
        self.stalled_seconds = 0.0
        #: Seconds until the next look.
        self.pause = IDLE
        self._waiting = waiting
        self._last: tuple[int, Times] | None = None
        self._hold: _Hold | None = None

    def look(self, iteration: int, frame: FrameType | None, clock: Callable[[], Times]) -> Stall | None:
        """Take note of what the loop does. Returns a stall that ended, or one that goes on, once."""
        held = frame is not None and frame.f_code not in self._waiting
        last, hold, pause = self._last, self._hold, self.pause
        turned = iteration - last[0] if last is not None else 1
        self.pause = BUSY if held or turned else IDLE
        if self.pause == IDLE and hold is None:  # it waits as before, and uses no core meanwhile
            return None
        times = clock()
        self._last = (iteration, times)
        if last is None:
            return None
        if hold is not None and held and not turned and hold.holder is _outermost(frame):
            hold.seconds += _counted(last[1], times, pause)
            return self._go_on(hold, frame)
        run = times.run_since(last[1]) if 0 <= turned <= FEW else 0.0
        self._hold = None
        if held and frame is not None:
            self._hold = _Hold(_outermost(frame), run if hold is None else 0.0)
            self._hold.note(frame)
            if hold is None:
                return None
        return self._end(hold, run)

    def _go_on(self, hold: _Hold, frame: FrameType | None) -> Stall | None:
        if frame is not None:
            hold.note(frame)
        if hold.seconds < STANDING or hold.reported:
            return None
        hold.reported = True
        return Stall(hold.seconds, hold.stack, over=False)

    def _end(self, hold: _Hold | None, run: float) -> Stall | None:
        seconds = run + (hold.seconds if hold is not None else 0.0)
        if seconds <= LIMIT:
            return None
        self.stalled_seconds += seconds
        return Stall(seconds, hold.stack if hold is not None else "", over=True)


def _counted(last: Times, times: Times, pause: float) -> float:
    """Seconds from one look to the next in which one greenlet had the loop.

    Where the watch itself comes late, it had no core, the thread that has Python's lock had none, or the whole machine stood,
    as virtual ones do. Then only the time counts that the loop's thread was on a core.
    """
    return times.run_since(last) if times.now - last.now > pause + LATE else times.since(last)


def _outermost(frame: FrameType | None) -> FrameType | None:
    """Where the stack begins: each greenlet has a frame of its own there."""
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def families(name: str, seconds: float) -> Iterator[Metric]:
    """The counter under its documented name, and under the one that Prometheus's clients give to a counter."""
    text = "Seconds in which the event loop was held, each time for more than 0.1 s"
    plain = Metric(name, text, "unknown")
    plain.add_sample(name, {}, seconds)
    yield plain
    yield CounterMetricFamily(name, text, seconds)


class LoopThread:
    """What `LoopWatch.look` wants to know of the loop's thread, by its descriptor in /proc (schedstat)."""

    def __init__(self, native_id: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        try:
            self._schedule = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # the kernel does not tell
            self._schedule = -1

    def times(self) -> Times:
        """Where the kernel does not tell, the thread never waits for a core, and its work is not known."""
        now = self._clock()
        try:
            run, waited = os.pread(self._schedule, 64, 0).split()[:2]
        except (OSError, ValueError):
            return Times(now, 0.0, 0.0)
        return Times(now, int(run) * _NANOSECOND, int(waited) * _NANOSECOND)
