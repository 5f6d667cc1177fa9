"""Stopping: once, and told to all who asked."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

from heliograph_proxy.limits import raise_descriptor_limit
from proxy_tests.processes import PYTHON, Process, until

from heliograph.request.lifecycle import Lifecycle, LifecycleState
from tests.serving import HOST, Server


def test_a_lifecycle_stops_once_and_calls_every_callback() -> None:
    lifecycle, told = Lifecycle(), []
    lifecycle.on_stop(lambda: told.append(lifecycle.state))
    lifecycle.on_stop(lambda: told.append(lifecycle.state))
    assert not lifecycle.stopping
    lifecycle.stop()
    lifecycle.stop()
    assert lifecycle.stopping
    assert told == [LifecycleState.STOPPING, LifecycleState.STOPPING]


def test_the_descriptor_limit_goes_up_to_the_hard_one(tmp_path: Path) -> None:
    code = (
        "import resource; from heliograph_proxy.limits import raise_descriptor_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))\n"
        "print(raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    with Process([PYTHON, "-c", code], tmp_path / "log") as process:
        process.wait()
        assert process.output == "200 (200, 200)\n"
    assert raise_descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_idle_connections_do_not_delay_the_end(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.started().connect() as idle, server.connect() as silent:
        idle.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert idle.answer().status == 200
        assert server.stop(patience=5) == 0
        assert idle.rest() == silent.rest() == b""
        assert "timeout" not in server.output


def test_a_request_that_outlives_the_grace_is_cut_without_a_traceback(tmp_path: Path) -> None:
    def impatient(port: int) -> list[str]:
        return [PYTHON, "-m", "tests.impatient", str(port)]

    with Server(tmp_path, command=impatient) as server, server.started().connect() as slow:
        slow.send(b"GET /echo/delay/30 HTTP/1.1\r\nX-Request-Id: too-slow\r\n" + HOST + b"\r\n")
        until(lambda: server.metrics()["heliograph_requests_in_flight"] == 2, "the slow request")
        assert server.stop(patience=20) == 0
        assert slow.rest() == b""
        assert "Traceback" not in server.output
        assert server.logged(request_id="too-slow")["complete"] is False


def test_a_quick_stop_ends_it_too(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert server.started().stop(signal.SIGINT) == 0
