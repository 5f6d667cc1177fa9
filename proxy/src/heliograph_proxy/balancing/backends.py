"""A backend: its settings, its state, and small predicates that compose. Pure.

Who changes what: the balancer counts what is in flight, exchanges tell how attempts went, the health checks
tell what they saw, the admin listener sets the state an operator wants. The methods that may change
availability return a `Change` for the log when they did.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from heliograph_proxy.balancing.latency import PeakAverage
from heliograph_proxy.settings import BackendSettings, HealthSettings

#: A recovering backend starts with this part of its weight; Envoy's minimum as well.
SLOW_START_FLOOR: Final = 0.1

#: How much of the average response time one answer replaces, as in TCP's round trip estimate.
SMOOTHING: Final = 1 / 8


class OperatorState(Enum):
    """What the operator wants of a backend."""

    READY = "ready"
    #: Nothing new; what is in flight ends, checks go on.
    DRAIN = "drain"
    #: Nothing at all.
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one active check. `at` is wall-clock time."""

    at: float
    passed: bool
    detail: str
    seconds: float
    #: The instance says that it is shutting down.
    stopping: bool = False
    #: Not said otherwise in the answer.
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a backend, for the log."""

    event: str
    reason: str


class Backend:
    """One server behind the proxy."""

    def __init__(self, settings: BackendSettings, health: HealthSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.weight = settings.weight
        #: The weight was set at run time and survives reloads.
        self.weight_set = False
        self.state = OperatorState.READY
        #: Until the first check says otherwise: a proxy that has just started must not refuse everything.
        self.healthy = True
        #: A check has passed since the start.
        self.proven = False
        #: The last answer to a check did not say that it is not ready.
        self.ready = True
        self.active = 0
        self.tunnels = 0
        #: Requests in flight that may become tunnels.
        self.handshakes = 0
        #: Requests in flight by client.
        self.clients: dict[str, int] = {}
        self.queued = 0
        self.requests = 0
        self.failures = 0
        self.retries = 0
        #: The average of the times to the head, for people; strategies look at `latency`.
        self.response_time = 0.0
        self.latency = PeakAverage()
        self.last_check: Check | None = None
        self._health = health
        self._failures_in_row = 0
        self._checks_in_row = 0
        self._ejected_at = self._ejected_until = 0.0
        self._recovered_at: float | None = None

    def __repr__(self) -> str:
        return f"<Backend {self.name} {self.state.value} {'up' if self.healthy else 'down'} active={self.active}>"

    def configure(self, settings: BackendSettings, health: HealthSettings) -> None:
        """A new configuration for the same server; run-time state and weight stay."""
        self.settings, self._health = settings, health
        if not self.weight_set:
            self.weight = settings.weight
        until = self._ejected_at + health.eject_time
        if until < self._ejected_until:
            self._ejected_until = self._recovered_at = until

    def available(self, now: float) -> bool:
        """Whether it may get new requests at all."""
        ready = self.state is OperatorState.READY and self.weight > 0  # weight 0: nothing new
        return ready and self.healthy and now >= self._ejected_until

    def has_room(self, tunnel: bool) -> bool:
        return self.active < self.settings.max_connections and (not tunnel or self.has_room_for_tunnel)

    @property
    def has_room_for_tunnel(self) -> bool:
        return self.tunnels + self.handshakes < self.settings.max_tunnels

    def effective_weight(self, now: float) -> float:
        """The weight, ramped up over `slow_start` seconds after a recovery."""
        if self._recovered_at is None:
            return self.weight
        ramp = (now - self._recovered_at) / self._health.slow_start if self._health.slow_start else 1.0
        if ramp >= 1.0:
            self._recovered_at = None
            return self.weight
        return self.weight * max(ramp, SLOW_START_FLOOR)

    def proved(self) -> None:
        """It answers, in a time that says nothing."""
        self._failures_in_row = 0

    def succeeded(self, seconds: float, now: float) -> None:
        """An attempt got the head of an answer after `seconds`."""
        self.proved()
        self.latency.observe(seconds, now)
        self.response_time += (seconds - self.response_time) * (SMOOTHING if self.response_time else 1.0)

    def failed(self, now: float, reason: str, *, last: bool) -> Change | None:
        """An attempt failed. `last`: no other backend is available, so this one must not be ejected."""
        self.failures += 1
        self._failures_in_row += 1
        gone = not self.healthy or now < self._ejected_until
        if last or gone or self._failures_in_row < self._health.eject_failures:
            return None
        self._failures_in_row = 0
        self.eject(now, self._health.eject_time)
        return Change("ejected", f"{self._health.eject_failures} failures in a row, the last: {reason}")

    def eject(self, now: float, seconds: float) -> None:
        self._ejected_at, self._ejected_until = now, now + min(seconds, self._health.eject_time)
        self._recovered_at = self._ejected_until

    def ejected_for(self, now: float) -> float:
        """How many seconds more; 0 where it is not ejected."""
        return max(self._ejected_until - now, 0.0)

    def checked(self, check: Check, now: float) -> Change | None:
        """An active check was done. Until one has passed each decides alone; then `rise` or `fall` in a row
        do."""
        first, self.last_check = not self.proven, check
        self.proven = self.proven or check.passed
        was_ready, self.ready = self.ready, check.ready if check.passed else self.ready
        if check.passed == self.healthy:
            self._checks_in_row = 0
            return (
                None
                if self.ready == was_ready
                else Change("ready" if self.ready else "unready", check.detail)
            )
        self._checks_in_row += 1
        needed = self._health.rise if check.passed else self._health.fall
        if self._checks_in_row < needed and not first and not check.stopping:
            return None
        self._checks_in_row = 0
        self.healthy = check.passed
        if self.healthy:
            self._recovered_at = None if first else now
            self._failures_in_row, self._ejected_until = 0, 0.0
        return Change("up" if self.healthy else "down", check.detail)
