"""The Huffman format: both twins of the kernels by the same tests, and each against a reader written from
FORMAT.md alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import wirecodes
from wirecodes import _reference
from wirecodes.blocks import BlockDecoder, BlockEncoder
from wirecodes.coder import Coder

from . import huffman_format as by_hand

TWINS = ["wirecodes._reference", "wirecodes._kernels"]
DICE = random.Random(1952)
TEXT = b"".join(
    b"def method_%d(self, value):\n    return self.table[%d] + value\n" % (n, n * n) for n in range(3000)
)


@pytest.fixture(params=TWINS)
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip("the extension is not built")
    return importlib.import_module(request.param)


@pytest.fixture
def decode(kernel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Coder:
    monkeypatch.setattr("wirecodes.blocks.decode_blocks", kernel.decode_blocks)
    return BlockDecoder()


def whole(coder: Coder, data: bytes) -> bytes:
    return coder.update(data) + coder.finish()


def flipped(data: bytes) -> Iterator[bytes]:
    """`data` with one bit wrong, at every seventh place."""
    for place in range(0, len(data), 7):
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def small_stream() -> bytes:
    """All kinds of blocks in few bytes."""
    parts = [b"aaaabbbcc" * 12, b"x" * 300, bytes(range(0, 250, 7)), (b"ab" * 7 + b"cd") * 70]
    blocks = []
    check = 0
    for part in parts:
        written, check = _reference.encode_blocks(part, check)
        blocks.append(written)
    assert [written[0] for written in blocks] == [3, 2, 1, 4]
    return by_hand.START + b"".join(blocks) + by_hand.end(b"".join(parts))


def outcome(call: Callable[[], bytes]) -> bytes | tuple[type, str]:
    try:
        return call()
    except wirecodes.DecodeError as error:
        return type(error), str(error)


class TestWholeData:
    @pytest.mark.parametrize("limit", [None, 0, 500, 10_000])
    def test_is_decoded_or_refused_as_piece_by_piece(
        self, kernel: ModuleType, monkeypatch: pytest.MonkeyPatch, limit: int | None
    ) -> None:
        monkeypatch.setattr("wirecodes.blocks.decode_blocks", kernel.decode_blocks)
        codec = wirecodes.get("huffman")
        good = small_stream()
        for data in [good, good + b"x", b"", *(good[:cut] for cut in range(0, len(good), 3)), *flipped(good)]:
            got = outcome(lambda data=data: codec.decode(data, max_output=limit))  # type: ignore[misc]
            assert got == outcome(lambda data=data: whole(codec.decoder(max_output=limit), data))  # type: ignore[misc]

    def test_may_be_in_any_buffer(self) -> None:
        codec = wirecodes.get("huffman")
        assert {codec.decode(kind(codec.encode(TEXT))) for kind in (bytes, bytearray, memoryview)} == {TEXT}


class TestDamage:
    def test_every_truncation_is_found(self, decode: Coder) -> None:
        stream = small_stream()
        by_hand.read(stream)
        for end in range(len(stream)):
            with pytest.raises(wirecodes.DecodeError) as caught:
                whole(BlockDecoder(), stream[:end])
            assert 0 <= (caught.value.position or 0) <= end

    def test_every_flipped_bit_is_found(self, decode: Coder) -> None:
        stream = small_stream()
        for bit in range(8 * len(stream)):
            damaged = bytearray(stream)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(wirecodes.DecodeError) as caught:
                whole(BlockDecoder(), bytes(damaged))
            assert caught.value.position is not None

    @pytest.mark.parametrize("change", ["missing", "doubled", "swapped", "appended"])
    def test_whole_blocks_out_of_place_are_found(self, decode: Coder, change: str) -> None:
        first, check = _reference.encode_blocks(b"ab" * 5000, 0)
        second, _ = _reference.encode_blocks(b"abc" * 5000, check)
        end = by_hand.end(b"ab" * 5000 + b"abc" * 5000)
        blocks = {
            "missing": [second, end],
            "doubled": [first, second, second, end],
            "swapped": [second, first, end],
            "appended": [first, second, end, end],
        }[change]
        decoder = BlockDecoder()
        with pytest.raises(wirecodes.DecodeError):
            decoder.update(by_hand.START + b"".join(blocks))

    def test_damaged_content_is_never_put_out(self, decode: Coder) -> None:
        stream = bytearray(by_hand.START + _reference.encode_blocks(TEXT[:60_000], 0)[0])
        stream[-20] ^= 1
        out: list[bytes] = []
        with pytest.raises(wirecodes.DecodeError):
            out.extend(decode.feed(bytes(stream)))
        assert b"".join(out) in (b"", TEXT[: 32 * 1024])


#: Code words of one bit for a and b.
HALF = by_hand.table({97: 1, 98: 1})
CONTENT = b"ab" * 200
GOOD = HALF + b"\xaa" * 50


class TestHandmadeBlocks:
    def test_a_right_one_is_read(self, decode: Coder) -> None:
        stream = by_hand.START + by_hand.coded(3, CONTENT, GOOD) + by_hand.end(CONTENT)
        assert by_hand.read(stream) == CONTENT
        assert decode.update(stream) + decode.finish() == CONTENT

    @pytest.mark.parametrize(
        ("rest", "position"),
        [
            (by_hand.table({97: 1, 98: 2}) + b"\xaa" * 50, 16),  # under-full
            (by_hand.table({97: 1, 98: 1, 99: 1}) + b"\xaa" * 50, 16),  # over-full
            (by_hand.table({97: 1}) + b"\xaa" * 50, 16),
            (by_hand.table({}) + b"\xaa" * 50, 16),
            (b"\x0f" + HALF[1:] + b"\xaa" * 50, 16),  # begins with a repetition
            (b"\xdd" + HALF[8:] + b"\xaa" * 50, 16),  # a run of zeros in two parts
            (b"\xfe\x0f" + b"\xfe" * 100, 16),  # tells more than 256 lengths
            (HALF[:100], 16 + 100),  # ends inside the table
            (HALF, 16 + 128),  # has no stream
            (HALF + b"\xaa" * 49, 16 + 128),
            (HALF + b"\xaa" * 51, 16 + 128),
            (HALF + b"\xaa" * 50 + b"\x00", 16 + 128),
        ],
    )
    def test_a_wrong_table_or_stream_is_found_at_its_place(
        self, decode: Coder, rest: bytes, position: int
    ) -> None:
        with pytest.raises(wirecodes.DecodeError) as caught:
            decode.update(by_hand.START + by_hand.coded(3, CONTENT, rest) + by_hand.end(CONTENT))
        assert caught.value.position == position

    def test_bits_after_the_last_symbol_must_be_zero(self, decode: Coder) -> None:
        content = CONTENT[:-1]
        right = by_hand.coded(3, content, HALF + b"\xaa" * 49 + b"\x2a")
        assert decode.update(by_hand.START + right) == content
        with pytest.raises(wirecodes.DecodeError):
            BlockDecoder().update(by_hand.START + by_hand.coded(3, content, GOOD))

    def test_an_unused_half_byte_of_a_table_must_be_zero(self, decode: Coder) -> None:
        def table(last: int) -> bytes:
            """97 bytes that do not occur, two words of one bit, 157 that do not occur: nine nibbles and
            `last`.
            """
            nibbles = [
                0,
                14,
                (96 - 19) & 15,
                (96 - 19) >> 4,
                1,
                1,
                14,
                (157 - 19) & 15,
                (157 - 19) >> 4,
                last,
            ]
            return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))

        assert decode.update(by_hand.START + by_hand.coded(3, CONTENT, table(0) + b"\xaa" * 50)) == CONTENT
        with pytest.raises(wirecodes.DecodeError) as caught:
            BlockDecoder().update(by_hand.START + by_hand.coded(3, CONTENT, table(1) + b"\xaa" * 50))
        assert caught.value.position == 16 + 4

    @pytest.mark.parametrize(
        "sizes", [(0, 0, 0), (9999, 0, 0), (25, 25, 9999), (26, 25, 25), (65535, 65535, 65535)]
    )
    def test_sizes_of_streams_that_lie_are_found(self, decode: Coder, sizes: tuple[int, ...]) -> None:
        content = b"ab" * 400
        fields = b"".join(size.to_bytes(2, "little") for size in sizes)
        right = b"\x19\0" * 3
        assert (
            BlockDecoder().update(by_hand.START + by_hand.coded(4, content, HALF + right + b"\xaa" * 100))
            == content
        )
        with pytest.raises(wirecodes.DecodeError):
            decode.update(by_hand.START + by_hand.coded(4, content, HALF + fields + b"\xaa" * 100))

    @pytest.mark.parametrize(
        ("block", "position"),
        [
            (by_hand.block(5, 10, b"a", b"a"), 5),
            (by_hand.block(255, 10, b"a", b"a"), 5),
            (by_hand.block(0, 1, b""), 6),
            (by_hand.block(1, 0, b""), 6),
            (by_hand.block(2, 0, b"", b"a"), 6),
            (by_hand.block(2, 131073, b"a" * 131073, b"a"), 6),
            (by_hand.block(1, 0xFFFFFF, b""), 6),
            (by_hand.block(4, 15, b""), 6),
            (by_hand.block(3, 400, CONTENT, b"\xff\xff\xff"), 13),
            (by_hand.block(3, 400, CONTENT, (397).to_bytes(3, "little")), 13),
            (by_hand.block(2, 100, b"b" * 100, b"a"), 5),
            (by_hand.block(1, 3, b"abc", b"abd"), 5),
        ],
    )
    def test_lengths_and_kinds_that_lie_are_found_at_once(
        self, decode: Coder, block: bytes, position: int
    ) -> None:
        with pytest.raises(wirecodes.DecodeError) as caught:
            decode.update(by_hand.START + block)
        assert caught.value.position == position

    def test_the_longest_block_is_read(self, decode: Coder) -> None:
        content = b"a" * 131072
        stream = by_hand.START + by_hand.block(2, 131072, content, b"a") + by_hand.end(content)
        assert decode.update(stream) == content


@pytest.mark.parametrize(
    ("start", "position"),
    [(b"", 0), (b"\x89HU", 3), (b"PK\3\4", 0), (b"\x89HUG\x01", 3), (b"\x89HUF\x02", 4)],
)
def test_another_start_is_found_at_its_place(start: bytes, position: int) -> None:
    with pytest.raises(wirecodes.DecodeError) as caught:
        wirecodes.get("huffman").decode(start)
    assert caught.value.position == position


def test_random_data_grows_by_less_than_a_thousandth() -> None:
    data = DICE.randbytes(1_000_000)
    assert len(wirecodes.get("huffman").encode(data)) < 1.001 * len(data)


def test_source_text_is_as_short_as_with_zlibs_huffman_codes() -> None:
    modules = (argparse, random, pytest, importlib.util)
    data = b"".join(Path(module.__file__ or "").read_bytes() for module in modules)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    assert len(wirecodes.get("huffman").encode(data)) < 1.02 * len(deflate.compress(data) + deflate.flush())


def test_memory_stays_the_same_however_much_is_streamed() -> None:
    encoder, decoder = BlockEncoder(), BlockDecoder()
    piece = bytes(1024 * 1024)
    total = 0
    for _ in range(128):
        for encoded in encoder.feed(piece):
            for decoded in decoder.feed(encoded):
                total += len(decoded)
                assert len(decoded) <= 1024 * 1024
    for decoded in decoder.feed(encoder.finish()):
        total += len(decoded)
    assert decoder.finish() == b""
    assert total == 128 * 1024 * 1024


def test_whole_data_is_encoded_as_piece_by_piece(kernel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirecodes.blocks.encode_blocks", kernel.encode_blocks)
    for data in (b"", b"a", TEXT, DICE.randbytes(70_000)):
        assert wirecodes.get("huffman").encode(data) == whole(BlockEncoder(), data)
        assert wirecodes.get("shannon-fano").encode(memoryview(data)) == whole(BlockEncoder(fano=True), data)
