"""In front of real Gunicorn instances under load: one is killed, frozen, or restarted after draining.

No GET fails; a POST that was answered 2xx ran exactly once and none ran twice; in an orderly restart no POST
fails.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent
import pytest

from proxy.backends import State
from tests.processes import PYTHON, Process, answers, free_ports
from tests.proxy.conftest import Client, EndedEarly, Proxy, StartProxy, until

APP = """
import os
log = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND)

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
        os.write(log, (environ["PATH_INFO"] + "\\n").encode())
    body = environ["PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "text/plain")])
    return [body]
"""

#: Clients that ask all the time.
CLIENTS = 12


class Load:
    """Clients that send GETs and POSTs until they are told to stop."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._going = True
        self.failed: list[str] = []
        self.answered: list[str] = []
        self._jobs = [gevent.spawn(self._ask, number) for number in range(CLIENTS)]

    def stop(self) -> None:
        self._going = False
        gevent.joinall(self._jobs, raise_error=True)

    def _ask(self, name: int) -> None:
        client, number = self._proxy.client(), 0
        while self._going:
            number += 1
            method = "POST" if number % 3 == 0 else "GET"
            target = f"/{name}-{number}"
            size = "Content-Length: 4\r\n\r\nbody" if method == "POST" else "\r\n"
            try:
                answer = client.ask(f"{method} {target} HTTP/1.1\r\nHost: test\r\n{size}".encode())
                fine = answer.status == 200 and answer.body == target.encode()
            except (EndedEarly, ConnectionError):
                fine = False
                client.sock.close()
                client = Client(self._proxy.port)
            (self.answered if fine else self.failed).append(f"{method} {target}")
        client.sock.close()

    def some(self, more: int) -> None:
        """Wait for so many more answers."""
        enough = len(self.answered) + more
        until(lambda: len(self.answered) >= enough, f"{more} more answers")


class Instances:
    """Gunicorn instances with one gevent worker each."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        self.runs = directory / "runs"
        self.runs.touch()
        (directory / "hello.py").write_text(APP)
        self.ports = free_ports(count)
        self.processes = [self.start(number) for number in range(count)]

    def start(self, number: int) -> Process:
        command = [
            PYTHON, "-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{self.ports[number]}", "hello:app",
        ]  # fmt: skip
        log = self.directory / f"gunicorn{number}.log"
        process = Process(command, log, {"RUNS": str(self.runs)}, cwd=self.directory)
        until(lambda: answers(self.ports[number]), "the instance to listen")
        return process

    def tables(self) -> list[dict[str, str]]:
        return [
            {"name": f"b{number}", "address": f"127.0.0.1:{port}"} for number, port in enumerate(self.ports)
        ]

    def signal(self, number: int, signum: int) -> None:
        """To the instance and its worker, as a machine that stops would."""
        for pid in self.processes[number].tree():
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def stop(self) -> None:
        for number, process in enumerate(self.processes):
            self.signal(number, signal.SIGKILL)
            process.wait()

    def ran(self) -> Counter[str]:
        return Counter(self.runs.read_text().split())


@contextmanager
def instances(directory: Path, count: int = 2) -> Iterator[Instances]:
    started = Instances(directory, count)
    try:
        yield started
    finally:
        started.stop()


FAST = {"interval": 0.2, "timeout": 0.3, "path": "/healthz", "fall": 2}


def check_posts(load: Load, started: Instances) -> None:
    ran = started.ran()
    assert set(ran.values()) <= {1}
    posts = {one.removeprefix("POST ") for one in load.answered if one.startswith("POST")}
    assert posts <= set(ran)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Instances]:
    with instances(tmp_path) as started:
        yield started


def test_an_instance_that_is_killed_fails_no_get(start_proxy: StartProxy, two: Instances) -> None:
    proxy = start_proxy(*two.tables(), health=FAST)
    load = Load(proxy)
    load.some(300)
    two.signal(0, signal.SIGKILL)
    load.some(600)
    load.stop()
    assert [one for one in load.failed if one.startswith("GET")] == []
    check_posts(load, two)


def test_an_instance_that_is_frozen_fails_no_get(start_proxy: StartProxy, two: Instances) -> None:
    proxy = start_proxy(*two.tables(), health=FAST, timeouts={"response": 2.0})
    load = Load(proxy)
    load.some(300)
    two.signal(0, signal.SIGSTOP)
    until(lambda: not proxy.backends[0].healthy, "the frozen instance to be noticed")
    load.some(600)
    gevent.sleep(2.0)  # until the POSTs that wait there are given up
    load.stop()
    two.signal(0, signal.SIGCONT)
    assert [one for one in load.failed if one.startswith("GET")] == []
    check_posts(load, two)


def test_an_orderly_restart_fails_nothing(start_proxy: StartProxy, two: Instances) -> None:
    proxy = start_proxy(*two.tables(), health={**FAST, "rise": 1, "slow_start": 0})
    load = Load(proxy)
    for number, backend in enumerate(proxy.backends):
        load.some(200)
        proxy.server.control.set_state(backend.name, State.DRAIN)
        until(lambda one=backend: one.active == 0, "nothing in flight")  # type: ignore[misc]
        two.processes[number].send(signal.SIGTERM)
        until(lambda one=two.processes[number]: not one.running(), "the instance to end")  # type: ignore[misc]
        two.processes[number] = two.start(number)
        until(lambda one=backend: one.last_check.passed, "a good check")  # type: ignore[misc]
        proxy.server.control.set_state(backend.name, State.READY)
    load.some(200)
    load.stop()
    assert load.failed == []
    check_posts(load, two)
