"""The addresses behind the name of a backend: looked up in native threads of its own, all of them, again and again.

A look-up may take much longer than anyone wants to wait for it, and cannot be ended. So who waits goes at its deadline, each
name is looked up once at a time however many ask for it, and the threads are not those of the access log.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import gevent
from gevent.event import AsyncResult
from gevent.monkey import get_original
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

Endpoint = tuple[socket.AddressFamily, tuple[str, int]]
LookUp = Callable[..., list[Any]]


class LookUpTimedOut(OSError):
    """The name server did not answer before the deadline."""


class Resolver:
    """`endpoints` of an address, the one that worked last first."""

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up
        self._pool: ThreadPool | None = None
        self._running: dict[Address, AsyncResult[list[Endpoint]]] = {}
        #: With the moment of their look-up.
        self._known: dict[Address, tuple[float, list[Endpoint]]] = {}
        self._good: dict[Address, Endpoint] = {}
        #: Took a connection and failed a check.
        self._doubtful: dict[Address, Endpoint] = {}

    def endpoints(self, address: Address, deadline: float) -> list[Endpoint]:
        """At least one. OSError if there is none, or if the look-up does not end before the deadline."""
        literal = _literal(address)
        if literal is not None:
            return [literal]
        at, found = self._known.get(address, (0.0, []))
        if not found or monotonic() - at > FRESH_SECONDS:
            found = self._wait(address, deadline)
        good, doubtful = self._good.get(address), self._doubtful.get(address)
        # Sorting keeps the order of what is equal.
        return sorted(found, key=lambda one: 0 if one == good else 2 if one == doubtful else 1)

    def worked(self, address: Address, endpoint: Endpoint) -> None:
        """This one could be connected to."""
        if self._good.get(address) != endpoint and address in self._known:
            self._good[address] = endpoint

    def distrust(self, address: Address, peer: tuple[str, int]) -> None:
        """What took a connection there is no healthy backend: the next connection is tried elsewhere first."""
        for one in self._known.get(address, (0.0, []))[1]:
            if one[1] == peer:
                self._doubtful[address] = one
                if self._good.get(address) == one:
                    del self._good[address]

    def failed(self, address: Address) -> None:
        """None of them could: they may have changed."""
        self._known.pop(address, None)
        self._good.pop(address, None)
        self._doubtful.pop(address, None)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.kill()
            self._pool = None

    def _wait(self, address: Address, deadline: float) -> list[Endpoint]:
        running = self._running.get(address)
        if running is None:
            running = self._running[address] = AsyncResult()
            gevent.spawn(self._run, address, running)
        running.wait(max(deadline - monotonic(), 0.0))
        if not running.ready():
            raise LookUpTimedOut(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        found: list[Endpoint] = running.get() or []
        return found

    def _run(self, address: Address, result: AsyncResult[list[Endpoint]]) -> None:
        """One look-up, for all who wait for it."""
        if self._pool is None:
            self._pool = ThreadPool(MAX_THREADS)
        look_up = self._look_up or get_original("socket", "getaddrinfo")
        try:
            answer = self._pool.spawn(_asked, look_up, address).get()
            if isinstance(answer, OSError):
                raise answer
            found = list(dict.fromkeys((family, target[:2]) for family, _, _, _, target in answer or ()))
            found = found[:MAX_ADDRESSES]
            if len(self._known) >= MAX_NAMES:
                self._known.clear()
                self._good.clear()
                self._doubtful.clear()
            self._known[address] = monotonic(), found
            result.set(found)
        except OSError as exc:
            self._known.pop(address, None)
            result.set_exception(exc)
        finally:
            del self._running[address]


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
