"""The access log: its two formats, its batches, and what happens when it cannot keep up."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from heliograph_proxy.accesslog import AccessLog, Record, combined_line, json_line
from heliograph_proxy.settings import LogSettings

from proxy_tests.backends import CLOSE, Backend, Peer, Received, Script
from proxy_tests.conftest import Proxy, StartProxy, until

RECORD = Record("abc", "10.0.0.1")
RECORD.method, RECORD.target, RECORD.status, RECORD.sent = "GET", '/a"b\\c', 200, 123
RECORD.backend, RECORD.tries = "web1", 2
RECORD.TR, RECORD.Tw, RECORD.Tc, RECORD.Tr, RECORD.Ta = 0.001, 0.0, 0.002, 0.003, 0.006


def test_a_json_line_is_json_whatever_the_target_is() -> None:
    line = json.loads(json_line(RECORD, 1_700_000_000.5))
    assert line == {
        "time": "2023-11-14T22:13:20.500Z", "request_id": "abc", "client": "10.0.0.1", "method": "GET", "target": '/a"b\\c',
        "status": 200, "bytes": 123, "backend": "web1", "tries": 2, "TR": 1.0, "Tw": 0.0, "Tc": 2.0, "Tr": 3.0,
        "Ta": 6.0, "ended": "done",
    }  # fmt: skip


def test_a_combined_line_begins_as_everybodys() -> None:
    line = combined_line(RECORD, 1_700_000_000.5)
    assert line.startswith(
        '10.0.0.1 - - [14/Nov/2023:22:13:20 +0000] "GET /a\\"b\\\\c HTTP/1.1" 200 123 "-" "-" request_id=abc '
    )


def test_phases_that_were_never_reached_say_so() -> None:
    line = json.loads(json_line(Record("a", "b"), 0.0))
    assert (line["Tw"], line["Tc"], line["Tr"]) == (-1.0, -1.0, -1.0)


def test_a_refused_request_is_logged_with_its_reason(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"GET /x y HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = client.response()
    [record] = proxy.records()
    assert (record["status"], record["ended"], record["backend"]) == (400, "bad-request", "-")
    assert record["request_id"] == answer.field("X-Request-Id")


def test_a_combined_line_has_referer_and_agent(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, log={"format": "combined"})
    proxy.get("/", referer="https://example.org/a?ticket=1", User_Agent='curl/8 "x" \\')
    proxy.get("/")
    until(lambda: proxy.log.read_bytes().count(b"\n") == 2, "the lines")
    first, second = proxy.log.read_text().splitlines()
    assert re.search(
        r'" 200 \d+ "https://example.org/a\?ticket=\*\*\*" "curl/8 \\"x\\" \\\\" request_id=', first
    )
    assert re.search(r'" 200 \d+ "-" "-" request_id=', second)


def leaving(proxy: Proxy, backend: Backend, where: str) -> None:
    """A client that leaves at that moment."""
    gate = Event()
    backend.script = waiting(
        gate, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1" if where == "answer" else b""
    )
    with proxy.client() as busy, proxy.client() as client:
        if where == "queue":
            busy.send(b"GET /busy HTTP/1.1\r\nHost: test\r\n\r\n")
            until(lambda: proxy.balancer.in_flight, "the slot to be taken")
        body = b"Content-Length: 5\r\n\r\nhe" if where == "body" else b"\r\n"
        client.send(b"GET /left HTTP/1.1\r\nHost: test\r\n" + body)
        if where == "queue":
            until(lambda: len(proxy.balancer.queue), "the request to wait")
        elif where == "answer":
            client.read_until(b"\r\n\r\n1")
        elif where == "wait":
            until(lambda: backend.requests, "the request")
        else:
            until(lambda: not proxy.idle(), "the connection")
        client.sock.close()
        until(lambda: b"/left" in proxy.log.read_bytes(), "the line")
        gate.set()


def waiting(gate: Event, first: bytes) -> Script:
    def script(peer: Peer, request: Received) -> object:
        peer.send(first)
        gate.wait()
        return CLOSE

    return script


@pytest.mark.parametrize("where", ["body", "queue", "wait", "answer"])
@pytest.mark.parametrize("format_", ["json", "combined"])
def test_a_client_that_left_is_499_whenever_it_left(
    start_proxy: StartProxy, backend: Backend, where: str, format_: str
) -> None:
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_connections": 1}
    proxy = start_proxy(table, log={"format": format_})
    leaving(proxy, backend, where)
    [line] = [one for one in proxy.log.read_text().splitlines() if "/left" in one]
    assert ('"status": 499, ' if format_ == "json" else '/left HTTP/1.1" 499 ') in line
    assert "client-gone" in line
    counted = proxy.runtime.metrics.durations
    assert sum(sum(one.counts) for (_, hundreds), one in counted.items() if hundreds == 4) == 1


def test_no_log_is_no_log(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, log={"access": ""})
    assert proxy.get().status == 200
    assert not proxy.log.exists()


def test_what_does_not_fit_is_dropped_counted_and_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = AccessLog(LogSettings(access=str(tmp_path / "log")), most=3)
    for _ in range(5):
        log.add(RECORD)
    log.stop()
    assert len((tmp_path / "log").read_text().splitlines()) == 3
    assert json.loads(capfd.readouterr().err)["lines"] == 2


def test_a_reader_that_stops_reading_holds_nobody_up(
    start_proxy: StartProxy, backend: Backend, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    proxy = start_proxy(backend, log={"access": str(pipe)})
    with proxy.client() as client:
        for _ in range(1000):  # 300 KB of log, more than a pipe holds
            assert client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").status == 200
    seen = b""

    def drained() -> bool:
        nonlocal seen
        try:
            seen += os.read(reader, 1 << 20)
        except BlockingIOError:
            return seen.count(b"\n") == 1000
        return seen.count(b"\n") == 1000

    until(drained, "all lines")
    os.close(reader)


def test_lines_on_their_way_reach_their_file_although_another_one_is_opened_meanwhile(tmp_path: Path) -> None:
    old, new, stranger = (tmp_path / name for name in ("old", "new", "stranger"))
    pool, gate = gevent.get_hub().threadpool, threading.Event()
    busy: list[Any] = [
        pool.spawn(gate.wait) for _ in range(pool.maxsize)
    ]  # so that the write has to wait for a thread
    log = AccessLog(LogSettings(access=str(old)))
    log.start()
    log.add(RECORD)
    until(lambda: pool.task_queue.unfinished_tasks > len(busy), "the write to wait")
    reopening = gevent.spawn(log.reopen, LogSettings(access=str(new)))
    gevent.idle()
    descriptor = os.open(stranger, os.O_WRONLY | os.O_CREAT)  # the lowest number that is free
    gate.set()
    for one in [*busy, reopening]:
        one.get()
    log.stop()
    os.close(descriptor)
    assert (len(old.read_bytes().splitlines()), stranger.read_bytes()) == (1, b"")
