"""Whatever goes wrong with a backend has one outcome for each kind of request, on fresh and on kept connections.

Two backends: the first misbehaves as `faults` says, the other is well and is only asked when the first was tried.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from heliograph_proxy.held import MOST_OF_BODY
from heliograph_proxy.http1.framing import chunk

from proxy_tests.backends import Backend
from proxy_tests.conftest import Client, EndedEarly, Proxy, Response, StartProxy, until
from proxy_tests.faults import FAULTS, POISON, SETTINGS, well

# A cell: status, tries and end as the access log tells them, and how often each of the two backends read the request.
#
# A request goes to the other backend if nothing of it was sent, or if it may run twice: a GET and a WebSocket's request
# may, a POST may not. A kept connection that ends without one byte of an answer costs a GET no try; a POST on it may have
# run. Once the client has a byte of an answer, nothing is tried again and the answer is cut so that the client sees it. A
# tunnel is not looked into: what is bad or surplus in an answer's body is its traffic.
TABLE = """
                           GET                   POST                      streamed POST             WebSocket
refused              fresh 200 2 done 0+1        200 2 done 0+1            200 2 done 0+1            101 2 done 0+1
refused              kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
reset on accept      fresh 200 2 done 0+1        200 2 done 0+1            200 2 done 0+1            101 2 done 0+1
reset on accept      kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
accepts nothing      fresh 200 2 done 0+1        200 2 done 0+1            200 2 done 0+1            101 2 done 0+1
accepts nothing      kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
reset in the request fresh 200 2 done 0+1        502 1 bad-gateway 0+0     502 1 bad-gateway 0+0     101 2 done 0+1
reset in the request kept  200 2 done 0+1        502 1 bad-gateway 0+0     502 1 bad-gateway 0+0     101 2 done 0+1
reset after 0 bytes  fresh 200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
reset after 0 bytes  kept  200 2 done 2+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 2+1
reset after 20 bytes fresh 200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
reset after 20 bytes kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
reset after the head fresh 200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 backend-disconnected 1+0
reset after the head kept  200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 backend-disconnected 1+0
reset in the body    fresh 200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 backend-disconnected 1+0
reset in the body    kept  200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 backend-disconnected 1+0
black hole           fresh 200 2 done 1+1        504 1 gateway-timeout 1+0 504 1 gateway-timeout 1+0 101 2 done 1+1
black hole           kept  200 2 done 1+1        504 1 gateway-timeout 1+0 504 1 gateway-timeout 1+0 101 2 done 1+1
slow head            fresh 200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
slow head            kept  200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
head too slow        fresh 200 2 done 1+1        504 1 gateway-timeout 1+0 504 1 gateway-timeout 1+0 101 2 done 1+1
head too slow        kept  200 2 done 1+1        504 1 gateway-timeout 1+0 504 1 gateway-timeout 1+0 101 2 done 1+1
slow body            fresh 200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
slow body            kept  200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
body that stalls     fresh 200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 tunnel-idle 1+0
body that stalls     kept  200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 tunnel-idle 1+0
close after 0 bytes  fresh 200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
close after 0 bytes  kept  200 2 done 2+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 2+1
close after 20 bytes fresh 200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
close after 20 bytes kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
close in the body    fresh 200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 done 1+0
close in the body    kept  200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 done 1+0
bad head             fresh 200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
bad head             kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
bad length           fresh 200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
bad length           kept  200 2 done 1+1        502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 2 done 1+1
bad first chunk      fresh 502 1 bad-gateway 1+0 502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 1 done 1+0
bad first chunk      kept  502 1 bad-gateway 1+0 502 1 bad-gateway 1+0     502 1 bad-gateway 1+0     101 1 done 1+0
bad second chunk     fresh 200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 done 1+0
bad second chunk     kept  200 1 backend-cut 1+0 200 1 backend-cut 1+0     200 1 backend-cut 1+0     101 1 done 1+0
surplus at once      fresh 200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
surplus at once      kept  200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
surplus later        fresh 200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
surplus later        kept  200 1 done 1+0        200 1 done 1+0            200 1 done 1+0            101 1 done 1+0
"""

#: So much of a body is read before a backend has the request.
BEGINNING = bytes(MOST_OF_BODY)

FIELDS = b" HTTP/1.1\r\nHost: test\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

#: A request's first part, and what follows once the first backend was chosen.
REQUESTS = {
    "GET": (b"GET /fault" + FIELDS + b"\r\n", b""),
    "POST": (b"POST /fault" + FIELDS + b"Content-Length: 5\r\n\r\nhello", b""),
    "streamed POST": (
        b"POST /fault" + FIELDS + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(BEGINNING + b"hel"),
        b"2\r\nlo\r\n0\r\n\r\n",
    ),
    "WebSocket": (b"GET /fault" + FIELDS + UPGRADE, b""),
}
BEFORE = b"GET /before" + FIELDS + b"\r\n"
AFTER = b"GET /after" + FIELDS + b"\r\n"


class Cell(NamedTuple):
    fault: str
    connection: str
    kind: str
    expected: str


def cells() -> list[Cell]:
    found = []
    for line in TABLE.splitlines()[2:]:
        words = re.fullmatch(r"(.+?) +(fresh|kept) +(.+)", line)
        assert words, line
        outcomes = re.findall(r"\d{3} \d \S+ \d\+\d", words[3])
        found += [Cell(words[1], words[2], *pair) for pair in zip(REQUESTS, outcomes, strict=True)]
    return found


class Got(NamedTuple):
    """What the client saw."""

    status: int
    #: The answer's body, or everything that came through the tunnel.
    body: bytes
    #: It ended as its framing says.
    whole: bool


def ask(proxy: Proxy, client: Client, kind: str) -> Got:
    first, rest = REQUESTS[kind]
    before = proxy.backends[0].requests
    client.send(first)
    if rest:
        until(lambda: proxy.backends[0].requests > before, "the first attempt")
        client.send(rest)
    head = client.read_until(b"\r\n\r\n")
    status = Response(head, b"").status
    try:
        if status == 101:
            return Got(status, through_tunnel(client), True)
        client.buffer = head + client.buffer
        answer = client.response()
    except (EndedEarly, ConnectionError):
        return Got(status, client.buffer, False)
    if status != 200:
        answer.problem()
    return Got(status, answer.body, True)


def through_tunnel(client: Client) -> bytes:
    """All that comes until the backend ends it because the client did."""
    data = client.read(2)
    client.sock.shutdown(socket.SHUT_WR)
    return data + client.read_all()


def ask_again(proxy: Proxy, client: Client, got: Got) -> Response:
    """The next request, on the same connection if that goes on."""
    if got.whole and got.status != 101:
        with suppress(EndedEarly, ConnectionError):
            return client.ask(AFTER)
    return proxy.get("/after")


def check_client(got: Got, status: int, ended: str) -> None:
    """The client can see what the log says."""
    assert got.status == status
    if ended in ("backend-cut", "backend-disconnected", "tunnel-idle"):
        assert not got.whole
    elif got.whole and status < 400:
        assert got.body == b"ok" or status == 101


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph_proxy.accesslog.BATCH_SECONDS", 0.005)
    monkeypatch.setattr("heliograph_proxy.waits.SWEEP_SECONDS", 0.02)


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: "-".join(cell[:3]))
def test_each_fault_has_one_outcome(
    start_proxy: StartProxy, backend: Backend, another: Backend, cell: Cell
) -> None:
    fault, connection, kind, expected = cell
    backend.script = another.script = well
    proxy = start_proxy(*first_and_spare(backend, another), **SETTINGS.get(fault, {}))
    with proxy.client() as client:
        if connection == "kept":
            assert client.ask(BEFORE).status == 200
            assert proxy.kept() == 1
        FAULTS[fault](backend)
        got = ask(proxy, client, kind)
        if fault == "surplus later" and kind != "WebSocket":
            until(
                lambda: proxy.kept() == 0,
                "the surplus to be noticed",
            )
        backend.script, backend.on_arrival = well, None
        assert ask_again(proxy, client, got).body == b"ok"
    record = recorded(proxy)
    seen = [[one for one in each.requests if b" /fault " in one.line] for each in (backend, another)]
    times = f"{len(seen[0])}+{len(seen[1])}"
    assert f"{record['status']} {record['tries']} {record['ended']} {times}" == expected
    check_client(got, record["status"], record["ended"])
    if "POST" in kind:
        assert [one.body for one in seen[0] + seen[1]] in ([], [b"hello"], [BEGINNING + b"hello"])
    elif got.status == 101 and "surplus" in fault:
        assert got.body == b"ok" + POISON


def first_and_spare(backend: Backend, another: Backend) -> tuple[dict[str, object], dict[str, object]]:
    return (
        {"name": "b1", "address": f"127.0.0.1:{backend.port}"},
        {"name": "b2", "address": f"127.0.0.1:{another.port}", "backup": True},
    )


def recorded(proxy: Proxy) -> dict[str, Any]:
    """The line about the request that met the fault; a tunnel's comes when it has ended."""

    def lines() -> list[dict[str, Any]]:
        return [one for one in proxy.records(0) if one["target"] == "/fault"]

    [record] = until(lines, "the line in the access log")
    return dict(record)


def test_the_table_has_every_fault() -> None:
    assert [(cell.fault, cell.connection) for cell in cells()[:: len(REQUESTS)]] == [
        (fault, connection) for fault in FAULTS for connection in ("fresh", "kept")
    ]
