"""From the loudness of a tone to letters: when the key was down, how long a unit is, and what that spells.

The unit is the one that fits best: signals of 1 or 3 units, gaps of 1 inside letters. Gaps between letters
and words are measured by a separate unit, because Farnsworth timing makes them longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from wirecodes.morse.alphabet import SYMBOLS

#: Units tried, in seconds: 100 to 4 words a minute, in steps of 2 %.
_SHORTEST, _LONGEST, _STEP = 0.012, 0.3, 1.02
#: Where a number of units is as near to one meaning as to the other: the geometric mean of 1 and 3, and of 3
#: and 7.
_DASH = math.sqrt(1 * 3)
_WORD = math.sqrt(3 * 7)
#: The speed that is likelier where signals do not tell (TTT sent slowly is S sent fast): counts as much as
#: this part of one signal's misfit.
_USUAL_UNIT = 0.06
_PRIOR = 0.05
#: Farnsworth's gaps are at most so many times their normal length.
_WIDEST = 30.0
#: A gap that is off by more than this factor is a pause, which says no more about the length of gaps.
_PAUSE = 2.0
#: What a code that is not in the alphabet is read as.
UNREADABLE = "?"

#: A signal or a gap: whether the key was down, and for how many seconds.
Stretch = tuple[bool, float]


def stretches(levels: Sequence[float], threshold: float, frame: float) -> list[Stretch]:
    """Where the level crosses the threshold, between frames by interpolation."""
    crossings: list[float] = [0.0]
    down = bool(levels) and levels[0] >= threshold
    first = down
    for index in range(1, len(levels)):
        if (levels[index] >= threshold) != down:
            before, after = levels[index - 1], levels[index]
            crossings.append(index - 1 + (threshold - before) / (after - before))
            down = not down
    crossings.append(float(len(levels)))
    lengths = [(end - begin) * frame for begin, end in pairwise(crossings)]
    return [(first == (index % 2 == 0), length) for index, length in enumerate(lengths)]


def without_glitches(found: Iterable[Stretch], shortest: float) -> list[Stretch]:
    """Stretches too short to be meant join what is before them, and what is after them if that is the same
    again.
    """
    kept: list[Stretch] = []
    for down, length in found:
        if kept and (length < shortest or kept[-1][0] == down):
            kept[-1] = (kept[-1][0], kept[-1][1] + length)
        else:
            kept.append((down, length))
    return kept


def find_unit(found: Iterable[Stretch]) -> float:
    """The unit in seconds that signals, and gaps inside letters, fit best."""
    signals = [math.log(length) for down, length in found if down]
    gaps = [math.log(length) for down, length in found if not down]
    three = math.log(3)

    def misfit(unit: float) -> float:
        zero = math.log(unit)
        total = _PRIOR * (zero - math.log(_USUAL_UNIT)) ** 2
        for signal in signals:
            total += min(abs(signal - zero), abs(signal - zero - three)) ** 2
        for gap in gaps:
            if gap - zero < math.log(_DASH):
                total += (gap - zero) ** 2
        return total

    return _best(misfit, _SHORTEST, _LONGEST)


def find_gap_unit(found: Iterable[Stretch], unit: float) -> float:
    """What gaps between letters have three of and gaps between words seven."""
    gaps = [math.log(length) for down, length in found if not down and length > _DASH * unit]
    three, seven, pause = math.log(3), math.log(7), math.log(_PAUSE)

    def misfit(candidate: float) -> float:
        zero = math.log(candidate)
        total = _PRIOR * (zero - math.log(unit)) ** 2
        for gap in gaps:
            total += min(abs(gap - zero - three), abs(gap - zero - seven), pause) ** 2
        return total

    return _best(misfit, unit, _WIDEST * unit)


def _best(misfit: Callable[[float], float], low: float, high: float) -> float:
    steps = math.ceil(math.log(high / low) / math.log(_STEP))
    return min((low * _STEP**step for step in range(steps + 1)), key=misfit)


def spell(found: Sequence[Stretch], unit: float, gap_unit: float) -> str:
    """The text: a code that is not in the alphabet is UNREADABLE."""
    written = "".join(_mark(down, length, unit, gap_unit) for down, length in found)
    words = [word.split() for word in written.split("/")]
    return " ".join("".join(SYMBOLS.get(code, UNREADABLE) for code in word) for word in words if word)


def _mark(down: bool, length: float, unit: float, gap_unit: float) -> str:
    if down:
        return "-" if length > _DASH * unit else "."
    if length <= math.sqrt(unit * 3 * gap_unit):
        return ""
    return "/" if length > _WORD * gap_unit else " "
