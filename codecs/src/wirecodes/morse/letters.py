"""The tree of all codes, and the likeliest letters for the lengths of marks and gaps (Viterbi's algorithm)."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import cache

from wirecodes.morse.alphabet import CHARACTERS, SYMBOLS
from wirecodes.morse.rhythm import Groups

#: The share of gaps between letters that part words.
WORD_SHARE = 0.2
#: What no letter costs: as much as five deviations. Then a code of no character is read as what it is.
_UNKNOWN = 12.0
#: Deviations are at least this part of a length: no letter is worth a length that is plainly another.
_LEAST_SPREAD = 0.06
#: No length costs more.
_FARTHEST = 30.0
#: Readings that are so much costlier than the best are given up.
_HOPELESS = 40.0
#: Marks of a code that no letter begins with.
_OFF_DOT, _OFF_DASH = -1, -2


@cache
def code_tree() -> tuple[array[int], array[int], array[float]]:
    """Each code's beginning is a node: its parent, whether it ends in a dash, and what a letter costs there."""
    codes = sorted({code[:length] for code in SYMBOLS for length in range(1, len(code) + 1)}, key=len)
    place = {"": 0, **{code: number for number, code in enumerate(codes, 1)}}
    letters = [1e9]
    for code in codes:
        symbol = SYMBOLS.get(code)
        letters.append(1e9 if symbol is None else _rarity(symbol))
    parents = [0, *(place[code[:-1]] for code in codes)]
    return (
        array("i", parents),
        array("i", [0, *(code[-1] == "-" for code in codes)]),
        array("d", letters),
    )


def _rarity(symbol: str) -> float:
    """The cost of a symbol: letters have 80 % of all, figures 15 %; the rest is rare."""
    if symbol.isalpha():
        return -math.log(0.80 / 26)
    if symbol.isdigit():
        return -math.log(0.15 / 10)
    return -math.log(0.05 / 20) if symbol in CHARACTERS else -math.log(0.005 / 6)


@cache
def _children() -> dict[tuple[int, bool], int]:
    parents, dashes, _ = code_tree()
    return {(parents[node], bool(dashes[node])): node for node in range(1, len(parents))}


#: For a node, what the best reading up to it costs, the node of the mark before, and the gap between them.
_Row = dict[int, tuple[float, int, int]]


def lettered(
    marks: Sequence[float], gaps: Sequence[float], groups: Sequence[Groups]
) -> list[tuple[bool, int]]:
    """For each mark whether it is a dash, and the gap before it; from the logarithms of lengths.

    The gap is 0 inside a letter, 1 between letters, 2 between words and before the first.
    """
    rows: list[_Row] = []
    starts: _Row = {0: (0.0, 0, 2)}
    for number, mark in enumerate(marks):
        now = groups[number]
        if number:
            starts = _starts(rows[-1], _gap_costs(gaps[number - 1], now))
        rows.append(_ends(starts, [_cost(mark, mean, now.spread[0]) for mean in now.marks]))
    dashes = code_tree()[1]
    node = min(rows[-1], key=lambda node: rows[-1][node][0] + _letter_cost(node))
    found = []
    for row in reversed(rows):
        _, before, gap = row[node]
        found.append((bool(dashes[node]) if node > 0 else node == _OFF_DASH, gap))
        node = before
    return found[::-1]


def _cost(length: float, mean: float, spread: float) -> float:
    """Lengths are normal, with deviations in proportion to them."""
    spread = max(spread, _LEAST_SPREAD)
    return min(0.5 * ((math.exp(length - mean) - 1) / spread) ** 2, _FARTHEST) + mean


def _gap_costs(gap: float, groups: Groups) -> tuple[float, float, float]:
    inner, letter, word = (_cost(gap, mean, groups.spread[1]) for mean in groups.gaps)
    if gap > groups.gaps[2]:
        word = groups.gaps[2]
    return inner, letter - math.log(1 - WORD_SHARE), word - math.log(WORD_SHARE)


def _letter_cost(node: int) -> float:
    """What a letter costs that ends here."""
    return min(code_tree()[2][node], _UNKNOWN) if node > 0 else _UNKNOWN


def _starts(row: _Row, gaps: tuple[float, float, float]) -> _Row:
    """Where the next mark may begin: inside each letter, or at the root."""
    least = min(cost for cost, _, _ in row.values())
    found: _Row = {
        node: (cost + gaps[0], node, 0) for node, (cost, _, _) in row.items() if cost < least + _HOPELESS
    }
    last = min(row, key=lambda node: row[node][0] + _letter_cost(node))
    kind = 1 if gaps[1] <= gaps[2] else 2
    found[0] = (row[last][0] + _letter_cost(last) + gaps[kind], last, kind)
    return found


def _ends(starts: _Row, costs: Sequence[float]) -> _Row:
    """Each place where a mark may begin, with a dot and with a dash."""
    children = _children()
    found: _Row = {}
    for node, (cost, before, gap) in starts.items():
        for dash in (False, True):
            child = children.get((node, dash), _OFF_DASH if dash else _OFF_DOT)
            value = cost + costs[dash]
            if child not in found or value < found[child][0]:
                found[child] = (value, before, gap)
    return found
