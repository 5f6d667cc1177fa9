"""Huffman beside zlib, bitarray and dahuffman; then POST /codecs/huffman/encode, and who waits meanwhile.

The library part runs on one core, the peers in turn on the same text: Python's own sources. Ratios are of speeds, but for the
size's. The service part has an instance of its own.
"""

from __future__ import annotations

import os
import statistics
import sysconfig
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wirecodes
from bitarray import bitarray
from bitarray.util import canonical_decode, canonical_huffman
from dahuffman import HuffmanCodec  # type: ignore[import-untyped]

from bench.codec_service import MB, crowd, instance, post, repeated
from bench.harness import ROUNDS, Unavailable, judge, peak, reset_peak, timed

#: Bytes of text for the comparison.
TEXT = 20 * MB

#: dahuffman is pure Python and would take minutes for all of it.
LITTLE = MB

#: What is streamed to see whether cost is linear.
LENGTHS = (MB, 10 * MB, 100 * MB, 1000 * MB)

#: What is asked of the code: times zlib's speeds, and times its size.
ENCODE_TARGET, DECODE_TARGET, SIZE_TARGET = 5.0, 3.5, 1.01


@dataclass(frozen=True)
class Peer:
    """`encode` gives whatever `decode` takes; `size` tells the bytes of that."""

    encode: Callable[[bytes], Any]
    decode: Callable[[Any], Any]
    size: Callable[[Any], int]
    length: int = TEXT


@dataclass
class Figures:
    encode: list[float]
    decode: list[float]
    size: float = 0.0

    def medians(self) -> tuple[float, float]:
        return statistics.median(self.encode), statistics.median(self.decode)


def main() -> None:
    text = python_text()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        kernel = compare_library(text)
        linear(text)
    finally:
        os.sched_setaffinity(0, cores)
    with instance() as (port, worker):
        post(port, worker, text, kernel)
        crowd(port, text)


def python_text() -> bytes:
    """TEXT bytes of Python sources, the same at every run on the same machine."""
    paths = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = (file for path in paths for file in sorted(path.rglob("*.py")))
    found = bytearray()
    for file in files:
        found += file.read_bytes()
        if len(found) >= TEXT:
            return bytes(found[:TEXT])
    raise Unavailable(f"here are only {len(found)} bytes of Python sources, not {TEXT}")


def compare_library(text: bytes) -> float:
    """Print the comparison; our speed of encoding in bytes a second."""
    peers = {
        "wirecodes": ours(),
        "zlib Z_HUFFMAN_ONLY": zlib_huffman(),
        "bitarray": bits(text),
        "dahuffman": dahuffman(text),
    }
    figures = {name: Figures([], []) for name in peers}
    for number in range(ROUNDS):
        for name in sorted(peers, reverse=number % 2 == 1):
            measure(peers[name], text, figures[name])
    print(f"{TEXT // MB} MB of Python text, one core, medians of {ROUNDS} alternating rounds")
    for name, found in figures.items():
        encode, decode = found.medians()
        print(
            f"  {name:<20} encode {encode / MB:>7.1f} MB/s   decode {decode / MB:>7.1f} MB/s   size {found.size:.2%}"
        )
    own, peer = figures["wirecodes"], figures["zlib Z_HUFFMAN_ONLY"]
    (encode, decode), (their_encode, their_decode) = own.medians(), peer.medians()
    judge("encode beside zlib", encode / their_encode, ENCODE_TARGET, "×")
    judge("decode beside zlib", decode / their_decode, DECODE_TARGET, "×")
    judge("size beside zlib's", own.size / peer.size, SIZE_TARGET, "×", at_most=True)
    return encode


def measure(peer: Peer, text: bytes, figures: Figures) -> None:
    part = text[: peer.length]
    seconds, packed = timed(lambda: peer.encode(part))
    figures.encode.append(len(part) / seconds)
    seconds, back = timed(lambda: peer.decode(packed))
    figures.decode.append(len(part) / seconds)
    figures.size = peer.size(packed) / len(part)
    if back != part:
        raise Unavailable("a peer gave something else back than it got")


def ours() -> Peer:
    codec = wirecodes.get("huffman")
    return Peer(codec.encode, codec.decode, len)


def zlib_huffman() -> Peer:
    def encode(data: bytes) -> bytes:
        packer = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)
        return packer.compress(data) + packer.flush()

    return Peer(encode, zlib.decompress, len)


def bits(text: bytes) -> Peer:
    code, counts, symbols = canonical_huffman(Counter(text))

    def encode(data: bytes) -> bitarray:
        packed = bitarray()
        packed.encode(code, data)
        return packed

    return Peer(
        encode,
        lambda packed: bytes(canonical_decode(packed, counts, symbols)),
        lambda packed: len(packed) // 8,
    )


def dahuffman(text: bytes) -> Peer:
    codec = HuffmanCodec.from_data(text[:LITTLE])
    return Peer(codec.encode, codec.decode, len, LITTLE)


def linear(text: bytes) -> None:
    """Streams of growing length: time a byte stays the same, and so does memory."""
    print("\nStreamed, one core")
    codec = wirecodes.get("huffman")
    own = os.getpid()
    for length in LENGTHS:
        for name, pieces in (
            ("encode", codec.encode_stream(repeated(text, length))),
            ("decode", codec.decode_stream(codec.encode_stream(repeated(text, length)))),
        ):
            before = reset_peak(own)
            seconds, _ = timed(lambda pieces=pieces: sum(map(len, pieces)))  # type: ignore[misc]
            grown = (peak(own) - before) / MB
            what = "encode" if name == "encode" else "encode and decode"
            print(
                f"  {length // MB:>5} MB  {what:<18} {length / MB / seconds:>7.1f} MB/s   memory {grown:+6.1f} MB"
            )
