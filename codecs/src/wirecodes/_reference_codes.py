"""The kernels in Python, first part: counting symbols, and the lengths and words of their
codes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

#: Code words have at most this many bits: one table of 4096 entries decodes any of them at once.
MAX_BITS = 12

_SYMBOLS = 256


def histogram(data: bytes) -> list[int]:
    """How often each of the 256 bytes occurs."""
    counts = Counter(data)
    return [counts[symbol] for symbol in range(_SYMBOLS)]


def code_lengths(counts: Sequence[int], limit: int = MAX_BITS) -> bytes:
    """The lengths of an optimal prefix code of at most `limit` bits; 0 for symbols that do not occur. Package-merge.

    Ties: fewer occurrences first, then the smaller symbol, and a symbol before a package.
    """
    check_counts(counts, limit)
    leaves = sorted((count, symbol) for symbol, count in enumerate(counts) if count)
    weights = [count for count, _ in leaves]
    # Doubled, and packages with one more: so a plain sort puts a symbol before a package of the same weight.
    items = ordered = [2 * weight for weight in weights]
    levels = [items]
    for _ in range(limit - 1):
        packages = [(a & ~1) + (b & ~1) | 1 for a, b in zip(items[::2], items[1::2], strict=False)]
        items = sorted(ordered + packages)
        levels.append(items)
    lengths = bytearray(_SYMBOLS)
    taken = 2 * len(leaves) - 2
    for items in reversed(levels):
        packages_taken = sum(item & 1 for item in items[:taken])
        for _, symbol in leaves[: taken - packages_taken]:
            lengths[symbol] += 1
        taken = 2 * packages_taken
    return bytes(lengths)


def fano_lengths(counts: Sequence[int], limit: int = MAX_BITS) -> bytes:
    """The lengths of Shannon and Fano's code: the symbols, most frequent first, are parted again and again in two.

    A part ends where the sums of both differ least, the earlier where two places are equal, but neither part
    may have more symbols than words are left below `limit` bits. Ties in the order: the smaller symbol first.
    """
    check_counts(counts, limit)
    ordered = sorted((-count, symbol) for symbol, count in enumerate(counts) if count)
    sums = [0, *itertools.accumulate(-count for count, _ in ordered)]
    lengths = bytearray(_SYMBOLS)
    parts = [(0, len(ordered), 0)]
    while parts:
        start, end, depth = parts.pop()
        if end - start == 1:
            lengths[ordered[start][1]] = depth
            continue
        most = 1 << (limit - depth - 1)
        places = range(max(start + 1, end - most), min(end - 1, start + most) + 1)
        middle = sums[start] + sums[end]
        cut = min(places, key=lambda place: abs(2 * sums[place] - middle))
        parts += ((start, cut, depth + 1), (cut, end, depth + 1))
    return bytes(lengths)


def check_counts(counts: Sequence[int], limit: int) -> None:
    """A ValueError unless there are codes of at most `limit` bits for these counts, and a choice between
    them.
    """
    if len(counts) != _SYMBOLS or min(counts) < 0 or not 1 <= limit <= MAX_BITS:
        raise ValueError(f"needs {_SYMBOLS} counts and a limit from 1 to {MAX_BITS}")
    occurring = sum(1 for count in counts if count)
    if not 2 <= occurring <= 1 << limit:
        raise ValueError(f"no code of 1 to {limit} bits for {occurring} symbols")


def code_words(lengths: bytes) -> list[str]:
    """The canonical code: by length, then by symbol, counting up. Text of 0 and 1, "" for symbols without a
    word.
    """
    words = [""] * _SYMBOLS
    word = 0
    for length in range(1, MAX_BITS + 1):
        word <<= 1
        for symbol, own in enumerate(lengths):
            if own == length:
                words[symbol] = f"{word:0{length}b}"
                word += 1
    return words
