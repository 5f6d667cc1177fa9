"""Alive, ready, and the metrics."""

from __future__ import annotations

import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import wirecodes
from proxy_tests.processes import until

import heliograph
from tests.serving import CLOSE, HOST, Server, problem


def test_it_is_alive(server: Server) -> None:
    answer = server.get("/healthz")
    expected = {
        "status": "ok",
        "version": heliograph.__version__,
        "instance": "test1",
        "kernel": wirecodes.KERNEL,
    }
    assert (answer.status, answer.json()) == (200, expected)


def test_it_is_ready(server: Server) -> None:
    answer = server.get("/readyz")
    assert (answer.status, answer.json()) == (
        200,
        {
            "status": "ready",
            "checks": {"lifecycle": "ok", "spool": "ok", "channels": "ok", "telegraph": "ok"},
        },
    )


def test_metrics_are_prometheus_text_and_all_ours(server: Server) -> None:
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {
        line.split("{")[0].split()[0]
        for line in answer.body.decode().splitlines()
        if not line.startswith("#")
    }
    assert names
    assert all(name.startswith("heliograph_") for name in names)


def test_without_a_usable_spool_it_is_not_ready_and_takes_no_large_body(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.wait_for_port(server.port)
        assert server.get("/readyz").status == 200
        shutil.rmtree(server.spool)
        server.spool.write_text("a file where the folder was")
        until(lambda: server.get("/readyz").status == 503, "a second: results are kept so long")
        answer = server.get("/readyz")
        assert answer.json()["status"] == "unready"
        assert str(server.spool) in answer.json()["checks"]["spool"]
        body = b"POST /echo HTTP/1.1\r\nContent-Length: 2000000\r\n" + CLOSE + b"\r\n" + b"x" * 2_000_000
        refused = server.raw(body)
        problem(refused, 503, "spool-full")
        assert refused.headers["retry-after"]


def test_once_shutdown_began_it_says_so_on_connections_that_are_open(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.started().connect() as slow, ExitStack() as stack:
        slow.send(b"GET /echo/delay/1.5 HTTP/1.1\r\n" + HOST + b"\r\n")
        probes = {path: stack.enter_context(server.connect()) for path in ("/healthz", "/readyz")}
        for path, probe in probes.items():
            probe.send(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            assert probe.answer().status == 200
        until(lambda: server.metrics()["heliograph_requests_in_flight"] == 2, "the slow request")
        server.send(signal.SIGTERM)
        server.wait_for_output("Handling signal: term")
        for path, probe in probes.items():
            probe.send(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            answer = probe.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert b"stopping" in answer.body
        finished = slow.answer()
        assert (finished.json(), finished.headers["connection"]) == ({"slept": 1.5}, "close")
        assert server.wait() == 0
    assert "Traceback" not in server.output
