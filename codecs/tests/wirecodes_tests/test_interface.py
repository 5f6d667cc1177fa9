"""What Python's own interfaces promise: types, pickling, streams, one outcome however the input is cut."""

from __future__ import annotations

import codecs
import copy
import io
import lzma
import pickle
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import wirecodes
from wirecodes import huffman, shannon_fano
from wirecodes.coder import run

NAMES = wirecodes.names()
COMPRESSIONS = ("gzip", "zlib", "bz2", "xz", "zstd", "brotli")


def of_text(codec: wirecodes.Codec) -> bool:
    return codec.input == codec.output == "text"


@pytest.mark.parametrize("name", [*NAMES, "huffman+base64", "gzip+brotli+base16"])
def test_a_codec_is_pickled_copied_and_tells_its_name(name: str) -> None:
    codec = wirecodes.get(name)
    data = b"SOS"
    for other in (pickle.loads(pickle.dumps(codec)), copy.copy(codec), copy.deepcopy(codec)):
        assert other.encode(data) == codec.encode(data)
    assert repr(codec) == f"wirecodes.get({name!r})"


def kind(value: object) -> str:
    """A test's name must be the same in every process; the `repr` of an iterator has its address."""
    return type(value).__name__


@pytest.mark.parametrize("name", [*NAMES, "huffman+base64"])
@pytest.mark.parametrize("wrong", [3, 0, None, 2.5, [1], (b"a",), {1}, iter(b"ab"), range(3)], ids=kind)
def test_what_is_no_bytes_is_a_type_error(name: str, wrong: object) -> None:
    codec = wirecodes.get(name)
    calls: list[Callable[..., object]] = [
        codec.encode,
        codec.decode,
        codec.encoder().update,
        codec.decoder().update,
    ]
    for call in calls:
        with pytest.raises(TypeError, match="bytes are needed"):
            call(wrong)


@pytest.mark.parametrize("study", [huffman, shannon_fano])
@pytest.mark.parametrize("wrong", [5, None, "abc", [1]])
def test_what_is_no_bytes_is_not_studied(study: object, wrong: object) -> None:
    for call in (study.analyse, study.tree):  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match="bytes are needed"):
            call(wrong)


@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, lambda data: memoryview(data * 2)[: len(data)]]
)
def test_each_kind_of_bytes_is_taken(make: Callable[[bytes], bytes]) -> None:
    for name in ("huffman", "gzip", "base64", "percent"):
        codec = wirecodes.get(name)
        assert codec.decode(make(codec.encode(make(b"some data")))) == b"some data"
    assert huffman.analyse(make(b"aab")) == huffman.analyse(b"aab")


def test_a_coder_is_a_context_manager_and_a_tree_draws_itself() -> None:
    with wirecodes.get("gzip").encoder() as encoder:
        encoder.update(b"a")
    with pytest.raises(ValueError, match="ended"):
        encoder.update(b"b")
    assert huffman.tree(b"abc")._repr_svg_().startswith("<svg")


@pytest.mark.parametrize("name", NAMES)
def test_files_are_read_and_written_by_python_s_registry(name: str, tmp_path: Path) -> None:
    wirecodes.register_stdlib()
    codec, encoding = wirecodes.get(name), f"wirecodes-{name}"
    parts = ["SOS SOS", " AR", "E"] if of_text(codec) else [b"one\ntw", b"o\n", b"three"]
    whole = parts[0][:0].join(parts)  # type: ignore[arg-type,call-overload]
    file = tmp_path / "file"
    with codecs.open(str(file), "w", encoding=encoding) as opened:
        for part in parts:
            opened.write(part)
    assert file.read_bytes() == codec.encode(whole)
    with codecs.open(str(file), encoding=encoding) as opened:
        assert opened.read() == whole
    with codecs.open(str(file), encoding=encoding) as opened:
        assert list(opened) == whole.splitlines(keepends=True)
    reader = codecs.getreader(encoding)(io.BytesIO(file.read_bytes()))
    assert reader.read(4) + reader.read() == whole
    out = io.BytesIO()
    writer = codecs.getwriter(encoding)(out)
    writer.write(whole)
    writer.reset()
    assert out.getvalue() == codec.encode(whole)


