"""The codecs' bodies over HTTP: forms, the spool, the limits of what comes out, and slots for jobs."""

from __future__ import annotations

import base64
import random
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from backports import zstd

from tests.serving import CLOSE, HOST, Server, chunked, convert, problem

MIB = 1 << 20


def form(*parts: tuple[str, bytes], boundary: str = "BoUnD") -> tuple[bytes, str]:
    pieces = [
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body
        for head, body in parts
    ]
    return b"\r\n".join(
        [*pieces, f"--{boundary}--\r\n".encode()]
    ), f"multipart/form-data; boundary={boundary}"


def test_of_a_form_the_first_file_is_taken(server: Server) -> None:
    large = random.Random(3).randbytes(2 * MIB)
    body, kind = form(
        ('name="note"', b"not this"),
        ('name="a"; filename="a.bin"', large),
        ('name="b"; filename="b"', b"nor this"),
    )
    assert convert(server, "base64", "encode", body, kind=kind).body == base64.b64encode(large)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(('name="note"', b"no file"))[0], "multipart/form-data; boundary=BoUnD"),
        (b"nothing", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
        (b"x", "multipart/form-data"),
        (form(('name="a"; filename="a"', b"cut"))[0][:-10], "multipart/form-data; boundary=BoUnD"),
    ],
)
def test_a_broken_form_is_refused(server: Server, body: bytes, kind: str) -> None:
    problem(convert(server, "base64", "encode", body, kind=kind), 400, "bad-multipart")


def test_a_form_is_bounded_as_any_body(small: Server) -> None:
    body, kind = form(('name="a"; filename="a"', b"x" * 3 * MIB))
    problem(convert(small, "base64", "encode", body, kind=kind), 413, "body-too-large")
    head = f"POST /codecs/base64/encode HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: {kind}\r\n".encode()
    problem(small.raw(head + CLOSE + b"\r\n" + chunked(body)), 413, "body-too-large")


def test_a_form_whose_sender_goes_away_leaves_nothing(server: Server) -> None:
    body, kind = form(('name="a"; filename="a"', b"x" * 2 * MIB))
    head = f"POST /codecs/base64/encode HTTP/1.1\r\nX-Request-Id: gone-form\r\nContent-Type: {kind}\r\n"
    with server.connect() as wire:
        wire.send(head.encode() + HOST + b"Content-Length: 9000000\r\n\r\n" + body[:-100])
        wire.reset()
    assert server.logged(request_id="gone-form")["status"] == 499


def test_large_bodies_go_through_the_spool_and_leave_nothing(server: Server) -> None:
    sample = random.Random(4).randbytes(6 * MIB)
    packed = convert(server, "zlib+base64", "encode", sample)
    assert zlib.decompress(base64.b64decode(packed.body)) == sample
    assert convert(server, "zlib+base64", "decode", packed.body).body == sample


def test_decoding_beyond_the_output_is_refused(small: Server) -> None:
    exact = convert(small, "zlib", "decode", zlib.compress(b"x" * 2 * MIB))
    assert len(exact.body) == 2 * MIB
    over = convert(small, "zlib", "decode", zlib.compress(b"x" * (2 * MIB + 1)))
    assert problem(over, 413, "output-too-large")["limit"] == 2 * MIB


def test_every_stage_of_a_pipeline_is_bounded(small: Server) -> None:
    bomb = zlib.compress(zlib.compress(b"\0" * 50 * MIB))
    problem(convert(small, "zlib+zlib", "decode", bomb), 413, "output-too-large")


@pytest.mark.parametrize(
    ("codec", "body"),
    [("base16", b"x" * (MIB + 1000)), ("base16+base16", b"x" * MIB), ("morse+gzip", b"PARIS " * 400)],
)
def test_encoding_beyond_the_output_is_refused_at_any_stage(small: Server, codec: str, body: bytes) -> None:
    answer = convert(small, codec, "encode", body, "to=wav&wpm=1" if "morse" in codec else "")
    assert problem(answer, 413, "output-too-large")["limit"] == 2 * MIB


def test_output_for_which_the_spool_has_no_room_is_refused_and_leaves_nothing(small: Server) -> None:
    """The body and the output of one client take more than its half."""
    answer = convert(small, "base64", "decode", base64.b64encode(b"x" * (2 * MIB - 1000)))
    assert int(answer.headers["retry-after"]) > 0
    problem(answer, 503, "spool-full")


def test_a_bomb_is_refused_by_its_ratio_from_100_mib_on(server: Server) -> None:
    allowed = convert(server, "zstd", "decode", zstd.compress(b"\0" * 100 * MIB))
    assert (allowed.status, len(allowed.body)) == (200, 100 * MIB)
    bomb = convert(server, "zstd", "decode", zstd.compress(b"\0" * (100 * MIB + 1)))
    assert problem(bomb, 413, "output-too-large")["limit"] == 100 * MIB


def test_while_all_slots_are_taken_others_are_refused_and_the_loop_goes_on(small: Server) -> None:
    slow = random.Random(5).randbytes(1_000_000)  # too few for the spool, which is small too
    with ThreadPoolExecutor(2) as clients:
        running = [clients.submit(convert, small, "xz+xz+xz", "encode", slow) for _ in range(2)]
        small.wait_for_metric("codec_jobs", 1)
        small.wait_for_metric("codec_jobs_waiting", 1)
        busy = convert(small, "rot13", "encode", b"x")
        assert problem(busy, 503, "codecs-busy")["limit"] == 1
        assert int(busy.headers["retry-after"]) > 0
        assert small.get("/healthz").status == 200
        assert [job.result().status for job in running] == [200, 200]


def test_who_goes_away_during_a_job_gives_the_place_back(small: Server) -> None:
    body = random.Random(6).randbytes(MIB)
    with small.connect() as wire:
        wire.send(
            b"POST /codecs/xz/encode HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + HOST + b"\r\n" + body
        )
        small.wait_for_metric("codec_jobs", 1)
        wire.reset()
    small.wait_for_metric("codec_jobs", 0)
    assert convert(small, "rot13", "encode", b"a").body == b"n"


def test_many_codec_requests_at_once_do_not_mix(server: Server) -> None:
    start = threading.Barrier(4)

    def one(number: int) -> bool:
        start.wait(20)
        sample = f"{number} ".encode() * 20_000
        return convert(server, "base64", "encode", sample).body == base64.b64encode(sample)

    with ThreadPoolExecutor(4) as clients:
        assert all(clients.map(one, range(4)))
