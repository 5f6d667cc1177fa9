"""A proxy inside the test's process, with real sockets on both sides, and a check of what each test leaves
behind."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket as gsocket
from greenlet import greenlet
from heliograph_proxy.server import ProxyServer, build
from heliograph_proxy.settings import parse
from hypothesis import settings

from proxy_tests.backends import PATIENCE, Backend
from proxy_tests.processes import free_ports

# The same examples in each run: a test that fails says something about the change, not about luck.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

#: What no test may leave in the output, unless it asked for it and read it.
TRACEBACK = "traceback"


class EndedEarly(AssertionError):
    """The proxy closed the connection before everything had come that was waited for."""


class Client:
    """A raw connection to the proxy."""

    def __init__(self, port: int) -> None:
        self.sock = gsocket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(gsocket.IPPROTO_TCP, gsocket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def more(self) -> bytes:
        data = self.sock.recv(65536)
        self.buffer += data
        return bytes(data)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        while mark not in self.buffer:
            if not self.more():
                raise EndedEarly(f"before {mark!r}: {self.buffer!r}")
        end = self.buffer.index(mark) + len(mark)
        found, self.buffer = self.buffer[:end], self.buffer[end:]
        return found

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self.more():
                raise EndedEarly(f"after {self.buffer!r}")
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def read_all(self) -> bytes:
        """Until the connection ends."""
        while self.more():
            pass
        found, self.buffer = self.buffer, b""
        return found

    def response(self, method: str = "GET") -> Response:
        """The next response, by its own framing."""
        head = self.read_until(b"\r\n\r\n")
        response = Response(head, b"")
        if method == "HEAD" or response.status < 200 or response.status in (204, 304):
            return response
        if response.field("Transfer-Encoding"):
            body = b""
            while size := int(self.read_until(b"\r\n"), 16):
                body += self.read(size)
                assert self.read(2) == b"\r\n"
            assert self.read(2) == b"\r\n"
            return Response(head, body)
        length = response.field("Content-Length")
        return Response(head, self.read(int(length)) if length is not None else self.read_all())

    def ask(self, request: bytes, method: str = "GET") -> Response:
        self.send(request)
        return self.response(method)

    def status(self) -> int:
        """The next response's status; its body is read as far as it comes."""
        head = self.read_until(b"\r\n\r\n")
        self.buffer = head + self.buffer
        with suppress(EndedEarly, ConnectionError):
            self.response()
        return Response(head, b"").status

    def ended(self) -> bool:
        """Whether the proxy closes the connection, by an end or a reset, without saying more."""
        try:
            return self.more() == b""
        except ConnectionResetError:
            return True


class Response:
    def __init__(self, head: bytes, body: bytes) -> None:
        self.head = head
        self.body = body
        self.status = int(head.split(b" ")[1])

    def __repr__(self) -> str:
        return f"<{self.head!r} {self.body[:200]!r}>"

    def field(self, name: str) -> str | None:
        found = [
            line.split(b":", 1)[1]
            for line in self.head.split(b"\r\n")[1:]
            if line.lower().startswith(name.lower().encode() + b":")
        ]
        assert len(found) < 2, self.head
        return found[0].strip().decode("latin-1") if found else None

    def problem(self) -> dict[str, Any]:
        """The document of an error, which must be one of the proxy's own and complete."""
        assert self.field("Content-Type") == "application/problem+json", self
        assert self.field("X-Content-Type-Options") == "nosniff"
        assert self.field("X-Request-Id")
        document = json.loads(self.body)
        assert document["status"] == self.status
        assert document["type"].startswith("/problems/")
        assert document["title"]
        assert document["detail"]
        return dict(document)


