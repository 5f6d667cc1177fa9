"""In front of real Gunicorn instances under load: one is killed, frozen, or restarted after draining.

No GET fails; a POST that was answered 2xx ran exactly once and none ran twice; in an orderly restart no POST
fails. With both kinds of worker that our users have: plain gevent, and ours as conf/gunicorn.conf.py sets it up.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import gevent
import pytest
from heliograph_proxy.balancing.backends import OperatorState

from proxy_tests.conftest import EndedEarly, Proxy, StartProxy, until
from proxy_tests.processes import PYTHON, ROOT, Process, answers, free_ports

#: Takes a moment for each request, so that some are in flight whenever something happens.
APP = """
import os, time
log = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND)

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
        os.write(log, (environ["PATH_INFO"] + "\\n").encode())
    time.sleep(0.02)
    body = environ["PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "text/plain")])
    return [body]
"""

#: Clients that ask all the time, with a pause in between: who asks must leave an instance that starts some of the processor.
CLIENTS = 12
PAUSE = 0.005


#: What each client asks for in turn: method, fields, body.
REQUESTS = (
    ("GET", "", ""),
    ("POST", "Content-Length: 4\r\n", "body"),
    ("GET", "", ""),
    ("POST", "Transfer-Encoding: chunked\r\n", "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"),
    ("GET", "", ""),
)

#: What a POST may be answered that was in flight at an instance that died. Gunicorn sends the head of an answer before its
#: body, so one may have begun.
LOST = ("502", "504", "cut")


class Load:
    """Clients that send GETs and POSTs until they are told to stop."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._going = True
        #: "status method target"; the status of an answer that was cut is "cut".
        self.failed: list[str] = []
        self.answered: list[str] = []
        until(lambda: all(one.proven for one in proxy.backends), "all instances to answer")
        self._jobs = [gevent.spawn(self._ask, number) for number in range(CLIENTS)]

    def stop(self) -> None:
        self._going = False
        gevent.joinall(self._jobs, raise_error=True)

    def _ask(self, name: int) -> None:
        client, number = self._proxy.client(), 0
        while self._going:
            number += 1
            gevent.sleep(PAUSE)
            method, fields, body = REQUESTS[number % len(REQUESTS)]
            target = f"/{name}-{number}"
            try:
                answer = client.ask(
                    f"{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n{body}".encode()
                )
                status = (
                    str(answer.status) if answer.body == target.encode() or answer.status >= 400 else "wrong"
                )
            except (EndedEarly, ConnectionError):
                status = "cut"
            if status != "200":
                client.sock.close()
                client = self._proxy.client()
            (self.answered if status == "200" else self.failed).append(f"{status} {method} {target}")
        client.sock.close()

    def some(self, more: int) -> None:
        """Wait for so many more answers."""
        enough = len(self.answered) + more
        until(lambda: len(self.answered) >= enough, f"{more} more answers")


#: By kind of worker, what Gunicorn is told. Ours needs the library, which an environment for the proxy alone lacks.
WORKERS: dict[str, tuple[str, ...]] = {"gevent": ("-k", "gevent", "-w", "1")}
if find_spec("heliograph"):
    WORKERS["ours"] = ("-c", str(ROOT / "conf" / "gunicorn.conf.py"))


class Instances:
    """Gunicorn instances with one worker each."""

    def __init__(self, directory: Path, worker: str, count: int = 2) -> None:
        self.directory = directory
        self.worker = worker
        self.runs = directory / "runs"
        self.runs.touch()
        (directory / "hello.py").write_text(APP)
        self.ports = free_ports(count)
        self.processes = [self.start(number) for number in range(count)]

    def start(self, number: int) -> Process:
        where = f"127.0.0.1:{self.ports[number]}"
        command = [PYTHON, "-m", "gunicorn", *WORKERS[self.worker], "-b", where, "hello:app"]
        environment = {"RUNS": str(self.runs), "PYTHONPATH": str(ROOT)}
        log = self.directory / f"gunicorn{number}.log"
        return Process(command, log, environment, cwd=self.directory)

    def wait(self) -> None:
        for process, port in zip(self.processes, self.ports, strict=True):
            until(lambda one=port, it=process: answers(one) or not it.running(), "an instance to listen")  # type: ignore[misc]
            assert process.running(), process.output
            until(lambda it=process: len(it.tree()) > 1, "its worker")  # type: ignore[misc]

    def tables(self) -> list[dict[str, str]]:
        return [
            {"name": f"b{number}", "address": f"127.0.0.1:{port}"} for number, port in enumerate(self.ports)
        ]

    def signal(self, number: int, signum: int, *, worker_only: bool = False) -> None:
        """To the instance and its worker, as a machine that stops would."""
        for pid in self.processes[number].tree()[worker_only:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def stop(self) -> None:
        for number, process in enumerate(self.processes):
            self.signal(number, signal.SIGKILL)
            process.wait()

    def ran(self) -> Counter[str]:
        return Counter(self.runs.read_text().split())


#: What is dead is noticed soon, and what is only slow, as everything is on a busy machine, is not taken for it.
FAST = {"interval": 0.2, "timeout": 0.8, "fall": 2, "rise": 1, "slow_start": 0}


@pytest.fixture(params=WORKERS)
def two(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Instances]:
    started = Instances(tmp_path, request.param)
    try:
        started.wait()
        yield started
    finally:
        started.stop()


def check(load: Load, started: Instances) -> None:
    """Nothing failed but POSTs that were at an instance when it died, and each POST ran at most once."""
    assert [
        one for one in load.failed if not one.startswith(tuple(f"{status} POST " for status in LOST))
    ] == []
    ran = started.ran()
    assert set(ran.values()) <= {1}
    posts = {one.split()[2] for one in load.answered if " POST " in one}
    assert len(posts) > 100
    assert posts <= set(ran)


@pytest.mark.parametrize("worker_only", [False, True], ids=["instance", "worker"])
def test_an_instance_that_is_killed_fails_no_get(
    start_proxy: StartProxy, two: Instances, worker_only: bool
) -> None:
    load = Load(start_proxy(*two.tables(), health=FAST))
    load.some(300)
    two.signal(0, signal.SIGKILL, worker_only=worker_only)
    load.some(300)
    load.stop()
    check(load, two)


def test_an_instance_that_is_frozen_fails_no_get(start_proxy: StartProxy, two: Instances) -> None:
    # Longer than it takes to notice: the GETs that wait there must not wait for that.
    patience = 6.0
    proxy = start_proxy(*two.tables(), health=FAST, timeouts={"response": patience})
    load = Load(proxy)
    load.some(300)
    two.signal(0, signal.SIGSTOP)
    until(lambda: not proxy.backends[0].healthy, "the frozen instance to be noticed")
    load.some(300)
    until(lambda: proxy.backends[0].active == 0, "the POSTs that wait there to be given up")
    # Now it reads what has waited for it: nothing of that may have run elsewhere.
    two.signal(0, signal.SIGCONT)
    until(lambda: proxy.backends[0].healthy, "the instance to be used again")
    load.some(300)
    load.stop()
    check(load, two)
    assert max(one["Ta"] for one in proxy.records() if one["method"] == "GET") < patience * 1000


# The stack's own workers are restarted by script/rolling, in tests/stack/test_rolling.
@pytest.mark.parametrize("two", ["gevent"], indirect=True)
def test_an_orderly_restart_fails_nothing(start_proxy: StartProxy, two: Instances) -> None:
    proxy = start_proxy(*two.tables(), health=FAST)
    load = Load(proxy)
    for number, backend in enumerate(proxy.backends):
        load.some(200)
        proxy.server.control.set_state(backend.name, OperatorState.DRAIN)
        until(lambda one=backend: one.active == 0, "nothing in flight")  # type: ignore[misc]
        two.processes[number].send(signal.SIGTERM)
        until(lambda one=two.processes[number]: not one.running(), "the instance to end")  # type: ignore[misc]
        until(lambda one=backend: not one.healthy, "its end to be noticed")  # type: ignore[misc]
        two.processes[number] = two.start(number)
        until(lambda one=backend: one.healthy, "it to be back")  # type: ignore[misc]
        proxy.server.control.set_state(backend.name, OperatorState.READY)
    load.some(200)
    load.stop()
    assert load.failed == []
    check(load, two)
