"""The standard codecs beside the libraries that define them."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import lzma
import quopri
import sys
import urllib.parse
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import wirecodes
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

THOROUGH = settings(max_examples=150, deadline=None)

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "base16": base64.b16encode,
    "base32": base64.b32encode,
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "ascii85": base64.a85encode,
    "base85": base64.b85encode,
    "quoted-printable": quopri.encodestring,
    "percent": lambda data: urllib.parse.quote(data, safe="").encode(),
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
DECOMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zlib": zlib.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "zstd": zstd.decompress,
    "brotli": brotli.decompress,
}
BASES = ["base16", "base32", "base64", "base64url", "ascii85", "base85"]


@pytest.mark.parametrize("name", ENCODERS)
def test_encodes_as_the_library_does(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=300), st.integers(1, 80))
    def check(data: bytes, step: int) -> None:
        pieces = [data[start : start + step] for start in range(0, len(data), step)]
        assert b"".join(wirecodes.get(name).encode_stream(pieces)) == ENCODERS[name](data)

    check()


def test_rot13_is_pythons() -> None:
    text = "The Quick Brown Fox, é × 13"
    assert wirecodes.get("rot13").encode(text).decode() == codecs.encode(text, "rot13")


@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_the_library_reads_what_was_compressed(name: str) -> None:
    data = b"hello world " * 5000
    for level in (1, 9):
        assert DECOMPRESSORS[name](wirecodes.get(name).encode(data, level=level)) == data


@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_the_level_counts(name: str) -> None:
    data = b"".join(b"%d %d\n" % (n, n * n * 7919) for n in range(20_000))
    codec = wirecodes.get(name)
    lengths = [len(codec.encode(data, level=level)) for level in (1, 9)]
    assert lengths[0] != lengths[1]


@pytest.mark.parametrize("name", ["gzip", "bz2", "xz", "zstd"])
@pytest.mark.parametrize("step", [1, 10_000])
def test_members_one_after_another_are_one(name: str, step: int) -> None:
    codec = wirecodes.get(name)
    data = codec.encode(b"one ") + codec.encode(b"") + codec.encode(b"two")
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    assert b"".join(codec.decode_stream(pieces)) == b"one two"


@pytest.mark.parametrize("name", ["zlib", "brotli"])
def test_a_second_stream_is_an_error_where_the_format_has_one(name: str) -> None:
    codec = wirecodes.get(name)
    first = codec.encode(b"one")
    decoder = codec.decoder()
    assert decoder.update(first) == b"one"
    with pytest.raises(wirecodes.DecodeError) as caught:
        decoder.update(first)
    assert caught.value.position == len(first)


@pytest.mark.parametrize(
    ("name", "zeros", "good"), [("gzip", 5, True), ("xz", 8, True), ("xz", 6, False), ("bz2", 4, False)]
)
def test_padding_with_zeros_is_as_the_tools_have_it(name: str, zeros: int, good: bool) -> None:
    codec = wirecodes.get(name)
    one = codec.encode(b"one")
    for after in (b"", one):
        padded = one + bytes(zeros) + after
        if good:
            assert codec.decode(padded) == (b"oneone" if after else b"one")
            continue
        with pytest.raises(wirecodes.DecodeError):
            codec.decode(padded)


def test_trailing_garbage_is_placed_exactly_where_members_end() -> None:
    for name in ("gzip", "bz2", "xz", "zstd"):
        codec = wirecodes.get(name)
        one = codec.encode(b"one" * 1000)
        with pytest.raises(wirecodes.DecodeError) as caught:
            codec.decode(one + b"garbage, and more of it")
        assert caught.value.position == len(one), name


@pytest.mark.parametrize("name", ["gzip", "zlib", "brotli", "zstd", "bz2", "xz"])
def test_output_that_fills_a_piece_exactly_hides_nothing(name: str) -> None:
    codec = wirecodes.get(name)
    for size in (1 << 19, 1 << 20, (1 << 20) + 1, (1 << 20) + 258, 1 << 21):
        encoded = codec.encode(bytes(size))
        assert codec.decode(encoded) == bytes(size)
        assert b"".join(codec.decode_stream([encoded[:-5], encoded[-5:]])) == bytes(size)


def test_windows_of_more_than_64_mib_are_refused() -> None:
    wide = lzma.compress(b"x" * 1000, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}])
    with pytest.raises(wirecodes.DecodeError):
        wirecodes.get("xz").decode(wide)
    assert wirecodes.get("xz").decode(lzma.compress(b"x" * 1000, preset=9)) == b"x" * 1000
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.checksum_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    wide = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(wirecodes.DecodeError):
        wirecodes.get("zstd").decode(wide)


@pytest.mark.parametrize("name", BASES)
class TestBaseDecoders:
    def test_ignore_ascii_white_space(self, name: str) -> None:
        codec = wirecodes.get(name)
        encoded = codec.encode(b"hello, world")
        spaced = b"".join(
            b" \t\r\n\v\f"[index % 6 : index % 6 + 1] + encoded[index : index + 1]
            for index in range(len(encoded))
        )
        assert codec.decode(spaced + b"\n") == b"hello, world"

    def test_name_the_place_of_a_foreign_character(self, name: str) -> None:
        codec = wirecodes.get(name)
        encoded = codec.encode(bytes(range(100, 164)))
        for place in (0, 1, 7, 20, len(encoded) - 9):
            spaced = b"\n" + encoded[:place] + b" \x7f" + encoded[place:]
            for step in (1, 3, 1000):
                pieces = [spaced[start : start + step] for start in range(0, len(spaced), step)]
                with pytest.raises(wirecodes.DecodeError) as caught:
                    b"".join(codec.decode_stream(pieces))
                assert caught.value.position == place + 2

    def test_refuse_non_ascii_text(self, name: str) -> None:
        with pytest.raises(wirecodes.DecodeError):
            wirecodes.get(name).decode("é")

    def test_agree_with_the_library_on_what_they_accept(self, name: str) -> None:
        decoders: dict[str, Callable[[bytes], bytes]] = {
            "base16": base64.b16decode,
            "base32": base64.b32decode,
            "base64": base64.b64decode,
            "base64url": base64.urlsafe_b64decode,
            "ascii85": base64.a85decode,
            "base85": base64.b85decode,
        }
        alphabet = [*b"AB79z!=-_/u~ "]

        @THOROUGH
        @given(st.lists(st.sampled_from(alphabet), max_size=12).map(bytes))
        def check(text: bytes) -> None:
            try:
                value = wirecodes.get(name).decode(text)
            except wirecodes.DecodeError:
                return
            assert value == decoders[name](text.replace(b" ", b""))
            assert ENCODERS[name](value) == text.replace(b" ", b"") or name == "ascii85"

        check()


@pytest.mark.parametrize(
    ("name", "text", "position"),
    [
        ("base64", b"aGk", 3),
        ("base64", b"aGl=", 0),
        ("base64", b"aGk=aGk=", 4),
        ("base64", b"a=k=", 2),
        ("base64", b"====", 0),
        ("base64", b"aGVsbG8sIHdvcmxk aGl=", 17),
        ("base64url", b"ab+/", 2),
        ("base32", b"mzxw6===", 0),
        ("base32", b"MZXW7===", 0),
        ("base32", b"MZXW6==", 7),
        ("base16", b"0g", 1),
        ("base16", b"ab", 0),
        ("base16", b"ABC", 2),
        ("ascii85", b"zz!z", 3),
        ("ascii85", b"87cURuuuuu", 5),
        ("ascii85", b"87cUR!", 5),
        ("base85", b"~~~~~", 0),
        ("base85", b"00000 ~~~~~", 6),
    ],
)
def test_a_wrong_group_is_placed(name: str, text: bytes, position: int) -> None:
    for step in (1, 100):
        pieces = [text[start : start + step] for start in range(0, len(text), step)]
        with pytest.raises(wirecodes.DecodeError) as caught:
            b"".join(wirecodes.get(name).decode_stream(pieces))
        assert caught.value.position == position


class TestQuotedPrintable:
    codec = wirecodes.get("quoted-printable")

    def test_is_quopris_for_every_kind_of_line(self) -> None:
        parts = [b"\n", b"\r\n", b"\r", b" ", b"\t", b".", b"=", b"\xe9", b"\0", b"a" * 73, b"b" * 2, b"cd"]

        @settings(max_examples=500, deadline=None)
        @given(st.lists(st.sampled_from(parts), max_size=14).map(b"".join), st.integers(1, 90))
        def check(data: bytes, step: int) -> None:
            pieces = [data[start : start + step] for start in range(0, len(data), step)]
            assert b"".join(self.codec.encode_stream(pieces)) == quopri.encodestring(data)

        check()

    @pytest.mark.parametrize("step", [1, 7, 1000])
    def test_takes_a_dot_in_a_later_row_of_a_line_for_no_dot_at_its_start(self, step: int) -> None:
        data = b"x\r\n" + b"a" * 150 + b".\0" + b"b" * 100
        pieces = [data[start : start + step] for start in range(0, len(data), step)]
        assert b"".join(self.codec.encode_stream(pieces)) == quopri.encodestring(data)

    def test_breaks_a_line_of_any_length_without_holding_it(self) -> None:
        coder = self.codec.encoder()
        written = sum(len(coder.update(b"x" * 100_000)) for _ in range(20))
        assert written > 1_900_000

    @pytest.mark.parametrize(
        ("text", "value"), [(b"a=  \r\nb", b"ab"), (b"=e9=E9", b"\xe9\xe9"), (b"a \nb\r\n", b"a \nb\r\n")]
    )
    def test_reads(self, text: bytes, value: bytes) -> None:
        assert self.codec.decode(text) == value

    @pytest.mark.parametrize(
        ("text", "position"),
        [(b"ab=4", 4), (b"ab=G1", 2), (b"ab==", 4), (b"==41", 0), (b"\xe9", 0), (b"=", 1)],
    )
    def test_refuses(self, text: bytes, position: int) -> None:
        for step in (1, 100):
            pieces = [text[start : start + step] for start in range(0, len(text), step)]
            with pytest.raises(wirecodes.DecodeError) as caught:
                b"".join(self.codec.decode_stream(pieces))
            assert caught.value.position in (position, text.find(b"="))


@pytest.mark.parametrize(("text", "position"), [(b"ab%4", 4), (b"ab%G1x", 2), (b"%%41", 0), (b"abc%", 4)])
def test_percent_refuses_broken_escapes(text: bytes, position: int) -> None:
    for step in (1, 100):
        pieces = [text[start : start + step] for start in range(0, len(text), step)]
        with pytest.raises(wirecodes.DecodeError) as caught:
            b"".join(wirecodes.get("percent").decode_stream(pieces))
        assert caught.value.position == position


def test_text_that_is_not_utf8_is_placed_by_its_byte() -> None:
    for step in (1, 100):
        data = "Grüße".encode() + b"\xff"
        pieces = [data[start : start + step] for start in range(0, len(data), step)]
        with pytest.raises(wirecodes.EncodeError) as caught:
            b"".join(wirecodes.get("rot13").encode_stream(pieces))
        assert caught.value.position == 7
