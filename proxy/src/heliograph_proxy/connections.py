"""Connections to backends: the only place that connects, and the pool of idle ones.

A connection is reused only while it is certainly in order: nothing unread in it, not ended, not older than
the configuration allows (which stays under the 2 s after which Gunicorn closes), and not while its backend is
leaving.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from contextlib import suppress
from typing import Final

import gevent

from heliograph_proxy.balancing.backends import Backend, OperatorState
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import (
    EXHAUSTED,
    BadGateway,
    GatewayTimeout,
    NothingSent,
    StreamError,
    TimedOut,
    Unavailable,
)
from heliograph_proxy.resolver import LookUpTimedOut, Resolver
from heliograph_proxy.settings import PoolSettings
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.values import Address
from heliograph_proxy.waits import Sweeper

#: A request that must not run twice uses no connection that was idle longer: the longer, the likelier the
#: backend is just closing it, and then it cannot be told whether the request was seen.
YOUNG_SECONDS: Final = 0.25

#: How long to wait when a Unix socket's backlog is full, which connect() does not wait for.
BACKLOG_PAUSE: Final = 0.005


class Connections:
    """Idle connections by backend name, the youngest first to be used."""

    def __init__(
        self,
        settings: PoolSettings,
        sweeper: Sweeper,
        write_patience: float,
        resolver: Resolver | None = None,
    ) -> None:
        self._settings = settings
        self._sweeper = sweeper
        self._write_patience = write_patience
        self._idle: dict[str, deque[SocketStream]] = {}
        self._resolver = resolver or Resolver()

    def configure(self, settings: PoolSettings, write_patience: float) -> None:
        self._settings, self._write_patience = settings, write_patience
        for idle in self._idle.values():
            while len(idle) > settings.max:
                idle.popleft().close()

    def reuse(self, backend: Backend, now: float, *, young: bool) -> SocketStream | None:
        """An idle connection in perfect order, if there is one."""
        idle = self._idle.get(backend.name)
        longest = min(self._settings.idle, YOUNG_SECONDS) if young else self._settings.idle
        while idle:
            stream = idle.pop()
            if stream.closed:
                continue
            stream.on_readable = None
            if now - stream.idle_since > longest:
                # All others are older still.
                stream.close()
                return None if young else self._drop(idle)
            # The watcher may not have run yet for what the kernel already has.
            if stream.is_quiet():
                stream.write_patience = self._write_patience
                return stream
            stream.close()
        return None

    def connect(self, address: Address, timeout: float) -> SocketStream:
        """A fresh connection; NothingSent if it cannot be had in time, Unavailable if we have no descriptor for it.

        Of a name each of its addresses is tried. The time is shared by those that are left to try, so that one that is
        silent leaves some to the others.
        """
        deadline = monotonic() + timeout
        if address.path:
            return self._connect_to(socket.AF_UNIX, address.path, deadline)
        try:
            endpoints = self._resolver.endpoints(address, deadline)
        except LookUpTimedOut as exc:
            raise NothingSent(GatewayTimeout("the backend's name could not be looked up in time")) from exc
        except OSError as exc:
            raise NothingSent(BadGateway(f"the backend's address cannot be used: {exc.strerror}")) from exc
        failure: NothingSent | None = None
        for number, endpoint in enumerate(endpoints):
            now = monotonic()
            share = (deadline - now) / (len(endpoints) - number)
            try:
                stream = self._connect_to(*endpoint, now + share)
            except NothingSent as exc:
                failure = exc
                continue
            if len(endpoints) > 1:
                self._resolver.worked(address, endpoint)
            return stream
        self._resolver.failed(address)
        assert failure is not None
        raise failure

    def distrust(self, address: Address, stream: SocketStream) -> None:
        """The backend at the other end of this connection is not well: of its name another address is tried first."""
        if not address.path and not stream.closed:
            with suppress(OSError):  # it has gone
                self._resolver.distrust(address, stream.sock.getpeername()[:2])

    def _connect_to(
        self, family: socket.AddressFamily, target: tuple[str, int] | str, deadline: float
    ) -> SocketStream:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                raise Unavailable(f"no connection can be opened: {exc.strerror}") from exc
            raise NothingSent(BadGateway(f"the backend's address cannot be used: {exc.strerror}")) from exc
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = SocketStream(sock, self._sweeper, self._write_patience)
        try:
            self._finish_connecting(stream, target, deadline)
        except TimedOut as exc:
            stream.close()
            raise NothingSent(GatewayTimeout("connecting to the backend took too long")) from exc
        except (OSError, StreamError) as exc:
            stream.close()
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise NothingSent(BadGateway(f"the backend cannot be connected to: {reason}")) from exc
        except BaseException:  # this greenlet is being killed
            stream.close()
            raise
        return stream

    def _finish_connecting(
        self, stream: SocketStream, target: tuple[str, int] | str, deadline: float
    ) -> None:
        code = stream.sock.connect_ex(target)
        while code == errno.EAGAIN and monotonic() < deadline:
            gevent.sleep(BACKLOG_PAUSE)
            code = stream.sock.connect_ex(target)
        if code == errno.EINPROGRESS:
            stream.wait_connected(deadline)
            code = stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def keep(self, backend: Backend, stream: SocketStream) -> None:
        """Put a connection back whose last response was read completely."""
        idle = self._idle.get(backend.name)
        if idle is None:
            idle = self._idle[backend.name] = deque()
        if (
            backend.state is not OperatorState.READY
            or self._settings.idle <= 0
            or len(idle) >= self._settings.max
            or stream.buffer
        ):
            stream.close()
            return
        # Closed as soon as the backend closes it or says anything without a request.
        stream.on_readable = stream.close
        stream.arm()
        stream.silence = 0.0
        stream.idle_since = monotonic()
        idle.append(stream)

    def expire(self, now: float) -> None:
        """Close what has been idle for too long."""
        for idle in self._idle.values():
            while idle and (idle[0].closed or now - idle[0].idle_since > self._settings.idle):
                idle.popleft().close()

    def forget(self, name: str) -> None:
        """Close all idle connections of one backend."""
        self._drop(self._idle.pop(name, deque()))

    def close(self) -> None:
        for name in list(self._idle):
            self.forget(name)
        self._resolver.close()

    @staticmethod
    def _drop(idle: deque[SocketStream]) -> None:
        while idle:
            idle.pop().close()
