"""Whether an event loop is held, for how long, and by what: a native thread tells what it sees of the loop. Pure.

The loop itself does nothing for it. The thread looks at the number of the loop's iteration and at the stack of the loop's
thread, every BUSY seconds, and less often while the loop waits. A loop that is in the same iteration as before and does not
wait is held. How long it was held before the first and after the last such look is known by the time on a core that its
thread used meanwhile. Time in which a thread of the process waited for a core is not counted (it may have Python's lock), nor
time in which a virtual machine waited for one of its host's: then the machine is busy, not the loop. Where the stack begins
elsewhere than at the last look, the loop works for several greenlets in turn, and the count begins anew.
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

#: Seconds between two looks while the loop has work, and while it waits: together less than 0.2 % of a core.
BUSY: Final = 0.05
IDLE: Final = 0.1
#: Seconds above which a loop that was held is reported.
LIMIT: Final = 0.1
#: Seconds after which it is reported although it is held still, in case that this never ends.
STANDING: Final = 2.0
#: Seconds after which a look comes late.
LATE: Final = 0.05
#: Frames of a stack that are shown, the innermost ones.
MAX_FRAMES: Final = 40
#: Iterations from one look to the next that are still told apart by the time on a core.
FEW: Final = 2

_NANOSECOND: Final = 1e-9
#: Seconds of a tick, and where the first line of /proc/stat has the ticks of "steal".
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_STEAL: Final = 8
#: The threads of this process.
_TASKS: Final = "/proc/self/task"


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

    Where this thread itself comes late, it had no core, Python's lock was taken, or the whole machine stood, as virtual ones
    do. Then only the time counts that the loop's thread was on a core.
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
    """What `LoopWatch.look` wants to know of the loop's thread, by its descriptors in /proc (schedstat, stat)."""

    def __init__(self, native_id: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._schedule = _descriptor(f"{_TASKS}/{native_id}/schedstat")
        self._others = _OtherThreads(str(native_id))
        self._machine = _descriptor("/proc/stat")
        if not self._stolen():  # no hypervisor: that needs not be read again
            os.close(self._machine)
            self._machine = -1

    def times(self) -> Times:
        """Where the kernel does not tell, the thread never waits for a core, and its work is not known.

        Another thread that waits for a core may have Python's lock, which the loop's thread then waits for.
        """
        now = self._clock()
        try:
            run, waited = _schedule(self._schedule)
        except (OSError, ValueError):
            return Times(now, 0.0, 0.0)
        return Times(now, run * _NANOSECOND, (waited + self._others.waited()) * _NANOSECOND + self._stolen())

    def _stolen(self) -> float:
        """Seconds in which a virtual machine had to wait for a core of its host: the mean of all of its cores."""
        if self._machine < 0:
            return 0.0
        try:
            return int(os.pread(self._machine, 256, 0).split()[_STEAL]) * _TICK / (os.cpu_count() or 1)
        except (OSError, ValueError, IndexError):
            return 0.0


class _OtherThreads:
    """For how long the other threads of this process waited for a core."""

    def __init__(self, loop: str) -> None:
        self._loop = loop
        self._waited = 0
        #: Of each thread: the descriptor of its schedule, and what it had waited when it was last asked.
        self._threads: dict[str, tuple[int, int]] = {}

    def waited(self) -> int:
        """Nanoseconds of all of them together, since the first call."""
        try:
            ids = os.listdir(_TASKS)
        except OSError:
            return self._waited
        for gone in self._threads.keys() - set(ids):
            os.close(self._threads.pop(gone)[0])
        for one in ids:
            if one != self._loop:
                self._waited += self._more(one)
        return self._waited

    def _more(self, one: str) -> int:
        descriptor, before = self._threads.get(one, (-1, -1))
        if descriptor < 0 and (descriptor := _descriptor(f"{_TASKS}/{one}/schedstat")) < 0:
            return 0  # it has ended meanwhile
        try:
            waited = _schedule(descriptor)[1]
        except (OSError, ValueError):
            waited = max(0, before)
        self._threads[one] = (descriptor, waited)
        return waited - before if before >= 0 else 0


def _schedule(descriptor: int) -> tuple[int, int]:
    """Nanoseconds that a thread was on a core, and that it waited for one."""
    run, waited = os.pread(descriptor, 64, 0).split()[:2]
    return int(run), int(waited)


def _descriptor(file: str) -> int:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the kernel does not tell
        return -1
