"""The watch over the event loop: what is a stall, who held the loop, and what it costs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from heliograph_proxy.loopwatch import (
    BUSY,
    IDLE,
    LATE,
    LIMIT,
    STANDING,
    LoopThread,
    LoopWatch,
    Stall,
    Times,
)
from proxy_tests.processes import until

from tests.heliograph.server.test_hosting import asked, foreign
from tests.serving import Server


def waits() -> FrameType:
    return sys._getframe()


WAITING = frozenset({waits.__code__})


def works() -> Iterator[FrameType]:
    """A stack of its own, as a greenlet has one: a generator that does not run has nothing outside of it."""
    yield sys._getframe()


def greenlet() -> FrameType:
    made = works()
    next(made)
    frame: FrameType = made.gi_frame  # type: ignore[attr-defined]
    _KEPT.append(made)
    return frame


#: A generator that is thrown away closes its frame.
_KEPT: list[Iterator[FrameType]] = []


class Loop:
    """What a native thread sees of a loop that a test turns."""

    def __init__(self) -> None:
        self.watch = LoopWatch(WAITING)
        self.iteration, self.now, self.run, self.waited = 7, 100.0, 0.0, 0.0
        self.look(None)

    def look(
        self, frame: FrameType | None, turns: int = 0, seconds: float = 0.0, run: float = 0.0
    ) -> Stall | None:
        """The next look, `seconds` later, when the loop has turned so often and its thread ran so long."""
        self.iteration, self.now, self.run = self.iteration + turns, self.now + seconds, self.run + run
        frame = frame or waits()
        return self.watch.look(self.iteration, frame, lambda: Times(self.now, self.run, self.waited))


def test_a_loop_that_waits_or_turns_is_no_stall() -> None:
    loop = Loop()
    for number in range(100):
        assert loop.look(None, seconds=1.0) is None
        assert loop.watch.pause == IDLE
        assert loop.look(greenlet(), turns=50 + number, seconds=0.2, run=0.19) is None
        assert loop.watch.pause == BUSY
        assert loop.look(None, turns=50, seconds=0.2, run=0.19) is None
    assert loop.watch.stalled_seconds == 0


def test_a_loop_that_is_held_is_reported_with_the_stack_when_it_turns_again() -> None:
    loop, held = Loop(), greenlet()
    assert loop.look(held, turns=1, seconds=0.1, run=0.03) is None
    for _ in range(4):
        assert loop.look(held, seconds=0.05, run=0.05) is None
    stall = loop.look(None, turns=1, seconds=0.05, run=0.01)
    assert stall is not None
    assert stall.over
    assert stall.seconds == pytest.approx(0.03 + 0.2 + 0.01)
    assert "in works" in stall.stack
    assert loop.watch.stalled_seconds == stall.seconds
    assert loop.look(None, turns=1, seconds=0.05) is None


def test_one_that_began_while_nobody_looked_is_known_by_the_time_on_a_core() -> None:
    loop, held = Loop(), greenlet()
    assert loop.look(held, seconds=0.1, run=0.09) is None
    stall = loop.look(None, turns=1, seconds=0.05, run=0.02)
    assert stall is not None
    assert stall.seconds == pytest.approx(0.11)


def test_one_that_kept_pythons_lock_is_counted_afterwards() -> None:
    loop = Loop()
    loop.look(None, turns=9, seconds=0.1)
    stall = loop.look(None, turns=1, seconds=1.0, run=0.95)
    assert stall is not None
    assert stall.seconds == pytest.approx(0.95)
    assert stall.stack == ""
    assert "unknown" in str(stall)


def test_time_without_a_core_does_not_count() -> None:
    loop, held = Loop(), greenlet()
    loop.look(held, turns=1, seconds=0.05)
    loop.waited += 0.95
    loop.look(held, seconds=1.0, run=0.05)
    assert loop.look(None, turns=1, seconds=0.05) is None
    assert loop.watch.stalled_seconds == 0


def test_one_that_waits_for_something_else_than_the_loop_is_held() -> None:
    loop, held = Loop(), greenlet()
    for _ in range(4):
        loop.look(held, seconds=0.05)
    stall = loop.look(None, turns=1, seconds=0.05)
    assert stall is not None
    assert stall.seconds == pytest.approx(0.15)


def test_many_short_works_in_turn_are_no_stall() -> None:
    loop = Loop()
    for _ in range(20):
        assert loop.look(greenlet(), seconds=0.05, run=0.05) is None
    assert loop.look(None, turns=1, seconds=0.05, run=0.05) is None
    assert loop.watch.stalled_seconds == 0


def test_one_that_goes_on_is_reported_once() -> None:
    loop, held = Loop(), greenlet()
    found = [loop.look(held, seconds=BUSY, run=BUSY) for _ in range(200)]
    [stall] = [stall for stall in found if stall is not None]
    assert not stall.over
    assert STANDING <= stall.seconds < STANDING + 2 * BUSY
    ended = loop.look(None, turns=1, seconds=BUSY)
    assert ended is not None
    assert ended.seconds == pytest.approx(200 * BUSY)


def test_a_view_that_blocks_counts_and_a_machine_that_stands_does_not() -> None:
    loop, held = Loop(), greenlet()
    for _ in range(5):
        assert loop.look(held, seconds=BUSY) is None
    blocked = loop.look(None, turns=1, seconds=BUSY)
    assert blocked is not None
    assert blocked.seconds == pytest.approx(4 * BUSY)
    for _ in range(5):
        assert loop.look(held, seconds=BUSY + 2 * LATE, run=0.01) is None
    assert loop.look(None, turns=1, seconds=BUSY, run=0.01) is None


def test_without_a_word_of_the_kernel_a_thread_is_never_without_a_core() -> None:
    assert LoopThread(2**22 + 1, lambda: 3.0).times() == Times(3.0, 0.0, 0.0)
    times = LoopThread(threading.get_native_id(), lambda: 3.0).times()
    assert times.now == 3.0
    assert times.run > 0


def test_a_view_that_computes_is_logged_and_counted(tmp_path: Path) -> None:
    with Server(tmp_path, command=foreign) as server:
        server.wait_for_port(server.port)

        def stalled() -> float:
            text = asked(server, "/-/metrics").body.decode()
            return float(text.split("\nheliograph_loop_stalled_seconds ")[1].split()[0])

        assert asked(server, "/seen").status == 200
        before = stalled()
        assert asked(server, "/stalls").body == b"stalled"
        until(lambda: stalled() > before + LIMIT, "the stall to be counted")
        server.wait_for_output("busy_in_a_loop")
        [line] = [line for line in server.log_lines() if "was held" in line.get("message", "")]
        assert line["level"] == "warning"
        assert "in stalls" in line["message"]


def test_the_watch_costs_nearly_nothing(server: Server) -> None:
    """Under 0.1 % of a core; five times that here, for a busy machine and for the other threads of the process."""

    def used() -> float:
        tasks = Path(f"/proc/{server.worker}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    began, start = time.monotonic(), used()
    time.sleep(1.0)
    assert used() - start < 0.005 * (time.monotonic() - began) + 0.002
