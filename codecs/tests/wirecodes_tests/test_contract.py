"""What every codec promises, tried on all of them: one table for whole, byte by byte, cut short and with
trailing data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import wirecodes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wirecodes.coder import OUTPUT_PIECE, run

CODECS = [wirecodes.get(name) for name in wirecodes.names()]
BINARY = [codec for codec in CODECS if codec.input == "bytes"]
#: Decoders that notice any cut: the others are text in which each beginning is a valid text, too.
FRAMED = ["huffman", "gzip", "zlib", "bz2", "xz", "zstd", "brotli"]
FAST = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def sample(codec: wirecodes.Codec) -> bytes:
    """Something this codec can encode, that comes back as it was."""
    if codec.name == "morse":
        return b"CQ CQ DE W1AW <SK> " * 40 + b"K"
    if codec.name == "quoted-printable":
        return "A line that is long enough to be broken, with é and = in it.\n".encode() * 30
    text = b"It was a bright cold day in April, and the clocks were striking thirteen.\n" * 30
    return text + (bytes(range(256)) if codec.input == "bytes" else "é×€".encode())


def by_bytes(coder: wirecodes.Coder, data: bytes) -> bytes:
    return b"".join(coder.update(data[index : index + 1]) for index in range(len(data))) + coder.finish()


def decodes_or_says_where(codec: wirecodes.Codec, data: bytes) -> bool:
    """Whether `data` decodes; if not, the error has to say where, within the data."""
    try:
        codec.decode(data, max_output=1 << 20)
    except wirecodes.OutputLimitError:
        return False
    except wirecodes.DecodeError as error:
        if error.position is None or not 0 <= error.position <= len(data):
            raise AssertionError(f"{error.position} is no position in {len(data)} bytes") from error
        return False
    return True


@pytest.fixture(params=CODECS, ids=lambda codec: codec.name)
def codec(request: pytest.FixtureRequest) -> wirecodes.Codec:
    chosen: wirecodes.Codec = request.param
    return chosen


class TestEveryCodec:
    def test_gives_back_what_it_was_given(self, codec: wirecodes.Codec) -> None:
        assert codec.decode(codec.encode(sample(codec))) == sample(codec)

    def test_gives_the_same_byte_by_byte(self, codec: wirecodes.Codec) -> None:
        data = sample(codec)
        encoded = by_bytes(codec.encoder(), data)
        if codec.name != "brotli":  # its encoder decides by what it was given so far
            assert encoded == codec.encode(data)
        assert by_bytes(codec.decoder(), encoded) == data

    def test_takes_every_kind_of_buffer(self, codec: wirecodes.Codec) -> None:
        data = sample(codec)
        encoded = codec.encode(bytearray(data))
        assert codec.encode(memoryview(data)) == encoded
        assert codec.decode(memoryview(encoded)) == data

    def test_encodes_nothing_to_something_that_decodes_to_nothing(self, codec: wirecodes.Codec) -> None:
        assert codec.decode(codec.encode(b"")) == b""

    def test_has_an_entry_for_the_catalogue(self, codec: wirecodes.Codec) -> None:
        entry = codec.describe()
        assert list(entry) == ["name", "title", "kind", "input", "output", "options", "description"]
        assert all(entry[key] for key in entry if key != "options")
        assert {entry["input"], entry["output"]} <= {"bytes", "text"}

    def test_takes_nothing_after_the_end(self, codec: wirecodes.Codec) -> None:
        coder = codec.encoder()
        coder.finish()
        with pytest.raises(ValueError, match="ended"):
            coder.update(b"more")
        with pytest.raises(ValueError, match="ended"):
            coder.finish()

    def test_takes_nothing_after_an_error(self, codec: wirecodes.Codec) -> None:
        decoder = codec.decoder()
        with pytest.raises(wirecodes.DecodeError):
            b"".join(run(decoder, [b"\xff\xfe\x00%=%=" * 100]))
        with pytest.raises(ValueError, match="ended"):
            decoder.update(b"more")

    def test_stops_at_the_limit_and_not_before(self, codec: wirecodes.Codec) -> None:
        data = sample(codec)
        encoded = codec.encode(data)
        assert codec.decode(encoded, max_output=len(data)) == data
        with pytest.raises(wirecodes.OutputLimitError) as caught:
            codec.decode(encoded, max_output=len(data) - 1)
        assert caught.value.limit == len(data) - 1

    def test_refuses_an_option_it_does_not_know_by_name(self, codec: wirecodes.Codec) -> None:
        for refused in (
            codec.encode_stream,
            codec.decode_stream,
            lambda _, **o: codec.produces("encode", **o),
        ):
            with pytest.raises(wirecodes.OptionError) as caught:
                refused([], colour="red")
            assert caught.value.option == "colour"

    def test_decodes_any_bytes_to_a_value_or_to_our_error(self, codec: wirecodes.Codec) -> None:
        @FAST
        @given(st.binary(max_size=200))
        def check(data: bytes) -> None:
            decodes_or_says_where(codec, data)

        check()

    def test_decodes_its_own_damaged_output_to_a_value_or_to_our_error(self, codec: wirecodes.Codec) -> None:
        encoded = codec.encode(sample(codec))
        dice = random.Random(codec.name)
        for _ in range(100):
            damaged = bytearray(encoded)
            for _ in range(dice.randint(1, 3)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            decodes_or_says_where(codec, bytes(damaged))

    def test_names_a_position_in_what_is_cut_short(self, codec: wirecodes.Codec) -> None:
        encoded = codec.encode(sample(codec))
        for end in range(0, len(encoded), max(1, len(encoded) // 60)):
            assert not decodes_or_says_where(codec, encoded[:end]) or codec.name not in FRAMED


class TestBinaryCodecs:
    @pytest.mark.parametrize("codec", BINARY, ids=lambda codec: codec.name)
    def test_give_back_any_bytes(self, codec: wirecodes.Codec) -> None:
        @FAST
        @given(st.binary(max_size=400), st.integers(1, 50))
        def check(data: bytes, step: int) -> None:
            if codec.name == "quoted-printable":  # all line ends become like the first
                data = data.replace(b"\n", b"")
            pieces = [data[start : start + step] for start in range(0, len(data), step)]
            encoded = b"".join(codec.encode_stream(pieces))
            assert b"".join(codec.decode_stream([encoded])) == data
            assert codec.decode(encoded) == data

        check()

    @pytest.mark.parametrize(
        "codec", [c for c in BINARY if "text" in (c.input, c.output)], ids=lambda c: c.name
    )
    def test_with_text_on_one_side_take_text(self, codec: wirecodes.Codec) -> None:
        encoded = codec.encode("Grüße")
        assert encoded == codec.encode("Grüße".encode())
        assert codec.decode(encoded.decode()).decode() == "Grüße"
        with pytest.raises(wirecodes.EncodeError) as caught:
            codec.encode("ab\ud800")
        assert caught.value.position == 2

    @pytest.mark.parametrize("name", FRAMED)
    def test_without_text_refuse_text(self, name: str) -> None:
        with pytest.raises(TypeError, match="bytes"):
            wirecodes.get(name).encode("text")


class TestFramedCodecs:
    @pytest.fixture(params=FRAMED)
    def codec(self, request: pytest.FixtureRequest) -> wirecodes.Codec:
        return wirecodes.get(request.param)

    def test_refuse_trailing_data(self, codec: wirecodes.Codec) -> None:
        encoded = codec.encode(b"hello" * 100)
        with pytest.raises(wirecodes.DecodeError):
            codec.decode(encoded + b"trailing")
        with pytest.raises(wirecodes.DecodeError):
            by_bytes(codec.decoder(), encoded + b"trailing")

    def test_refuse_every_beginning_of_a_stream(self, codec: wirecodes.Codec) -> None:
        encoded = codec.encode(b"hello" * 100)
        for end in range(len(encoded)):
            with pytest.raises(wirecodes.DecodeError):
                codec.decode(encoded[:end])

    def test_put_a_bomb_out_in_bounded_pieces(self, codec: wirecodes.Codec) -> None:
        size = 12 * 1024 * 1024
        bomb = b"".join(codec.encode_stream(bytes(1024 * 1024) for _ in range(size // 1024 // 1024)))
        assert len(bomb) < size / 500
        pieces = [len(piece) for piece in codec.decode_stream([bomb])]
        assert sum(pieces) == size
        assert 0 < max(pieces) <= OUTPUT_PIECE
        with pytest.raises(wirecodes.OutputLimitError):
            codec.decode(bomb, max_output=1024 * 1024)


def test_output_pieces_are_bounded_for_every_encoder(codec: wirecodes.Codec) -> None:
    worst = b"0" * 200_000 if codec.input == "text" else bytes(range(128, 256)) * 1600
    options = [{"to": to} for to in ("text", "units", "prefix")] if codec.name == "morse" else [{}]
    for chosen in options:
        lengths = [len(piece) for piece in codec.encode_stream([worst], **chosen)]
        assert max(lengths) <= OUTPUT_PIECE
        assert min(lengths) > 0


def endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


def test_streams_are_lazy(codec: wirecodes.Codec) -> None:
    stream = codec.encode_stream(endless(sample(codec) * 20))
    assert next(stream)
    assert next(stream)
