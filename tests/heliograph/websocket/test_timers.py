"""The wheel, without a clock."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.websocket.timers import SLOTS, TICK, TimerWheel


class Sleeper:
    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.slot = -1
        self.woken = 0
        self._then = then

    def time_is_up(self) -> None:
        self.woken += 1
        self._then()


def turn(wheel: TimerWheel, seconds: float) -> None:
    for _ in range(round(seconds / TICK)):
        wheel.turn()


def test_everybody_is_called_once_and_in_time() -> None:
    wheel = TimerWheel()
    sleepers = {seconds: Sleeper() for seconds in (0.25, 1, 5, 10, 25)}
    for seconds, sleeper in sleepers.items():
        wheel.schedule(sleeper, seconds)
    for quarter in range(1, 4 * 40):
        wheel.turn()
        assert all(sleeper.woken == (quarter >= seconds * 4) for seconds, sleeper in sleepers.items())
    assert len(wheel) == 0


def test_nothing_is_called_too_soon_or_never() -> None:
    wheel = TimerWheel()
    now, far = Sleeper(), Sleeper()
    wheel.schedule(now, 0)
    wheel.schedule(far, 1e9)
    wheel.turn()
    assert (now.woken, far.woken) == (1, 0)
    turn(wheel, SLOTS * TICK)
    assert far.woken == 1


def test_a_new_time_replaces_the_old_one() -> None:
    wheel = TimerWheel()
    sleeper = Sleeper()
    wheel.schedule(sleeper, 1)
    wheel.schedule(sleeper, 5)
    turn(wheel, 4.5)
    assert sleeper.woken == 0
    turn(wheel, 0.5)
    assert sleeper.woken == 1


def test_one_who_is_called_may_cancel_or_schedule_others_of_the_same_moment() -> None:
    wheel = TimerWheel()
    sleepers: list[Sleeper] = []

    def cancel_all() -> None:
        for sleeper in sleepers:
            wheel.cancel(sleeper)

    sleepers += [Sleeper(cancel_all) for _ in range(5)]
    for sleeper in sleepers:
        wheel.schedule(sleeper, 1)
    turn(wheel, 2)
    assert sum(sleeper.woken for sleeper in sleepers) == 1
    again = Sleeper()
    again._then = lambda: wheel.schedule(again, 1)
    wheel.schedule(again, 1)
    turn(wheel, 5)
    assert again.woken == 5


def test_the_timer_runs_only_while_anybody_waits() -> None:
    running: list[str] = []

    def start(_turn: Callable[[], None]) -> Callable[[], None]:
        running.append("timer")
        return running.clear

    wheel = TimerWheel(start)
    assert running == []
    wheel.schedule(Sleeper(), 1)
    wheel.schedule(Sleeper(), 2)
    assert running == ["timer"]
    turn(wheel, 1)
    assert running == ["timer"]
    turn(wheel, 1)
    assert running == []
    wheel.schedule(Sleeper(), 1)
    assert running == ["timer"]
