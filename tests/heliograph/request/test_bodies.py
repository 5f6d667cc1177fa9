"""Bodies: read whole first, spooled above 1 MiB, bounded, and gone when their request is."""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from proxy_tests.processes import descriptors, resident_bytes, until

from heliograph.problems import BodyTooLarge, SpoolFull
from heliograph.request.bodies import MEMORY_LIMIT, STEP, Body, collect, limited, produce
from heliograph.request.spool import RESERVATION, Spool
from tests.serving import CLOSE, HOST, Server, chunked, problem

MIB = 1 << 20
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path), 100 * MIB)


@pytest.mark.parametrize("sizes", [[], [0], [MEMORY_LIMIT], [1, MEMORY_LIMIT - 1]])
def test_a_small_body_stays_in_memory(spool: Spool, sizes: list[int]) -> None:
    body = collect(spool, [b"x" * size for size in sizes])
    assert (body.file, body.size, body.value()) == (None, sum(sizes), b"x" * sum(sizes))
    body.close()


@pytest.mark.parametrize(
    "sizes", [[MEMORY_LIMIT + 1], [1, MEMORY_LIMIT], [MEMORY_LIMIT, 1, 3 * MEMORY_LIMIT]]
)
def test_a_larger_body_goes_to_the_spool_and_comes_back_the_same(spool: Spool, sizes: list[int]) -> None:
    pieces = [random.Random(size).randbytes(size) for size in sizes]
    body = collect(spool, pieces)
    assert body.file is not None
    assert body.value() == b"".join(body.blocking_pieces()) == b"".join(pieces)
    assert spool.used >= body.size
    body.close()
    assert spool.used == 0


def test_a_body_that_cannot_be_collected_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 4 * MIB)
    with pytest.raises(SpoolFull):
        collect(spool, [b"x" * MEMORY_LIMIT] * 6)
    assert spool.used == 0


def at_once(function: Callable[..., bytes | None], *args: object) -> bytes | None:
    """A step without another thread."""
    return function(*args)


@pytest.mark.parametrize(
    "sizes", [[], [MEMORY_LIMIT], [MEMORY_LIMIT + 1], [MEMORY_LIMIT] * 12, [10_000] * 1500, [9 * MIB, 1]]
)
def test_what_a_stream_yields_becomes_a_body(spool: Spool, sizes: list[int]) -> None:
    pieces = [random.Random(size).randbytes(size) for size in sizes]
    body = produce(spool, at_once, iter(pieces))
    assert (body.size, body.value()) == (sum(sizes), b"".join(pieces))
    assert (body.file is None) == (sum(sizes) <= MEMORY_LIMIT)
    body.close()
    assert spool.used == 0


def test_output_is_made_in_few_steps_and_long_ones_are_broken_off(spool: Spool) -> None:
    calls = 0

    def counting(function: Callable[..., bytes | None], *args: object) -> bytes | None:
        nonlocal calls
        calls += 1
        return function(*args)

    def slowly() -> Iterator[bytes]:
        for _ in range(3):
            threading.Event().wait(1.1 * STEP)
            yield b"x"

    produce(spool, counting, iter([b"x" * 100_000] * 400)).close()
    assert calls <= 2 + 40 * MIB // RESERVATION
    calls = 0
    produce(spool, counting, slowly()).close()
    assert calls == 4


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_a_body_that_cannot_be_produced_leaves_nothing(tmp_path: Path, error: Exception | None) -> None:
    spool = Spool(str(tmp_path), 4 * MIB)

    def stream() -> Iterator[bytes]:
        yield from [b"x" * MEMORY_LIMIT] * 3
        if error:
            raise error
        yield from [b"x" * MEMORY_LIMIT] * 3

    with pytest.raises(ValueError if error else SpoolFull):
        produce(spool, at_once, stream())
    assert spool.used == 0


def test_pieces_are_counted_against_their_limit() -> None:
    assert list(limited([b"ab", b"c"], 3)) == [b"ab", b"c"]
    with pytest.raises(BodyTooLarge) as caught:
        list(limited([b"ab", b"cd"], 3))
    assert caught.value.extra == {"limit": 3}


def test_an_empty_body_has_no_pieces(spool: Spool) -> None:
    assert list(Body(spool).pieces()) == []


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("way", ["announced", "chunked"])
def test_a_body_of_exactly_the_limit_is_taken_and_one_more_byte_is_not(
    small: Server, way: str, extra: int
) -> None:
    body = b"x" * (3 * MIB + extra)
    framed = chunked(body[:MIB], body[MIB:]) if way == "chunked" else body
    frame = CHUNKED if way == "chunked" else b"Content-Length: %d\r\n" % len(body)
    answer = small.raw(b"POST /echo HTTP/1.1\r\n" + frame + CLOSE + b"\r\n" + framed)
    if extra:
        assert problem(answer, 413, "body-too-large")["limit"] == 3 * MIB
        assert answer.headers["connection"] == "close"
    else:
        assert (answer.status, answer.body) == (200, body)


def test_a_body_announced_too_long_is_refused_before_it_is_sent(small: Server) -> None:
    head = (
        b"POST /echo HTTP/1.1\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\nX-Request-Id: big\r\n"
    )
    problem(small.raw(head + HOST + b"\r\n"), 413, "body-too-large")