def test_lines_are_read_with_and_without_their_ends() -> None:
    wirecodes.register_stdlib()
    text = b"one\n\ntwo\n\n\nthree"
    for keepends in (True, False):
        reader = codecs.getreader("wirecodes-base64")(io.BytesIO(wirecodes.get("base64").encode(text)))
        expected = codecs.getreader("latin-1")(io.BytesIO(text)).readlines(None, keepends)
        assert reader.readlines(None, keepends) == [line.encode() for line in expected]


def outcome(
    codec: wirecodes.Codec, data: bytes, step: int, **options: object
) -> tuple[bytes | None, str, int | None]:
    decoder = codec.decoder(**options)
    try:
        parts = [decoder.update(data[at : at + step]) for at in range(0, len(data), step)]
        return b"".join([*parts, decoder.finish()]), "", None
    except wirecodes.DecodeError as error:
        return None, error.reason, error.position


CUT = [*[(name, {}) for name in NAMES if name not in COMPRESSIONS], ("morse", {"from_": "units"}), ("morse", {"from_": "prefix"}),
       *[(name, {"lenient": 1}) for name in ("base16", "base32", "base64", "ascii85", "base85")]]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), CUT, ids=str)
def test_damage_has_one_outcome_however_the_input_is_cut(name: str, options: dict[str, object]) -> None:
    dice = random.Random(11)
    codec = wirecodes.get(name)
    to = {"to": options["from_"]} if "from_" in options else {}
    good = codec.encode(
        b"SOS PARIS 73 = E E" if of_text(codec) else bytes(range(40)) + b"some text\n" * 3, **to
    )
    for _ in range(150):
        data = bytearray(good)
        for _ in range(dice.randrange(3)):
            data[dice.randrange(len(data))] = dice.choice([*good, *b"x=\n 2%z.", 0xE9, dice.randrange(256)])
        text = bytes(data[: dice.choice([len(data), dice.randrange(len(data) + 1)])])
        whole = outcome(codec, text, len(text) + 1, **options)
        for step in (1, 2, 3, 7):
            assert outcome(codec, text, step, **options) == whole, (text, step)


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("garbage", [b"x", b"\xfd", b"\x1f", b"\x1f\x8c", b"garbage " * 900], ids=len)
@pytest.mark.parametrize("step", [1, 5, 100_000])
def test_garbage_behind_the_end_is_told_at_its_place_or_ignored(name: str, garbage: bytes, step: int) -> None:
    codec = wirecodes.get(name)
    member = codec.encode(b"some data " * 50)
    assert outcome(codec, member + garbage, step) == (
        None,
        "data after the end of the compressed data",
        len(member),
    )
    assert outcome(codec, member + garbage, step, trailing="ignore")[0] == b"some data " * 50


def test_several_members_are_read_with_garbage_behind_the_last() -> None:
    for name in ("gzip", "bz2", "xz", "zstd"):
        codec = wirecodes.get(name)
        two = codec.encode(b"one ") + codec.encode(b"two")
        assert codec.decode(two) == b"one two"
        assert outcome(codec, two + b"?", 3)[2] == len(two)
        assert codec.decode(two + b"?", trailing="ignore") == b"one two"


def test_the_older_lzma_format_is_read() -> None:
    old = lzma.compress(b"some data", format=lzma.FORMAT_ALONE)
    assert wirecodes.get("xz").decode(old) == b"some data"


