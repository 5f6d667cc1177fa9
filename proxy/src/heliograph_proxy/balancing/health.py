"""Active checks: a full request to each backend, again and again, on a new connection.

A connect alone says nothing about Gunicorn (its listener is shared and open while every worker hangs) and
holds up a synchronous worker that waits for the request; so each check sends its request at once and reads
the whole answer.
"""

from __future__ import annotations

import json
import time
from contextlib import closing, suppress
from random import uniform
from time import monotonic

import gevent

from heliograph_proxy.balancing.backends import Backend, Check, OperatorState
from heliograph_proxy.errors import AttemptFailed, FramingError, StreamError, TimedOut, Unavailable
from heliograph_proxy.http1 import grammar, responses
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.values import Address

#: Checks of several proxies and backends must not fall into step.
JITTER = 0.1

#: The interval until a backend answers for the first time: it has probably been started together with the
#: proxy.
STARTING_SECONDS = 0.25

#: More of an answer than this is no health check.
MAX_BODY = 65536

#: What an instance says once its shutdown began, whether as a problem's type or as its status.
STOPPING = b"stopping"

#: The application leaves the checks of this agent out of its access log: two a second would hide what people do.
AGENT = "heliograph-proxy"

#: What is asked where the configuration names no path: instances of the library answer it themselves, before any application.
#: Of a server without the library any answer will do but an error of its own.
PATH = "/-/health"

#: Statuses from here on are no success, of a path that the configuration names and of ours.
CLIENT_ERRORS, SERVER_ERRORS = 400, 500


class Checker:
    """One greenlet for each backend."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._greenlets: dict[Backend, gevent.Greenlet[..., None]] = {}

    def start(self, backend: Backend) -> None:
        self._greenlets[backend] = gevent.spawn(self._run, backend)

    def stop(self) -> None:
        gevent.killall(list(self._greenlets.values()))
        self._greenlets.clear()

    def stop_one(self, backend: Backend) -> None:
        """Does not wait for its end: nothing else may change the backends in between."""
        greenlet = self._greenlets.pop(backend, None)
        if greenlet is not None:
            greenlet.kill(block=False)

    def configured(self) -> None:
        """The settings are new: no pause and no check goes on by the old ones."""
        for backend in list(self._greenlets):
            self.stop_one(backend)
            self.start(backend)

    def _run(self, backend: Backend) -> None:
        while True:
            if backend.state is not OperatorState.MAINT:
                # Without a descriptor for it nothing can be said of the backend.
                with suppress(Unavailable):
                    self._runtime.balancer.checked(backend, self.check(backend))
            interval = self._runtime.settings.health.interval
            if not backend.proven:
                interval = min(interval, STARTING_SECONDS)
            gevent.sleep(interval * uniform(1 - JITTER, 1 + JITTER))

    def check(self, backend: Backend) -> Check:
        """One check, whose result may be that it did not end in time. Unavailable if it could not be made."""
        settings, address = self._runtime.settings.health, backend.settings.address
        begun = monotonic()
        try:
            with closing(self._runtime.connections.connect(address, settings.timeout)) as stream:
                status, body = self._ask_or_distrust(address, stream, begun + settings.timeout)
        except TimedOut:
            return _failed(begun, f"no answer within {settings.timeout:g} s")
        except (AttemptFailed, StreamError, FramingError) as exc:
            return _failed(begun, str(exc))
        passed = self._well(status)
        stopping = not passed and STOPPING in body
        ready = not (passed and says_unready(body))
        detail = (
            "the instance is stopping" if stopping else f"status {status}" + ("" if ready else ", not ready")
        )
        return Check(time.time(), passed, detail, monotonic() - begun, stopping, ready)

    def _well(self, status: int) -> bool:
        health = self._runtime.settings.health
        return status < (health.below or (CLIENT_ERRORS if health.path else SERVER_ERRORS))

    def _ask_or_distrust(self, address: Address, stream: SocketStream, deadline: float) -> tuple[int, bytes]:
        try:
            status, body = self._ask(stream, deadline)
        except (StreamError, FramingError):
            self._runtime.connections.distrust(address, stream)
            raise
        if not self._well(status):
            self._runtime.connections.distrust(address, stream)
        return status, body

    def _ask(self, stream: SocketStream, deadline: float) -> tuple[int, bytes]:
        settings = self._runtime.settings.health
        stream.write_patience = settings.timeout
        start = f"GET {settings.path or PATH} HTTP/1.1\r\nHost: {settings.host}\r\n"
        stream.send(f"{start}User-Agent: {AGENT}\r\nConnection: close\r\n\r\n".encode())
        data, end = b"", -1
        while (end := data.find(grammar.END)) < 0:
            responses.check_unfinished(data, 0)
            data += _more(stream, deadline)
        head = responses.parse(data[: end + 2])
        reader = head.delivery.reader()
        body, data = b"", data[end + 4 :]
        while True:
            body += reader.feed(data)
            if reader.complete or len(body) > MAX_BODY:
                return head.status, body
            data = stream.recv(deadline)
            if not data:
                reader.ended()


def says_unready(body: bytes) -> bool:
    """Whether an answer is a JSON object with "ready": false. Anything else says nothing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("ready") is False


def _more(stream: SocketStream, deadline: float) -> bytes:
    data = stream.recv_later(deadline)
    if not data:
        raise FramingError("the connection ended before the answer's head")
    return data


def _failed(begun: float, detail: str) -> Check:
    return Check(time.time(), False, detail, monotonic() - begun)
