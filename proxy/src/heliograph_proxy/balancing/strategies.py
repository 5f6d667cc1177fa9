"""Which of several backends gets a request; time and chance are arguments.

Each is one small class, found by its name in the settings.

A strategy sees only backends that may and can take the request, at least two, and picks one of them. A user's
own is any class with this `select` and a constructor without arguments: "package.module:Class".
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from random import Random
from statistics import median_low
from typing import Final, Protocol

from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.latency import UNKNOWN
from heliograph_proxy.errors import SettingsError

#: Times to the head count in steps of this: what is less differs by chance, and the luckiest of equal backends would get
#: everything that comes one by one. nginx's least_time has steps of 20 ms.
STEP_SECONDS: Final = 0.010


class RequestInfo:
    """What a strategy may base its choice on."""

    __slots__ = ("client", "now", "preferred", "waited")

    def __init__(self, client: str, now: float, preferred: str = "") -> None:
        #: The client's address, as far as trusted proxies tell it.
        self.client = client
        #: The monotonic clock.
        self.now = now
        #: The backend that a sticky session belongs to, or "".
        self.preferred = preferred
        #: Seconds that it was in the queue; set by the balancer.
        self.waited = 0.0


class Strategy(Protocol):
    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend: ...


class RoundRobin:
    """Smooth weighted round robin, as nginx has it: with weights 5, 1, 1 the order is a a b a c a a."""

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend:
        credit = self._credit
        total, best, most = 0.0, backends[0], float("-inf")
        for backend in backends:
            weight = backend.effective_weight(request.now)
            total += weight
            credit[backend.name] = has = credit.get(backend.name, 0.0) + weight
            if has > most:
                best, most = backend, has
        credit[best.name] -= total
        return best


class _Least:
    """The lowest score wins; equal ones take turns."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def _least(self, backends: Sequence[Backend], scores: Sequence[float], request: RequestInfo) -> Backend:
        lowest = min(scores)
        if scores.count(lowest) == 1:
            return backends[scores.index(lowest)]
        best = [one for one, score in zip(backends, scores, strict=True) if score == lowest]
        return self._turns.select(best, request)


class LeastConnections(_Least):
    """The fewest requests in flight for the weight."""

    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend:
        return self._least(backends, [_load(one, request.now) for one in backends], request)


class LeastTime(_Least):
    """The least time to be expected: peak average of the time to the head × (in flight + 1) / weight.

    A backend without a sample counts as the median of the others: neither avoided nor run over.
    """

    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend:
        now = request.now
        times = [one.latency.value(now) for one in backends]
        if UNKNOWN in times:
            known = [time for time in times if time != UNKNOWN]
            usual = median_low(known) if known else STEP_SECONDS
            times = [usual if time == UNKNOWN else time for time in times]
        scores = []
        for backend, time in zip(backends, times, strict=True):
            steps = max(math.ceil(time / STEP_SECONDS), 1)
            scores.append(steps * (backend.active + 1) / backend.effective_weight(now))
        return self._least(backends, scores, request)


class RandomTwo:
    """Two at random by weight, and of these the less loaded: nearly as good as looking at all, and without
    herds."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend:
        first = self._draw(backends, request.now)
        second = self._draw([one for one in backends if one is not first], request.now)
        return min(first, second, key=lambda one: _load(one, request.now))

    def _draw(self, backends: Sequence[Backend], now: float) -> Backend:
        weights = [one.effective_weight(now) for one in backends]
        return self._random.choices(backends, weights)[0]


class IpHash:
    """The same backend for the same client: weighted rendezvous hashing, so a backend that goes moves its own
    only."""

    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend:
        return max(backends, key=lambda one: _rendezvous(one, request.client))


def _rendezvous(backend: Backend, client: str) -> float:
    digest = blake2b(f"{client} {backend.name}".encode(), digest_size=8).digest()
    # In (0, 1); the logarithm makes the shares follow the weights (Schindelhauer and Schomaker).
    fraction = (int.from_bytes(digest) + 0.5) / (1 << 64)
    return -backend.weight / math.log(fraction)


def _load(backend: Backend, now: float) -> float:
    return (backend.active + 1) / backend.effective_weight(now)


STRATEGIES: dict[str, Callable[[Random], Strategy]] = {
    "round_robin": lambda _: RoundRobin(),
    "least_connections": lambda _: LeastConnections(),
    "least_time": lambda _: LeastTime(),
    "random_two": RandomTwo,
    "ip_hash": lambda _: IpHash(),
}


def create(name: str, random: Random) -> Strategy:
    """A strategy by its name, or a user's by "package.module:Class". `random` is for those that draw."""
    if name in STRATEGIES:
        return STRATEGIES[name](random)
    module, _, attribute = name.partition(":")
    try:
        made: Strategy = getattr(importlib.import_module(module), attribute)()
    except Exception as exc:  # this is the user's code
        raise SettingsError(name, "strategy", f"cannot be made: {type(exc).__name__}: {exc}") from exc
    if not callable(getattr(made, "select", None)):
        raise SettingsError(name, "strategy", "has no method select(backends, request)")
    return made
