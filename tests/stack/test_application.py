"""The application through all layers: what a user meets, large bodies, WebSockets, and faults in the middle."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import alive, descendants, descriptors, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.stack.running import Stack

MIB = 1 << 20

#: What no process may grow by, whatever passes through it.
ALLOWED_GROWTH = 64 * MIB


@pytest.fixture(params=["nginx", "proxy", "instance"])
def url(stack: Stack, request: pytest.FixtureRequest) -> str:
    """Each layer that a client may talk to."""
    if request.param == "nginx" and not stack.has_nginx:
        pytest.skip("there is no nginx binary")
    return {"nginx": stack.url, "proxy": stack.proxy_url, "instance": stack.instance_urls[0]}[request.param]


@pytest.fixture(autouse=True)
def nothing_stays_behind(stack: Stack) -> Iterator[None]:
    """After each test: no request in flight, no WebSocket, no spool file, no tunnel, no traceback."""
    yield
    until(lambda: all(idle(instance) for instance in stack.instance_urls), "instances without work")
    until(lambda: proxy_idle(stack), "a proxy without work")
    until(lambda: not spool_files(stack), "an empty spool")
    assert "Traceback" not in stack.output


def idle(instance: str) -> bool:
    try:
        metrics = requests.get(f"{instance}/metrics", timeout=10).text.splitlines()
    except requests.ConnectionError:  # a killed one on its way back
        return False
    values = dict(line.rsplit(" ", 1) for line in metrics if not line.startswith("#"))
    own_request = 1.0
    return (
        float(values["heliograph_requests_in_flight"]) == own_request
        and float(values["heliograph_websockets"]) == 0
        and float(values["heliograph_spool_bytes"]) == 0
    )


def proxy_idle(stack: Stack) -> bool:
    backends = requests.get(f"{stack.admin_url}/status", timeout=10).json()["backends"]
    return all(b["active"] == b["tunnels"] == b["queued"] == 0 for b in backends)


def spool_files(stack: Stack) -> list[str]:
    return [
        target
        for pid in stack.tree()[1:]
        for target in open_files(pid)
        if "spool" in target and "(deleted)" in target
    ]


def open_files(pid: int) -> list[str]:
    try:
        return descriptors(pid)
    except OSError:
        return []


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """The most memory that a process had resident since `forget_peak`, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def post_and_compare(url: str, size: int) -> None:
    """POST `size` bytes to /echo, everything sent before anything is read, and see that the same come back."""
    block = os.urandom(MIB)
    sent, received = hashlib.blake2b(), hashlib.blake2b()
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=120)
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", str(size))
    connection.putheader("Content-Type", "application/x-blocks")
    connection.endheaders()
    for number in range(size // MIB):
        piece = number.to_bytes(8, "big") + block[8:]
        sent.update(piece)
        connection.send(piece)
    response = connection.getresponse()
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/x-blocks"
    assert response.headers["Content-Length"] == str(size)
    while piece := response.read(MIB):
        received.update(piece)
    connection.close()
    assert received.digest() == sent.digest()


@pytest.mark.slow
def test_a_gibibyte_comes_back_identical_and_no_process_grows(stack: Stack) -> None:
    processes = stack.tree()[1:]
    for pid in processes:
        forget_peak(pid)
    before = {pid: peak(pid) for pid in processes}
    post_and_compare(stack.url, 1024 * MIB)
    grown = {pid: peak(pid) - before[pid] for pid in processes if alive(pid)}
    assert max(grown.values()) < ALLOWED_GROWTH, grown


def test_every_layer_answers_with_the_same_headers(url: str) -> None:
    response = requests.get(f"{url}/echo", params={"message": "hello"}, timeout=10)
    assert response.text == "hello"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == "sandbox"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(response.headers["X-Request-Id"]) == 32


def test_errors_are_problems_on_every_layer(url: str) -> None:
    response = requests.delete(f"{url}/echo", timeout=10)
    assert response.status_code == 405
    assert response.headers["Content-Type"] == "application/problem+json"
    assert set(response.headers["Allow"].split(", ")) >= {"GET", "POST", "PUT", "PATCH"}
    assert response.json()["type"] == "/problems/method-not-allowed"


def test_the_application_sees_the_client_and_one_request_id_through_all_layers(stack: Stack) -> None:
    response = requests.get(
        f"{stack.url}/echo/request",
        headers={
            "X-Forwarded-For": "203.0.113.9",
            "X-Request-Id": "made-up",
            "X-Forwarded-Host": "evil.example",
        },
        timeout=10,
    )
    seen = response.json()
    headers = dict(seen["headers"])
    assert seen["remote_addr"] == "127.0.0.1"
    assert seen["host"] == f"127.0.0.1:{stack.ports.nginx}"
    assert "203.0.113.9" not in headers["X-Forwarded-For"]
    assert headers["X-Request-Id"] == response.headers["X-Request-Id"] != "made-up"
    request_id = response.headers["X-Request-Id"]
    until(lambda: request_id in stack.output, "the request id in the log of the proxy")


def test_requests_are_spread_over_all_instances(stack: Stack) -> None:
    def counted() -> bool:
        """By the proxy, since the stack started: an instance that was just slow gets little for a while."""
        assert requests.get(f"{stack.url}/healthz", timeout=10).json()["instance"] in ("web1", "web2")
        backends = requests.get(f"{stack.admin_url}/status", timeout=10).json()["backends"]
        return all(one["requests"] > 0 for one in backends)

    until(counted, "requests at each instance")


def test_lines_arrive_one_by_one_through_all_layers(stack: Stack) -> None:
    with requests.get(
        f"{stack.url}/echo/stream", params={"count": 3, "interval": 0.3}, stream=True, timeout=10
    ) as response:
        lines = []
        for line in response.iter_lines(chunk_size=1):
            lines.append(json.loads(line))
            if len(lines) == 1:
                assert in_flight(stack) == 1  # the answer is still being made: nobody waited for its end
    assert [line["n"] for line in lines] == [1, 2, 3]


def in_flight(stack: Stack) -> int:
    backends = requests.get(f"{stack.admin_url}/status", timeout=10).json()["backends"]
    return sum(b["active"] + b["tunnels"] for b in backends)  # a stream of lines counts as a tunnel


def test_websockets_echo_on_every_layer(url: str) -> None:
    with connect(f"{url.replace('http', 'ws', 1)}/ws/echo") as websocket:
        for message in ("hello", "", "Grüße", b"\x00\xff", "x" * 100_000, b"y" * 200_000):
            websocket.send(message)
            assert websocket.recv() == message


def test_ping_is_answered_pong(url: str) -> None:
    with connect(f"{url.replace('http', 'ws', 1)}/ws/ping") as websocket:
        websocket.send("ping")
        assert websocket.recv() == "pong!"
        websocket.send("pang")
        assert json.loads(websocket.recv())["type"] == "error"


@pytest.mark.parametrize("path", ["/ws/echo", "/ws", "/chat/"])
def test_a_plain_get_on_a_websocket_path_is_told_to_upgrade(url: str, path: str) -> None:
    response = requests.get(url + path, timeout=10)
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_behind(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n" + b"x" * (4 * MIB)
        )


def test_a_client_that_leaves_in_the_middle_of_its_answer_leaves_nothing_behind(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /echo/bytes/10000000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_that_vanishes_from_a_websocket_leaves_nothing_behind(stack: Stack) -> None:
    with connect(f"{stack.websocket_url}/ws/echo") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
        websocket.socket.shutdown(socket.SHUT_RDWR)


def test_an_instance_that_dies_in_mid_answer_ends_that_answer_visibly_and_no_other(stack: Stack) -> None:
    with requests.get(f"{stack.url}/echo/bytes/10000000000", stream=True, timeout=30) as response:
        victim = busy_instance(stack)
        for pid in [*descendants(victim), victim]:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for _ in response.iter_content(MIB):
                pass
    for _ in range(20):
        assert requests.get(f"{stack.url}/healthz", timeout=10).status_code == 200
    until(lambda: victim not in stack.pids().values(), "another instance in its place")
    until(
        lambda: all(
            b["healthy"] for b in requests.get(f"{stack.admin_url}/status", timeout=10).json()["backends"]
        ),
        "health",
    )


def busy_instance(stack: Stack) -> int:
    """The process of the only instance with a request in flight."""
    status = requests.get(f"{stack.admin_url}/status", timeout=10).json()
    [busy] = [backend["name"] for backend in status["backends"] if backend["active"]]
    return stack.pids()[busy]


@pytest.mark.slow
def test_stopping_closes_websockets_and_finishes_requests(tmp_path: Path) -> None:
    with Stack(tmp_path).started() as own, connect(f"{own.websocket_url}/ws/echo") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
        slow = requests.get(
            f"{own.url}/echo/stream", params={"count": 20, "interval": 0.1}, stream=True, timeout=20
        )
        own.send(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert [json.loads(line)["n"] for line in slow.iter_lines()] == list(range(1, 21))
        tree = own.tree()
        assert own.wait(15) == 0
        assert not [pid for pid in tree if alive(pid)]
