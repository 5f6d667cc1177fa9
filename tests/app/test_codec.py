"""The codecs over HTTP: the same bytes as Python's own, options, pipelines, limits, and what is said of bad input."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import lzma
import quopri
import random
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_from_bytes

import brotli  # type: ignore[import-untyped]
import pytest
import wirecodes
from backports import zstd

from tests.app.serving import CLOSE, HOST, Answer, Server, chunked, problem

MIB = 1 << 20

SAMPLES = [b"", b"a", b"hello, world\r\n", bytes(range(256)), "grüße = 100 %".encode(), b"x" * 1000]


def convert(
    server: Server, codec: str, direction: str, body: bytes = b"", query: str = "", kind: str = ""
) -> Answer:
    media = f"Content-Type: {kind}\r\n" if kind else ""
    path = f"/codecs/{codec}/{direction}{f'?{query}' if query else ''}"
    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{media}".encode()
    return server.raw(head + CLOSE + b"\r\n" + body)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "base16": base64.b16encode,
    "base32": base64.b32encode,
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "ascii85": base64.a85encode,
    "base85": base64.b85encode,
    "quoted-printable": quopri.encodestring,
    "percent": lambda data: quote_from_bytes(data, safe="").encode(),
}

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zlib": zlib.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "zstd": zstd.decompress,
    "brotli": brotli.decompress,
}

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "brotli": brotli.compress,
}


@pytest.mark.parametrize("name", ENCODERS)
def test_text_codecs_give_what_python_gives(server: Server, name: str) -> None:
    for sample in SAMPLES:
        answer = convert(server, name, "encode", sample)
        assert (answer.status, answer.body) == (200, ENCODERS[name](sample))
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-security-policy"] == "sandbox"
        back = convert(server, name, "decode", answer.body)
        assert (back.status, back.body, back.headers["content-type"]) == (
            200,
            sample,
            "application/octet-stream",
        )


@pytest.mark.parametrize("name", DECODERS)
def test_compressors_are_understood_by_the_usual_packages_and_understand_them(
    server: Server, name: str
) -> None:
    for sample in SAMPLES:
        answer = convert(server, name, "encode", sample)
        assert (answer.status, DECODERS[name](answer.body)) == (200, sample)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-length"] == str(len(answer.body))
        assert convert(server, name, "decode", COMPRESSORS[name](sample)).body == sample


def test_rot13_gives_what_python_gives(server: Server) -> None:
    answer = convert(server, "rot13", "encode", b"Hello, World 1")
    assert answer.body.decode() == codecs.encode("Hello, World 1", "rot13")


def test_morse_and_huffman_come_back(server: Server) -> None:
    assert convert(server, "morse", "encode", b"SOS we").body == b"... --- ... / .-- ."
    assert convert(server, "morse", "encode", b"SOS", "to=units").body == b"1010100011101110111000101010"
    assert convert(server, "morse", "decode", b"... --- ...").body == b"SOS"
    packed = convert(server, "huffman", "encode", b"abracadabra" * 50)
    assert len(packed.body) < 11 * 50
    assert convert(server, "huffman", "decode", packed.body).body == b"abracadabra" * 50


def test_all_codecs_are_described(server: Server) -> None:
    described = server.get("/codecs").json()["codecs"]
    assert [codec["name"] for codec in described] == list(wirecodes.names())
    for codec in described:
        assert set(codec) == {"name", "title", "kind", "input", "output", "options", "description"}
        assert server.get(f"/codecs/{codec['name']}").json() == codec


@pytest.mark.parametrize("direction", ["", "/encode", "/decode"])
@pytest.mark.parametrize(
    "name", ["rot14", "x" * 3000, "base64+", "+", "base64+rot14", "%ff", "%00", "Base64", "%2e%2e", "a%20b"]
)
def test_an_unknown_codec_is_not_found_and_the_known_are_told(
    server: Server, name: str, direction: str
) -> None:
    method = "POST" if direction else "GET"
    request = (
        f"{method} /codecs/{name}{direction} HTTP/1.1\r\nContent-Length: 0\r\n".encode() + CLOSE + b"\r\n"
    )
    answer = server.raw(request)
    found = problem(answer, 404, "unknown-codec")
    assert found["known"] == list(wirecodes.names())
    assert len(found["detail"]) < 600


@pytest.mark.parametrize(
    "name", ["zlib+base64", "gzip+ascii85+percent", "rot13+rot13", "+".join(["base16"] * 8)]
)
def test_a_pipeline_goes_there_and_back(server: Server, name: str) -> None:
    sample = b"some text, some text, some text"
    there = convert(server, name, "encode", sample)
    expected = sample
    assert there.status == 200
    for stage in reversed(name.split("+")):
        there_again = convert(server, stage, "decode", there.body if expected is sample else expected)
        expected = there_again.body
    assert expected == sample
    assert convert(server, name, "decode", there.body).body == sample


def test_nine_stages_are_too_many(server: Server) -> None:
    found = problem(convert(server, "+".join(["rot13"] * 9), "encode", b"x"), 404, "unknown-codec")
    assert "8" in found["detail"]


def test_an_error_in_a_pipeline_names_its_stage(server: Server) -> None:
    packed = convert(server, "base64", "encode", b"not zlib").body
    found = problem(convert(server, "zlib+base64", "decode", packed), 400, "decode-error")
    assert found["stage"] == "zlib"


@pytest.mark.parametrize(
    ("codec", "direction", "query", "option"),
    [
        ("base64", "encode", "colour=red", "colour"),
        ("base64", "encode", "direction=x", "direction"),
        ("base64", "decode", "self=x", "self"),
        ("base64", "decode", "max_output=9", "max_output"),
        ("base64", "decode", "pieces=9", "pieces"),
        ("morse", "encode", "to=smoke", "to"),
        ("morse", "encode", "wpm=x", "wpm"),
        ("morse", "decode", "to=units", "to"),
        ("morse", "encode", "from=units", "from"),
        ("zlib+base64", "encode", "colour=red", "colour"),
        ("zlib+base64", "decode", "direction=x", "direction"),
        ("base64", "encode", "%ff=1", "%FF"),
        ("base64", "encode", "=1", ""),
    ],
)
def test_a_bad_option_is_named(server: Server, codec: str, direction: str, query: str, option: str) -> None:
    found = problem(convert(server, codec, direction, b"", query), 400, "bad-option")
    assert found["option"] == option
    assert "known" in found


def test_an_option_that_is_given_twice_is_refused(server: Server) -> None:
    assert (
        problem(convert(server, "morse", "encode", b"e", "to=text&to=units"), 400, "bad-option")["option"]
        == "to"
    )


def test_a_bad_option_is_told_before_the_body_is_read(server: Server) -> None:
    head = b"POST /codecs/base64/encode?x=1 HTTP/1.1\r\nContent-Length: 100\r\n"
    problem(server.raw(head + HOST + b"\r\n"), 400, "bad-option")


@pytest.mark.parametrize(
    ("codec", "body", "position"),
    [
        ("base64", b"aGk*", 3),
        ("base16", b"4x", 1),
        ("base32", b"a===", 0),
        ("percent", b"a%zz", 1),
        ("morse", b"... .-.-.-.-.-.-", 4),
        ("zlib", b"not zlib at all", None),
        ("gzip", gzip.compress(b"hello")[:-2], None),
        ("xz", b"\xfd7zXZ\x00broken", None),
        ("bz2", b"BZh9nope", None),
        ("zstd", b"\x28\xb5\x2f\xfdxxxx", None),
        ("brotli", b"\xff" * 20, None),
        ("huffman", b"garbage", None),
    ],
)
def test_what_cannot_be_decoded_is_told_with_its_position(
    server: Server, codec: str, body: bytes, position: int | None
) -> None:
    found = problem(convert(server, codec, "decode", body), 400, "decode-error")
    assert isinstance(found["position"], int)
    assert position is None or found["position"] == position


def test_what_cannot_be_encoded_is_told(server: Server) -> None:
    found = problem(convert(server, "morse", "encode", "SOS ☃".encode()), 400, "encode-error")
    assert found["position"] == 4


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
    assert server.logged(request_id="gone-form")["status"] == 400


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


def test_encoding_is_not_bounded_by_the_output(small: Server) -> None:
    assert len(convert(small, "base16", "encode", b"x" * (MIB + 1000)).body) == 2 * (MIB + 1000)


def test_a_bomb_is_refused_by_its_ratio_from_100_mib_on(server: Server) -> None:
    allowed = convert(server, "zstd", "decode", zstd.compress(b"\0" * 100 * MIB))
    assert (allowed.status, len(allowed.body)) == (200, 100 * MIB)
    bomb = convert(server, "zstd", "decode", zstd.compress(b"\0" * (100 * MIB + 1)))
    assert problem(bomb, 413, "output-too-large")["limit"] == 100 * MIB


def test_while_all_places_are_taken_others_are_sent_away_and_the_loop_goes_on(small: Server) -> None:
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


def test_a_long_query_value_is_cut_in_the_answer(server: Server) -> None:
    found = problem(convert(server, "morse", "encode", b"", "to=" + quote("☃" * 500)), 400, "bad-option")
    assert len(found["detail"]) < 300
