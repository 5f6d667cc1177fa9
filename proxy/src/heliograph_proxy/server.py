"""The proxy as a process: puts the parts together, accepts clients, and ends so that they can finish."""

from __future__ import annotations

import resource
import socket
from random import Random
from time import monotonic
from typing import Any

import gevent
from gevent.event import Event

from heliograph_proxy import headers, loopmonitor, sticky
from heliograph_proxy.accesslog import AccessLog
from heliograph_proxy.admin.control import Control
from heliograph_proxy.admin.listener import AdminListener
from heliograph_proxy.admin.live import LiveStream
from heliograph_proxy.admin.views import AdminViews
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.balancer import Balancer
from heliograph_proxy.balancing.health import Checker
from heliograph_proxy.balancing.queue import RequestQueue
from heliograph_proxy.balancing.selection import part_of_queue
from heliograph_proxy.balancing.strategies import create
from heliograph_proxy.clients import ClientBounds
from heliograph_proxy.connections import Connections
from heliograph_proxy.draining import CLOSE_SPREAD_SECONDS, Sessions, end_sessions
from heliograph_proxy.errors import Unavailable
from heliograph_proxy.generations import Predecessors
from heliograph_proxy.held import HeldBytes
from heliograph_proxy.http1.fields import CLOSE
from heliograph_proxy.http1.requests import RequestParser
from heliograph_proxy.inherited import InheritedSockets, ListeningSocket
from heliograph_proxy.listener import ProxyListener
from heliograph_proxy.loopwatch import LoopWatch
from heliograph_proxy.metrics import ProxyMetrics
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.session import ClientSession
from heliograph_proxy.settings import ProxySettings
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import Sweeper

#: Descriptors that no client gets: for connections to backends, checks, the admin listener, the log and the loop. An
#: eighth, because most clients are idle at any moment, and at least what a proxy with few descriptors needs.
RESERVED_SHARE = 8
RESERVED_LEAST = 24

#: A client that was told nothing may use its connection once more. Those of a proxy that was replaced have this long, which
#: HAProxy calls idle-close-on-response; those of one that is stopped, and may be replaced on the same sockets, less.
LAST_REQUEST_SECONDS = 5.0
#: Well below the 1.6 s after which the manager of a stack kills a proxy that it stops (heliograph.stack.ending).
LAST_REQUEST_SHORT = 0.5

#: How often idle connections are aged and the queue is looked at without an occasion.
MAINTENANCE_SECONDS = 0.25


def build(settings: ProxySettings) -> Runtime:
    """All parts of a proxy that listens nowhere yet."""
    sweeper = Sweeper()
    limits, timeouts = settings.limits, settings.timeouts
    backends = [Backend(one, settings.health) for one in settings.backends]
    return Runtime(
        settings=settings,
        parser=RequestParser(limits),
        balancer=Balancer(
            backends,
            create(settings.strategy, Random()),
            RequestQueue(limits.queue, timeouts.queue, part_of_queue(limits.queue, settings.client.share)),
            settings.client.share,
        ),
        connections=Connections(settings.pool, sweeper, timeouts.body),
        access_log=AccessLog(settings.log),
        metrics=ProxyMetrics(LoopWatch(loopmonitor.WAITING)),
        sweeper=sweeper,
        sticky=sticky.create(settings.sticky, settings.state),
        held=HeldBytes(limits.held_bytes, timeouts.queue),
        clients=ClientBounds(settings.client),
    )


