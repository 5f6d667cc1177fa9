"""The codecs over HTTP: the same bytes as Python's own, options, pipelines, limits, and what is said of bad input."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import lzma
import quopri
import zlib
from collections.abc import Callable
from urllib.parse import quote, quote_from_bytes

import brotli  # type: ignore[import-untyped]
import pytest
import wirecodes
from backports import zstd

from tests.serving import CLOSE, HOST, Server, convert, problem

SAMPLES = [b"", b"a", b"hello, world\r\n", bytes(range(256)), "grüße = 100 %".encode(), b"x" * 1000]


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


def test_sound_without_morse_is_an_error(server: Server) -> None:
    sound = wirecodes.get("morse").encode("E", to="wav")
    silence = sound[:44] + bytes(len(sound) - 44)
    found = problem(convert(server, "morse", "decode", silence, "from=wav"), 400, "decode-error")
    assert "no Morse heard" in found["detail"]
    assert convert(server, "morse", "decode", sound, "from=wav").body == b"E"


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
    found = problem(convert(server, "+".join(["rot13"] * 9), "encode", b"x"), 400, "bad-option")
    assert found["limit"] == 8


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
        ("zlib+base64", "encode", "level=99", "level"),
        ("xz+xz", "encode", "level=9", "level"),  # 1.3 GiB of memory
        ("zlib+base64", "decode", "direction=x", "direction"),
        ("base64", "encode", "%ff=1", "%FF"),
        ("base64", "encode", "=1", ""),
    ],
)
def test_a_bad_option_is_named(server: Server, codec: str, direction: str, query: str, option: str) -> None:
    found = problem(convert(server, codec, direction, b"", query), 400, "bad-option")
    assert found["option"] == option
    assert "known" in found or "limit" in found


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
        ("gzip", gzip.compress(b"hello", mtime=0)[:-2], None),
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


def test_a_long_query_value_is_cut_in_the_answer(server: Server) -> None:
    found = problem(convert(server, "morse", "encode", b"", "to=" + quote("☃" * 500)), 400, "bad-option")
    assert len(found["detail"]) < 300