def test_who_waits_for_it_is_told_to_continue(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n" + CLOSE + b"\r\n")
        assert wire.socket.recv(1000).startswith(b"HTTP/1.1 100 ")
        wire.send(b"hi")
        assert wire.answer().body == b"hi"


def test_an_answer_starts_only_after_the_whole_body(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nContent-Length: 3000000\r\n" + CLOSE + b"\r\n" + b"x" * 2_999_999)
        until(lambda: any(str(server.spool) in file for file in descriptors(server.worker)), "a spool file")
        wire.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.socket.recv(1)
        wire.socket.settimeout(20)
        wire.send(b"x")
        assert len(wire.answer().body) == 3_000_000


@pytest.mark.parametrize("size", [1000, 2_000_000])
@pytest.mark.parametrize("way", ["announced", "chunked"])
def test_a_sender_that_goes_away_leaves_a_line_in_the_log_and_nothing_else(
    server: Server, way: str, size: int
) -> None:
    name = f"gone-{way}-{size}".encode()
    frame = CHUNKED if way == "chunked" else b"Content-Length: 9000000\r\n"
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nX-Request-Id: " + name + b"\r\n" + frame + HOST + b"\r\n")
        wire.send(chunked(b"x" * size, end=b"") if way == "chunked" else b"x" * size)
        until(lambda: server.metrics()["heliograph_requests_in_flight"] == 2, "the request to be under way")
        wire.reset()
    assert server.logged(request_id=name.decode())["status"] == 499


def test_half_a_body_is_an_incomplete_one(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nContent-Length: 10\r\n" + HOST + b"\r\nhalf")
        wire.socket.shutdown(1)
        answer = wire.answer()
    problem(answer, 400, "incomplete-body")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "body",
    [
        b"Z\r\nhi\r\n0\r\n\r\n",
        b"\r\n",
        b"-1\r\n",
        b"2\r\nhiX\r\n0\r\n\r\n",
        b"2\nhi\n0\n\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"2;" + b"x" * 9000 + b"\r\nhi\r\n0\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0x2\r\nhi\r\n0\r\n\r\n",
    ],
)
def test_broken_chunks_are_refused(server: Server, body: bytes) -> None:
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\n" + CHUNKED + HOST + b"\r\n" + body)
        wire.socket.shutdown(1)
        problem(wire.answer(), 400, "incomplete-body")
        assert wire.rest() == b""


def test_broken_chunks_that_no_view_reads_end_the_connection(server: Server) -> None:
    with server.connect() as wire:
        wire.send(
            b"GET /healthz HTTP/1.1\r\n"
            + CHUNKED
            + HOST
            + b"\r\n\r\nGET /healthz HTTP/1.1\r\n"
            + HOST
            + b"\r\n"
        )
        assert wire.answer().status == 200
        assert wire.rest() == b""


def test_a_body_that_no_view_reads_is_skipped(server: Server) -> None:
    with server.connect() as wire:
        wire.send(
            b"POST /nowhere HTTP/1.1\r\nContent-Length: 1000000\r\n" + HOST + b"\r\n" + b"x" * 1_000_000
        )
        problem(wire.answer(), 404, "not-found")
        wire.send(b"GET /healthz HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert wire.answer().status == 200


def test_a_full_spool_is_said_with_retry_after(small: Server) -> None:
    head = b"POST /echo HTTP/1.1\r\nContent-Length: 3000000\r\n" + CLOSE + b"\r\n"
    with small.connect("127.0.0.2") as first, small.connect("127.0.0.3") as second:
        for wire in (first, second):
            wire.send(head + b"x" * 2_900_000)
        small.wait_for_metric("spool_bytes", 6 * MIB)
        answer = small.raw(head + b"x" * 3_000_000)
        assert problem(answer, 503, "spool-full")["limit"] == 8 * MIB
        assert int(answer.headers["retry-after"]) > 0
        for wire in (first, second):
            wire.send(b"x" * 100_000)
            assert len(wire.answer().body) == 3_000_000


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def test_memory_does_not_grow_with_bodies(server: Server) -> None:
    piece = random.Random(1).randbytes(MIB)
    before = resident_bytes(server.worker)
    Path(f"/proc/{server.worker}/clear_refs").write_text("5")  # peak memory counts from here
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/echo", (piece for _ in range(200)), {"Content-Length": str(200 * MIB)})
    answer = connection.getresponse()
    digest = sha256()
    while got := answer.read(MIB):
        digest.update(got)
    connection.close()
    expected = sha256()
    for _ in range(200):
        expected.update(piece)
    assert digest.digest() == expected.digest()
    assert peak_bytes(server.worker) - before < 64 * MIB


def test_many_uploads_at_once_each_come_back(server: Server) -> None:
    body = random.Random(2).randbytes(5 * MIB)

    def upload(number: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        marked = number.to_bytes(4, "big") + body
        connection.request("PUT", "/echo", marked)
        same = connection.getresponse().read() == marked
        connection.close()
        return same

    with ThreadPoolExecutor(64) as clients:
        assert all(clients.map(upload, range(64)))


def test_bodies_do_not_mix_on_one_connection(server: Server) -> None:
    request = b"POST /echo/request HTTP/1.1\r\nContent-Length: 3\r\n" + HOST + b"\r\n"
    with server.connect() as wire:
        wire.send(request + b"one" + request + b"two" + request + b"six")
        assert [wire_body(wire.answer().body) for _ in range(3)] == ["one", "two", "six"]


def wire_body(shown: bytes) -> str:
    return str(json.loads(shown)["body"]["text"])
