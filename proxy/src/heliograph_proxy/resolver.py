"""The addresses behind the name of a backend: looked up in native threads of its own, all of them, again and again.

A look-up may take much longer than anyone wants to wait for it, and cannot be ended. So who waits goes at its deadline, each
name is looked up once at a time however many ask for it, and the threads are not those of the access log. While no name
server answers, what it said last is used; that there is no such name, or no address of it, is an answer.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import gevent
from gevent.event import AsyncResult
from gevent.monkey import get_original
from gevent.pool import Group
from gevent.threadpool import ThreadPool

from heliograph_proxy.values import Address

#: Look-ups at the same time, each of another name. More names of backends than that wait for each other.
MAX_THREADS: Final = 8

#: For this long an answer is used again: connections that are opened together need one look-up. Not Final: tests wait less.
FRESH_SECONDS = 1.0

#: Of a name with more addresses the first ones are tried.
MAX_ADDRESSES: Final = 8

#: Names that are remembered: of backends there are far fewer.
MAX_NAMES: Final = 1024

#: What getaddrinfo raises where a name server answered. Not all systems have both.
_NO_ADDRESS: Final = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)}

Endpoint = tuple[socket.AddressFamily, tuple[str, int]]
LookUp = Callable[..., list[Any]]


class LookUpTimedOut(OSError):
    """The name server did not answer before the deadline."""


class _Known:
    """What the last look-up that was answered found for a name."""

    __slots__ = ("at", "doubtful", "found", "good", "unanswered")

    def __init__(self, found: list[Endpoint], at: float) -> None:
        self.found = found
        self.at = at
        #: Took a connection.
        self.good: Endpoint | None = None
        #: Took a connection and failed a check.
        self.doubtful: Endpoint | None = None
        #: A look-up since then failed or took too long: the next one is not waited for.
        self.unanswered = False

    def in_order(self) -> list[Endpoint]:
        """Sorting keeps the order of what is equal."""
        return sorted(self.found, key=lambda one: 0 if one == self.good else 2 if one == self.doubtful else 1)


class Resolver:
    """`endpoints` of an address, the one that worked last first."""

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up
        self._pool: ThreadPool | None = None
        self._running: dict[Address, AsyncResult[_Known]] = {}
        self._greenlets = Group()
        self._known: dict[Address, _Known] = {}

    def endpoints(self, address: Address, deadline: float) -> list[Endpoint]:
        """At least one. OSError if there is none, or if the first look-up does not end before the deadline."""
        literal = _literal(address)
        if literal is not None:
            return [literal]
        known, now = self._known.get(address), monotonic()
        if known is not None and now - known.at <= FRESH_SECONDS:
            return known.in_order()
        running = self._ask(address)
        if known is None:
            running.wait(max(deadline - now, 0.0))
            if not running.ready():
                raise LookUpTimedOut(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            known = running.get()
            assert known is not None
            return known.in_order()
        if not known.unanswered:
            # The other half of the time is for connecting to what is known.
            running.wait(max(deadline - now, 0.0) / 2)
            if running.ready():
                return (running.get() or known).in_order()
            known.unanswered = True
        return known.in_order()

    def worked(self, address: Address, endpoint: Endpoint) -> None:
        """This one could be connected to."""
        known = self._known.get(address)
        if known is not None:
            known.good = endpoint

    def distrust(self, address: Address, peer: tuple[str, int]) -> None:
        """What took a connection there is no healthy backend: the next connection is tried elsewhere first."""
        known = self._known.get(address)
        if known is None:
            return
        for one in known.found:
            if one[1] == peer:
                known.doubtful = one
                if known.good == one:
                    known.good = None

    def failed(self, address: Address) -> None:
        """None of them could: they may have changed."""
        known = self._known.get(address)
        if known is not None:
            known.at, known.good, known.doubtful = -math.inf, None, None

    def close(self) -> None:
        self._greenlets.kill(block=False)
        if self._pool is not None:
            # Its end waits for a look-up that is under way, and that is not waited for.
            gevent.spawn(self._pool.kill)
            self._pool = None

    def _ask(self, address: Address) -> AsyncResult[_Known]:
        """One look-up, for all who wait for it."""
        running = self._running.get(address)
        if running is None:
            running = self._running[address] = AsyncResult()
            self._greenlets.spawn(self._run, address, running)
        return running

    def _run(self, address: Address, result: AsyncResult[_Known]) -> None:
        if self._pool is None:
            self._pool = ThreadPool(MAX_THREADS)
        look_up = self._look_up or get_original("socket", "getaddrinfo")
        try:
            answer = self._pool.spawn(_asked, look_up, address).get()
        finally:
            del self._running[address]
        known = self._known.get(address)
        if not isinstance(answer, OSError):
            found = list(dict.fromkeys((family, target[:2]) for family, _, _, _, target in answer or ()))
            result.set(self._remember(address, found[:MAX_ADDRESSES]))
        elif known is None or answer.errno in _NO_ADDRESS:
            self._known.pop(address, None)
            result.set_exception(answer)
        else:
            known.at, known.unanswered = monotonic(), True
            result.set(known)

    def _remember(self, address: Address, found: list[Endpoint]) -> _Known:
        before = self._known.get(address)
        if len(self._known) >= MAX_NAMES:
            self._known.clear()
        self._known[address] = known = _Known(found, monotonic())
        if before is not None:
            known.good, known.doubtful = before.good, before.doubtful
        return known


def _asked(look_up: LookUp, address: Address) -> list[Any] | OSError:
    """In a thread of the pool, which would log an exception as a mistake of ours."""
    try:
        return look_up(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        return exc
    except UnicodeError as exc:  # a label that cannot be written for the name server
        return OSError(errno.EINVAL, str(exc))


def _literal(address: Address) -> Endpoint | None:
    """An address is spared the way to the name server."""
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        return None
    return (socket.AF_INET if version == 4 else socket.AF_INET6), (address.host, address.port)
