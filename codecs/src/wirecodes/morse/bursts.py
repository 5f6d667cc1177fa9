"""Bursts of noise (lightning, clicks of switches), which are found by their width and blanked, so that what is
sent beside and between them is heard. Pure.

A tone stands in few bins of a spectrum, a burst in all around. So a block is struck by a burst where the bins beside
the tone have far more power than usual, and not far less than the tone's own.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Protocol

#: The bins beside a tone, by their distance: nearer ones have parts of the tone itself.
_NEAR, _FAR = 3, 9
#: The power of a burst by the usual one, and by that of the tone. Fast keying puts a tenth of a tone beside it.
_BURST, _BESIDE = 8.0, 0.15
#: Weaker ones, by the tone's power, do no harm; what is sent without noise puts less than that beside its edges.
_WEAK = 0.07
#: Where more of all blocks are struck, it is no burst.
_MOST = 0.8
#: The quantile over time that is the usual power.
_USUAL = 0.3
#: A frame is blanked where its power is so many times that of the strong frames without a burst.
_STRONG, _STRIKING = 0.9, 3.0
#: So few frames in a burst may be weak by chance.
_MISSING = 10
#: So few frames are bridged.
_BRIDGED = 10
#: Squares of places times this angle are phases without an order, as those of noise.
_TURN = math.pi * (math.sqrt(5) - 1)


class KeyedTone(Protocol):
    """A tone at frequency zero, frame by frame."""

    re: array[float]
    im: array[float]
    noise: array[float]


def bursts(rows: Sequence[array[float]], path: Sequence[int], size: int) -> list[bool]:
    """Which blocks are struck; `rows` have a bin more than the path's on each side, `size` blocks have the same noise."""
    beside = [_beside(row, place + 1) for row, place in zip(rows, path, strict=True)]
    least = [_BESIDE * row[place + 1] for row, place in zip(rows, path, strict=True)]
    tone = max((power for power, by in zip(least, beside, strict=True) if power >= by), default=0.0)
    parts = max(1, round(len(rows) / size))
    struck: list[bool] = []
    for part in range(parts):
        first, last = len(rows) * part // parts, len(rows) * (part + 1) // parts
        usual = sorted(beside[first:last])[int(_USUAL * (last - first))]
        lowest = max(_BURST * usual, _WEAK * tone)
        struck += [beside[k] > max(lowest, least[k]) for k in range(first, last)]
    struck = [any(struck[max(0, k - 1) : k + 2]) for k in range(len(struck))]
    return struck if sum(struck) <= _MOST * len(struck) else [False] * len(struck)


def _beside(row: array[float], place: int) -> float:
    """The median power beside a bin."""
    around = row[max(0, place - _FAR) : max(0, place - _NEAR)] + row[place + _NEAR + 1 : place + _FAR + 1]
    return sorted(around)[len(around) // 2]


def blank(frames: KeyedTone, struck: Sequence[bool]) -> None:
    """Bridge or silence what of the struck frames is far stronger than all others."""
    powers = [re * re + im * im for re, im in zip(frames.re, frames.im, strict=True)]
    others = sorted(power for power, by_burst in zip(powers, struck, strict=True) if not by_burst)
    most = _STRIKING * others[int(_STRONG * len(others))] if others else 0.0
    strong = [k for k, by_burst in enumerate(struck) if by_burst and powers[k] > most]
    for begin, end in _runs(strong):
        if end - begin <= _BRIDGED and begin and end < len(powers):
            _bridge(frames.re, begin, end)
            _bridge(frames.im, begin, end)
        else:
            _silence(frames, begin, end)


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """From the first place to behind the last one of each run; some are missing in the middle of a burst."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and place - runs[-1][1] < _MISSING:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _bridge(values: array[float], begin: int, end: int) -> None:
    before, after = values[begin - 1], values[end]
    for place in range(begin, end):
        values[place] = before + (after - before) * (place - begin + 1) / (end - begin + 1)


def _silence(frames: KeyedTone, begin: int, end: int) -> None:
    """What stands for noise of the usual power: silence would look as if there was none elsewhere."""
    for place in range(begin, end):
        size, angle = math.sqrt(frames.noise[place]), _TURN * place * place
        frames.re[place], frames.im[place] = size * math.cos(angle), size * math.sin(angle)
