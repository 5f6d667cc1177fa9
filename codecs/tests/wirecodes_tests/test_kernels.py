"""The Huffman format: both twins of the kernels by the same tests, and each against a reader written from
FORMAT.md alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import zlib
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wirecodes import _reference
from wirecodes.blocks import BlockDecoder
from wirecodes.coder import Coder

from . import huffman_format as by_hand

TWINS = ["wirecodes._reference", "wirecodes._kernels"]
DICE = random.Random(1952)
TEXT = b"".join(
    b"def method_%d(self, value):\n    return self.table[%d] + value\n" % (n, n * n) for n in range(3000)
)
FIBONACCI = b"".join(
    bytes((symbol,)) * count
    for symbol, count in enumerate(
        [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181]
    )
)

SAMPLES = {
    "empty": b"",
    "one byte": b"a",
    "two bytes": b"ab",
    "256 equal": b"a" * 256,
    "all bytes": bytes(range(256)),
    "one stream": b"a" * 500 + b"bc" * 100,
    "shortest of four streams": b"aaab" * 256,
    "longest of one stream": (b"aaab" * 256)[:1023],
    "parts of unequal length": b"aaab" * 256 + b"ba",
    "text": TEXT,
    "random": DICE.randbytes(70_000),
    "skewed": FIBONACCI,
    "a whole block": b"ab" * 16 * 1024,
    "a block and a byte": b"ab" * 16 * 1024 + b"x",
    "changing": TEXT[:40_000] + bytes(100_000) + DICE.randbytes(50_000) + FIBONACCI,
}


@pytest.fixture(params=TWINS)
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip("the extension is not built")
    return importlib.import_module(request.param)


@pytest.fixture
def decode(kernel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Coder:
    monkeypatch.setattr("wirecodes.blocks.decode_blocks", kernel.decode_blocks)
    return BlockDecoder()


def encoded_by(kernel: ModuleType, content: bytes) -> bytes:
    blocks, check = kernel.encode_blocks(content, 0)
    assert check == zlib.crc32(content)
    stream: bytes = by_hand.START + blocks + by_hand.end(content)
    return stream


def decoded_by(kernel: ModuleType, stream: bytes) -> bytes:
    out: list[bytes] = []
    position, check, ended = 5, 0, False
    while not ended:
        content, position, check, ended = kernel.decode_blocks(stream, position, check, 1 << 20)
        out.append(content)
    assert position == len(stream)
    return b"".join(out)


class TestTwins:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_write_what_a_reader_of_the_specification_reads(self, kernel: ModuleType, name: str) -> None:
        stream = encoded_by(kernel, SAMPLES[name])
        assert by_hand.read(stream) == SAMPLES[name]
        assert decoded_by(kernel, stream) == SAMPLES[name]

    @pytest.mark.parametrize("name", SAMPLES)
    def test_give_the_same_bit_for_bit(self, kernel: ModuleType, name: str) -> None:
        assert kernel.encode_blocks(SAMPLES[name], 7) == _reference.encode_blocks(SAMPLES[name], 7)
        assert kernel.histogram(SAMPLES[name]) == _reference.histogram(SAMPLES[name])

    def test_give_the_same_for_any_content(self, kernel: ModuleType) -> None:
        @settings(max_examples=60, deadline=None)
        @given(st.binary(min_size=1, max_size=80), st.integers(1, 40), st.integers(0, 255))
        def check(content: bytes, times: int, salt: int) -> None:
            content = content * times + bytes((salt,)) * times
            stream = encoded_by(kernel, content)
            assert stream == encoded_by(_reference, content)
            assert decoded_by(kernel, stream) == content

        check()

    def test_keep_a_stream_that_was_written_before(self, kernel: ModuleType) -> None:
        """The format is final: these bytes must always mean this, and this encoder always write them."""
        content = b"a" * 40 + b"b" * 18 + b"c" * 10 + b"d" * 2
        stream = encoded_by(kernel, content)
        assert decoded_by(kernel, stream) == content
        assert (
            stream.hex()
            == "89485546010346000020fcce44130000ee1432e388000000000055555555b56ddbb6fd0000000020fcce44"
        )

    def test_find_optimal_lengths(self, kernel: ModuleType) -> None:
        lengths = kernel.code_lengths(counts(a=45, b=13, c=12, d=16, e=9, f=5), 12)
        assert {chr(s): n for s, n in enumerate(lengths) if n} == {
            "a": 1,
            "b": 3,
            "c": 3,
            "d": 3,
            "e": 4,
            "f": 4,
        }

    @pytest.mark.parametrize("limit", [5, 6, 8, 12])
    def test_find_optimal_lengths_below_a_limit(self, kernel: ModuleType, limit: int) -> None:
        """The costs of an exhaustive search, as Larmore and Hirschberg's theorem gives them for Fibonacci
        weights.
        """
        weights = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181]
        lengths = kernel.code_lengths(weights + [0] * (256 - len(weights)), limit)
        assert max(lengths) == limit
        assert sum(2**-length for length in lengths if length) == 1
        assert sum(weight * lengths[symbol] for symbol, weight in enumerate(weights)) == best_cost(
            weights, limit
        )

    def test_part_symbols_as_shannon_and_fano_do(self, kernel: ModuleType) -> None:
        """The example of Shannon's textbook treatment: 15, 7, 6, 6, 5."""
        lengths = kernel.fano_lengths(counts(a=15, b=7, c=6, d=6, e=5))
        assert {chr(s): n for s, n in enumerate(lengths) if n} == {"a": 2, "b": 2, "c": 2, "d": 3, "e": 3}

    @pytest.mark.parametrize("limit", [5, 8, 12])
    def test_part_symbols_below_a_limit(self, kernel: ModuleType, limit: int) -> None:
        weights = [2**power for power in range(30)] + [0] * 226
        lengths = kernel.fano_lengths(weights, limit)
        assert max(lengths) == limit
        assert sum(2**-length for length in lengths if length) == 1

    @pytest.mark.parametrize("name", [name for name in SAMPLES if len(SAMPLES[name]) > 1])
    def test_give_the_same_with_shannon_and_fanos_lengths(self, kernel: ModuleType, name: str) -> None:
        blocks, check = kernel.encode_blocks(SAMPLES[name], 0, True)
        assert (blocks, check) == _reference.encode_blocks(SAMPLES[name], 0, fano=True)
        assert decoded_by(kernel, by_hand.START + blocks + by_hand.end(SAMPLES[name])) == SAMPLES[name]

    def test_refuse_counts_that_have_no_code(self, kernel: ModuleType) -> None:
        for wrong in ([0] * 256, [1] + [0] * 255, [1] * 255, [-1] + [1] * 255):
            with pytest.raises(ValueError, match=r"counts|code"):
                kernel.code_lengths(wrong)
        with pytest.raises(ValueError, match="no code"):
            kernel.fano_lengths([1] * 256, 7)

    def test_counts_every_byte(self, kernel: ModuleType) -> None:
        assert kernel.histogram(TEXT) == [TEXT.count(symbol) for symbol in range(256)]

    def test_take_no_more_room_than_given(self, kernel: ModuleType) -> None:
        blocks, _ = kernel.encode_blocks(bytes(32 * 1024 * 10), 0)
        content, used, _, ended = kernel.decode_blocks(blocks, 0, 0, 128 * 1024)
        assert (len(content), used, ended) == (128 * 1024, 4 * 9, False)

    def test_leave_a_block_that_is_not_complete(self, kernel: ModuleType) -> None:
        blocks, _ = kernel.encode_blocks(TEXT[:40_000], 0)
        first = len(kernel.encode_blocks(TEXT[: 32 * 1024], 0)[0])
        for end in (0, 1, 7, 8, 10, first - 1):
            assert kernel.decode_blocks(blocks[:end], 0, 0, 1 << 20) == (b"", 0, 0, False)
        content, used, _, ended = kernel.decode_blocks(blocks[:-1], 0, 0, 1 << 20)
        assert (content, used, ended) == (TEXT[: 32 * 1024], first, False)


def counts(**given: int) -> list[int]:
    return [given.get(chr(symbol), 0) for symbol in range(256)]


def best_cost(weights: list[int], limit: int) -> int:
    """The least sum of weight times length: dynamic programming over how many nodes each level of the tree has.

    From the root down, with the heaviest weights first: a level of `nodes` gives some of them to leaves, the
    others double.
    """
    ordered = sorted(weights, reverse=True)
    states = {(0, 1): 0}
    for depth in range(1, limit + 1):
        following: dict[tuple[int, int], int] = {}
        for (placed, inner), cost in states.items():
            nodes = min(2 * inner, len(ordered))
            for leaves in range(min(nodes, len(ordered) - placed) + 1):
                state = (placed + leaves, nodes - leaves)
                total = cost + depth * sum(ordered[placed : placed + leaves])
                following[state] = min(total, following.get(state, total))
        states = following
    return min(cost for (placed, _), cost in states.items() if placed == len(ordered))
