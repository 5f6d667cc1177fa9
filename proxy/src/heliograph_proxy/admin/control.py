"""Changes while the proxy runs: state and weight of backends, backends that come and go, a new configuration.

None of them loses a request: who is in flight keeps its backend, whose last user takes it away.
"""

from __future__ import annotations

from random import Random
from typing import Any

from heliograph_proxy import eventlog as events
from heliograph_proxy import sticky
from heliograph_proxy.balancing.backends import Backend, OperatorState
from heliograph_proxy.balancing.health import Checker
from heliograph_proxy.balancing.selection import part_of_queue
from heliograph_proxy.balancing.strategies import create
from heliograph_proxy.errors import Conflict, NotFound, SettingsError
from heliograph_proxy.http1.requests import RequestParser
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.settings import BackendSettings, ProxySettings, load

#: Settings that a running process cannot change: its listening sockets are bound.
BOUND = ("listen", "admin")


class Control:
    """What an operator may do. `file` is read again by `reload`."""

    def __init__(self, runtime: Runtime, checker: Checker, file: str) -> None:
        self._runtime = runtime
        self._checker = checker
        self._file = file

    def find(self, name: str) -> Backend:
        for backend in self._runtime.balancer.backends:
            if backend.name == name:
                return backend
        known = [backend.name for backend in self._runtime.balancer.backends]
        raise NotFound(f'there is no backend "{name}"', known=known)

    def set_state(self, name: str, state: OperatorState) -> Backend:
        backend = self.find(name)
        backend.state = state
        if state is not OperatorState.READY:
            self._runtime.connections.forget(name)
        events.log("backend-state", backend=name, state=state.value)
        self._runtime.balancer.changed()
        return backend

    def set_weight(self, name: str, weight: int) -> Backend:
        backend = self.find(name)
        backend.weight, backend.weight_set = weight, True
        events.log("backend-weight", backend=name, weight=weight)
        self._runtime.balancer.changed()
        return backend

    def add(self, settings: BackendSettings) -> Backend:
        if any(backend.name == settings.name for backend in self._runtime.balancer.backends):
            raise Conflict(f'there is a backend "{settings.name}" already')
        backend = Backend(settings, self._runtime.settings.health)
        self._runtime.balancer.backends.append(backend)
        self._checker.start(backend)
        events.log("backend-added", backend=settings.name, address=str(settings.address))
        self._runtime.balancer.changed()
        return backend

    def remove(self, name: str) -> None:
        """Nothing new goes there; it disappears with its last request or tunnel."""
        self._withdraw(self.find(name))

    def reload(self) -> ProxySettings:
        """Read the file again. A file with an error changes nothing: SettingsError."""
        old, new = self._runtime.settings, load(self._file)
        for key in BOUND:
            if getattr(old, key) != getattr(new, key):
                raise SettingsError(self._file, key, "cannot change while running; it needs a restart")
        strategy = (
            create(new.strategy, Random())
            if new.strategy != old.strategy
            else self._runtime.balancer.strategy
        )
        cookie = sticky.create(new.sticky, new.state)
        self._runtime.access_log.reopen(new.log)
        self._apply(new)
        self._runtime.balancer.strategy, self._runtime.sticky = strategy, cookie
        events.log("reloaded", file=self._file, backends=[one.name for one in new.backends])
        return new

    def _apply(self, new: ProxySettings) -> None:
        runtime = self._runtime
        old, runtime.settings = runtime.settings, new
        runtime.parser = RequestParser(new.limits)
        share = new.client.share
        runtime.balancer.queue.configure(
            new.limits.queue, new.timeouts.queue, part_of_queue(new.limits.queue, share)
        )
        runtime.connections.configure(new.pool, new.timeouts.body)
        runtime.held.configure(new.limits.held_bytes, new.timeouts.queue)
        runtime.clients.configure(new.client)
        wanted = {one.name: one for one in new.backends}
        for backend in runtime.balancer.staying():
            given = wanted.get(backend.name)
            if given is None or given.address != backend.settings.address:
                self._withdraw(backend)
            else:
                backend.configure(given, new.health)
                del wanted[backend.name]
        for settings in wanted.values():
            self._replace(settings)
        runtime.balancer.set_share(share)
        if new.health != old.health:
            self._checker.configured()

    def _replace(self, settings: BackendSettings) -> None:
        """Add a backend whose name may still be in use by one that leaves."""
        balancer = self._runtime.balancer
        for backend in [one for one in balancer.backends if one.name == settings.name]:
            balancer.backends.remove(backend)
        self.add(settings)

    def _withdraw(self, backend: Backend) -> None:
        runtime = self._runtime
        backend.state = OperatorState.DRAIN
        runtime.connections.forget(backend.name)
        self._checker.stop_one(backend)
        runtime.balancer.withdraw(backend)
        events.log("backend-withdrawn", backend=backend.name, active=backend.active, tunnels=backend.tunnels)


def describe(backend: Backend, generation: int) -> dict[str, Any]:
    """A backend as /status and the answers to writes show it. `generation`: of the process that tells it."""
    check = backend.last_check
    return {
        "name": backend.name,
        "address": str(backend.settings.address),
        "weight": backend.weight,
        "state": backend.state.value,
        "healthy": backend.healthy,
        "active": backend.active,
        "tunnels": backend.tunnels,
        "queued": backend.queued,
        "requests": backend.requests,
        "failures": backend.failures,
        "retries": backend.retries,
        "response_time": round(backend.response_time, 6),
        "last_check": check
        and {
            "time": check.at,
            "passed": check.passed,
            "ready": check.ready,
            "detail": check.detail,
            "seconds": round(check.seconds, 6),
        },
        "generation": generation,
    }