def test_what_a_decompressor_lacks_is_named() -> None:
    compressor = zlib.compressobj(zdict=b"some dictionary")
    data = compressor.compress(b"some dictionary data") + compressor.flush()
    with pytest.raises(wirecodes.DecodeError, match="preset dictionary"):
        wirecodes.get("zlib").decode(data)
    damaged = bytearray(brotli.compress(bytes(range(256)) * 20))
    damaged[0] = 0x11
    with pytest.raises(wirecodes.DecodeError, match="large window"):
        wirecodes.get("brotli").decode(bytes(damaged))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("base16", "0a:0B-0c", b"\n\x0b\x0c"),
        ("base32", "mfrgg", b"abc"),
        ("base64", "YWI=Y2Q=", b"abcd"),
        ("base64", "YWJj\0ZA", b"abcd"),
        ("base64", "_-8", b"\xff\xef"),
        ("base64url", "eyJhIjoxfQ", b'{"a":1}'),
        ("base64url", "+/8=", b"\xfb\xff"),
        ("ascii85", "z{z", bytes(8)),
        ("base85", "VP\x7f", b"a"),
    ],
)
def test_lenient_decoding_takes_what_others_write(name: str, text: str, value: bytes) -> None:
    codec = wirecodes.get(name)
    with pytest.raises(wirecodes.DecodeError):
        codec.decode(text)
    assert codec.decode(text, lenient=1) == value
    for cut in range(len(text)):
        decoder = codec.decoder(lenient=1)
        assert (
            decoder.update(text[:cut].encode()) + decoder.update(text[cut:].encode()) + decoder.finish()
            == value
        )


def test_half_a_group_stays_an_error_in_lenient_decoding() -> None:
    for name, text in (("base16", "abc"), ("base64", "YWJjZ"), ("base32", "A")):
        with pytest.raises(wirecodes.DecodeError, match="inside a group"):
            wirecodes.get(name).decode(text, lenient=1)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("… —— …", None),
        ("… --- …", "SOS"),
        ("— ‥", "MI"),
        ("．－", "A"),
        ("･－", "A"),
        ("·–", "A"),
        ("•−", "A"),
        ("‧‐", "A"),
        ("。-", None),
        ("―", None),
    ],
)
def test_look_alikes_are_what_was_typed_or_refused(written: str, read: str | None) -> None:
    if read is None:
        with pytest.raises(wirecodes.DecodeError):
            wirecodes.get("morse").decode(written)
    else:
        assert wirecodes.get("morse").decode(written).decode() == read


def test_the_position_of_an_error_counts_characters_as_they_were_written() -> None:
    with pytest.raises(wirecodes.DecodeError) as caught:
        wirecodes.get("morse").decode("… … ......... .")
    assert caught.value.position == 4


def test_an_option_of_sound_is_refused_where_none_is_made_and_so_are_two_spellings() -> None:
    morse = wirecodes.get("morse")
    for wpm in (20, 25):
        with pytest.raises(wirecodes.OptionError, match="to=wav only"):
            morse.encode("E", wpm=wpm)
    for codec in (morse, wirecodes.get("morse+base64")):
        with pytest.raises(wirecodes.OptionError, match="given twice"):
            codec.decode(b"", **{"from": "units", "from_": "text"})


def test_a_word_given_twice_is_two_readings() -> None:
    assert wirecodes.prefix_codes.check(["0", "0"])["ambiguous"] == "0"
    assert wirecodes.prefix_codes.split(["0", "0"], "0") == {"count": "2", "parses": [["0"], ["0"]]}


def test_kraft_s_sum_is_exact() -> None:
    assert huffman.analyse(bytes(range(13)), radix=3)["kraft_sum"] == "1"
    assert huffman.analyse(b"")["kraft_sum"] == "0"


@pytest.mark.parametrize("name", ["morse", "base16+base16+base16", "morse+gzip"])
def test_the_output_of_each_stage_of_an_encoder_may_be_bounded(name: str) -> None:
    options = {"to": "wav"} if "morse" in name else {}
    coder = wirecodes.get(name).bounded_encoder(10_000, **options)
    with pytest.raises(wirecodes.CodecError, match="longer than 10000 bytes"):
        list(run(coder, [b"PARIS " * 500]))
