"""Prefix codes for symbols with given counts, in any radix from 2 to 10, without a limit on their length: for studying them.

What the codec `huffman` writes has the same construction in blocks and with words of at most 12 bits.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping

#: Words are written in decimal digits.
MAX_RADIX = 10

Lengths = dict[int, int]
Construction = Callable[[Mapping[int, int], int], Lengths]


def check_radix(radix: object) -> int:
    """The radix itself. Raises ValueError unless it is an integer from 2 to MAX_RADIX."""
    if isinstance(radix, bool) or not isinstance(radix, int) or not 2 <= radix <= MAX_RADIX:
        raise ValueError(f"the radix must be an integer from 2 to {MAX_RADIX}, not {radix!r}")
    return radix


def huffman_lengths(counts: Mapping[int, int], radix: int = 2) -> Lengths:
    """Huffman's construction: the `radix` least frequent become one, again and again.

    Dummy symbols that never occur make the number such that the last step joins `radix` too, else the
    shortest words would stay unused. Ties: the smaller symbol first, and symbols before what was joined.
    """
    if len(counts) == 1:
        return dict.fromkeys(counts, 1)
    lengths = dict.fromkeys(counts, 0)
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (count, order, (symbol,)) for order, (symbol, count) in enumerate(sorted(counts.items()))
    ]
    heap += [(0, -order, ()) for order in range(1, -(len(counts) - 1) % (radix - 1) + 1)]
    heapq.heapify(heap)
    order = len(counts)
    while len(heap) > 1:
        joined = [heapq.heappop(heap) for _ in range(radix)]
        symbols = tuple(itertools.chain.from_iterable(group for _, _, group in joined))
        for symbol in symbols:
            lengths[symbol] += 1
        heapq.heappush(heap, (sum(count for count, _, _ in joined), order, symbols))
        order += 1
    return lengths


def fano_lengths(counts: Mapping[int, int], radix: int = 2) -> Lengths:
    """Shannon and Fano's construction: most frequent first, parted again and again into `radix` parts of like sums.

    Part k ends where the sum so far is nearest to k / radix of the whole, the earlier place where two are as
    near.
    """
    ordered = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    if len(ordered) == 1:
        return {ordered[0]: 1}
    sums = [0, *itertools.accumulate(counts[symbol] for symbol in ordered)]
    lengths: Lengths = {}
    parts = [(0, len(ordered), 0)]
    while parts:
        start, end, depth = parts.pop()
        if end - start == 1:
            lengths[ordered[start]] = depth
        else:
            cuts = _cuts(sums, start, end, radix)
            parts += [(one, other, depth + 1) for one, other in itertools.pairwise(cuts)]
    return lengths


def _cuts(sums: list[int], start: int, end: int, radix: int) -> list[int]:
    """Where the parts of the symbols from `start` to `end` begin, and the end; none of them is empty."""
    parts = min(radix, end - start)
    cuts = [start]
    for part in range(1, parts):
        wanted = parts * sums[start] + part * (sums[end] - sums[start])
        places = range(cuts[-1] + 1, end - (parts - part) + 1)
        cuts.append(min(places, key=lambda place: abs(parts * sums[place] - wanted)))
    return [*cuts, end]


def code_words(lengths: Mapping[int, int], radix: int = 2) -> dict[int, str]:
    """The canonical code of these lengths: by length, then by symbol, counting up."""
    words: dict[int, str] = {}
    word = before = 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        word *= radix ** (length - before)
        before = length
        words[symbol] = _digits(word, length, radix)
        word += 1
    return words


def _digits(value: int, length: int, radix: int) -> str:
    digits = ""
    for _ in range(length):
        value, digit = divmod(value, radix)
        digits = str(digit) + digits
    return digits