class ProxyServer:
    """`start`, then `stop`; `stop` returns when the last client has gone or the time to drain is over."""

    def __init__(self, runtime: Runtime, file: str, inherited: InheritedSockets | None = None) -> None:
        sockets = inherited or InheritedSockets()
        self.runtime = runtime
        self.checker = Checker(runtime)
        self.control = Control(runtime, self.checker, file)
        self._live = LiveStream(runtime)
        views = AdminViews(runtime, self.control, self._live, self._older)
        self._admin = AdminListener(runtime, views, sockets.take("admin", runtime.settings.admin))
        #: Where clients of generations before are left.
        self.predecessors: Predecessors | None = None
        self._sessions: Sessions = {}
        self._empty = Event()
        #: Nothing is waited for any more.
        self._at_once = False
        self._maintainer: gevent.Greenlet[..., None] | None = None
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_sockets = descriptors - max(descriptors // RESERVED_SHARE, RESERVED_LEAST)
        listen = runtime.settings.listen
        self._listeners = [
            ProxyListener(one, self._accept, self._has_room, sockets.take("listen", one)) for one in listen
        ]
        sockets.check_all_taken()

    @property
    def address(self) -> Any:
        """Of the first listener."""
        return self._listeners[0].address

    def start(self) -> None:
        runtime = self.runtime
        runtime.sweeper.start()
        runtime.access_log.start()
        self._maintainer = gevent.spawn(self._maintain)
        for backend in runtime.balancer.backends:
            self.checker.start(backend)
        self._live.start()
        for listener in self._listeners:
            listener.start()
        self._admin.start()

    def listening(self) -> list[ListeningSocket]:
        """All sockets, for a successor."""
        listeners = [*(("listen", one) for one in self._listeners), ("admin", self._admin.listener)]
        return [ListeningSocket(role, one.socket, one.owned) for role, one in listeners]

    def stop(self, *, replaced: bool = False) -> None:
        """Stop accepting, let requests end and tunnels be relayed for `timeouts.drain` seconds, then end what is left. `replaced`:
        the successor serves, on the admin listener, too. On sockets of another program one may serve as well."""
        runtime = self.runtime
        shared = replaced or not all(one.owned for one in self._listeners)
        runtime.stopping, runtime.replaced = True, replaced
        if shared:
            runtime.last_request = LAST_REQUEST_SECONDS if replaced else LAST_REQUEST_SHORT
        if replaced:
            self._hand_over()
        elif not self._admin.listener.owned:  # who serves beside this process is asked, not this one
            self._admin.listener.close()
        for listener in self._listeners:
            listener.close()
        while any(listener.starting for listener in self._listeners):
            gevent.sleep(0)
        for session in self._sessions:
            session.stop_if_idle()
        if self._sessions and not self._at_once:
            self._empty.clear()
            self._empty.wait(runtime.settings.timeouts.drain)
        if self._sessions:
            end_sessions(self._sessions, runtime.tunnels, CLOSE_SPREAD_SECONDS if shared else 0.0)
        self._stop_parts()

    def _stop_parts(self) -> None:
        runtime = self.runtime
        self._admin.stop()
        self._live.stop()
        self.checker.stop()
        if self._maintainer is not None:
            self._maintainer.kill()
        runtime.connections.close()
        runtime.access_log.stop()
        runtime.sweeper.stop()

    def stop_draining(self) -> None:
        """End at once what is left, also where `stop` has not come so far."""
        self._at_once = True
        self._empty.set()

    def _hand_over(self) -> None:
        for listener in (*self._listeners, self._admin.listener):
            listener.owned = False
        self._admin.listener.close()
        self._live.changed()  # pages go to the successor
        if self.predecessors is not None:
            self.predecessors.hand_over()

    def _older(self) -> list[dict[str, Any]]:
        return self.predecessors.reports() if self.predecessors is not None else []

    def _has_room(self, starting: int) -> bool:
        return len(self.runtime.sweeper) + starting < self._most_sockets

    def _accept(self, sock: socket.socket, peer: Any) -> None:
        runtime, metrics = self.runtime, self.runtime.metrics
        if len(self._sessions) >= runtime.settings.limits.connections:
            metrics.refused_connections += 1
            _refuse(sock, runtime.request_ids.next().encode())
            return
        stream = SocketStream(sock, runtime.sweeper, runtime.settings.timeouts.body)
        session = ClientSession(runtime, stream, *_names(sock, peer))
        self._sessions[session] = gevent.getcurrent()
        metrics.connections += 1
        try:
            session.run()
        finally:
            metrics.connections -= 1
            del self._sessions[session]
            if not self._sessions:
                self._empty.set()

    def _maintain(self) -> None:
        settings = self.runtime.settings
        while True:
            gevent.sleep(MAINTENANCE_SECONDS)
            if self.runtime.settings is not settings:
                settings = self.runtime.settings
                self._reloaded(settings)
            self.runtime.connections.expire(monotonic())
            # A backend's ejection ends by time alone.
            self.runtime.balancer.changed()

    def _reloaded(self, settings: ProxySettings) -> None:
        """What waits for a client already waits as long as the new settings say. Sizes, and the times of a backend to connect and
        to answer, are those of the request's beginning."""
        for session in self._sessions:
            session.reloaded()
        self.runtime.sweeper.reloaded(settings.timeouts.tunnel)


def _names(sock: socket.socket, peer: Any) -> tuple[str, str]:
    """The client's address, empty on a Unix socket, and the host it called."""
    if sock.family == socket.AF_UNIX:
        return "", "localhost"
    host, port = sock.getsockname()[:2]
    return peer[0], f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refuse(sock: socket.socket, request_id: bytes) -> None:
    """One client too many: it gets a problem document as far as its socket takes it at once."""
    problem = Unavailable("too many connections")
    try:
        sock.send(headers.problem_response(problem, request_id, CLOSE))
    except OSError:
        pass  # it has gone already
    finally:
        sock.close()