class Proxy:
    """A proxy in front of some backends. Stops with the test."""

    def __init__(self, directory: Path, backends: list[dict[str, Any]], settings: dict[str, Any]) -> None:
        self.log = directory / "access.log"
        self.port, self.admin_port = free_ports(2)
        document = {
            "listen": f"127.0.0.1:{self.port}",
            "admin": f"127.0.0.1:{self.admin_port}",
            "backend": backends,
            # Tests count on who is next.
            "strategy": "round_robin",
            **settings,
            "log": {"access": str(self.log), **settings.get("log", {})},
            # A check now and then no more: what a test counts are its own requests.
            "health": {"interval": 600.0, **settings.get("health", {})},
        }
        self.document = document
        self.server = ProxyServer(build(parse(document)), str(directory / "proxy.toml"))
        self.runtime = self.server.runtime
        self.balancer = self.runtime.balancer
        self.backends = self.balancer.backends
        self.server.start()
        for backend in self.backends:
            until(lambda backend=backend: backend.last_check, "the first check")  # type: ignore[misc]

    def client(self) -> Client:
        return Client(self.port)

    def admin(self) -> Client:
        return Client(self.admin_port)

    def get(self, target: str = "/", **fields: str) -> Response:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        with self.client() as client:
            return client.ask(f"GET {target} HTTP/1.1\r\nHost: test\r\n{extra}\r\n".encode())

    def kept(self, name: str = "b1") -> int:
        """Idle connections to a backend that are open."""
        return sum(not one.closed for one in self.runtime.connections._idle.get(name, ()))

    def records(self, count: int = 1) -> list[dict[str, Any]]:
        """The access log, once it has that many lines."""
        until(lambda: len(self.log.read_bytes().splitlines()) >= count, f"{count} lines in the access log")
        return [json.loads(line) for line in self.log.read_bytes().splitlines()]

    def idle(self) -> bool:
        """Whether nothing is in flight and no client is connected, in the counters that balancing depends on."""
        counted = [self.balancer.in_flight, self.balancer.retries.retrying, len(self.balancer.queue)]
        counted += [
            self.runtime.metrics.connections,
            self.runtime.held.total,
            len(self.runtime.held._by_client),
        ]
        for one in self.backends:
            counted += [one.active, one.tunnels, one.queued, len(self.balancer.waiting[one])]
        return not any(counted)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Let everything run until the condition holds."""
    with gevent.Timeout(PATIENCE, AssertionError(f"still waiting for {what}")):
        while not (value := condition()):
            gevent.sleep(0.002)
        return value


StartProxy = Callable[..., Proxy]


@pytest.fixture(autouse=True, scope="session")
def quick_counting() -> None:
    """What is there before the first test needs not be looked through after each."""
    gevent.get_hub().threadpool.apply(int)  # so that its thread is there before anything is counted
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No greenlet and no descriptor outlives its test, and nothing failed behind its back."""
    before = _greenlets(), _descriptors()
    capfd.readouterr()  # what another test wrote
    yield
    until(lambda: _greenlets() <= before[0], "greenlets to end")
    until(lambda: _descriptors() <= before[1], "descriptors to be closed")
    out, err = capfd.readouterr()
    print(out, end="")  # for the report, should the test have failed
    print(err, end="", file=sys.stderr)
    assert TRACEBACK not in err.lower(), err


@pytest.fixture
def start_proxy(tmp_path: Path, nothing_left: None) -> Iterator[StartProxy]:
    """`start_proxy(backend, …, section={…})`: a proxy in front of these backends, or of these [[backend]]
    tables."""
    started: list[Proxy] = []

    def start(*backends: Backend | dict[str, Any], **settings: Any) -> Proxy:
        tables = [
            one if isinstance(one, dict) else {"name": f"b{number}", "address": f"127.0.0.1:{one.port}"}
            for number, one in enumerate(backends, 1)
        ]
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Proxy(directory, tables, settings))
        return started[-1]

    yield start
    for proxy in started:
        until(proxy.idle, "nothing in flight")
        proxy.server.stop()
        assert len(proxy.runtime.sweeper) == 0, "connections are left"


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as one:
        yield one


@pytest.fixture
def another() -> Iterator[Backend]:
    with Backend() as one:
        yield one


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Are closed at the end."""
    kept: list[Client] = []
    yield kept
    for one in kept:
        one.sock.close()


def _greenlets() -> int:
    """Those of this thread's loop; native threads have their own."""
    gc.collect()
    hub = gevent.get_hub()
    return sum(isinstance(one, greenlet) and not one.dead and one.parent is hub for one in gc.get_objects())


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
