"""From the lengths of marks and gaps to dots, dashes, letters and words.

Marks have two lengths and gaps three, which a sender chooses freely within bounds (weighting, spacing, Farnsworth's
wide gaps). So the lengths are put into groups, and no ratio is taken for granted: in each stretch of some forty
marks all ways to part the sorted lengths are tried, and the likeliest is kept. The likelihood is that of
log-normal groups with a common spread, times a prior for their ratios and for the speed (maximum a posteriori).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from wirecodes.morse.alphabet import SYMBOLS

#: Marks in a stretch, and from one stretch to the next.
_STRETCH, _HOP = 40, 20
#: The least ratios of groups, and the greatest of a dash to a dot, as logarithms.
_LEAST_DASH, _GREATEST_DASH = math.log(1.6), math.log(8)
_LEAST_LETTER, _LEAST_WORD = math.log(1.5), math.log(1.35)
#: A gap longer than this by a word's is a pause, which says nothing about the length of gaps.
_PAUSE = math.log(1.8)
_PAUSE_COST = 3.5
#: The lengths of dots in seconds: 100 words a minute and lightly keyed, one word a minute and heavily keyed.
_SHORTEST, _LONGEST = math.log(0.006), math.log(2.0)
#: The usual length of a dot, 20 words a minute, and what a length e times that costs: where nothing else tells.
_USUAL, _UNUSUAL = math.log(0.06), 1.5
#: How often gaps are inside letters, between letters and between words, as costs; few gaps may be of any kind.
_SHARES = (-math.log(0.6), -math.log(0.27), -math.log(0.13))
_MANY_GAPS = 16
#: What is known about the spread before: as much as so many marks with this deviation of the logarithm.
_KNOWN, _SPREAD = 4, 0.06
#: A code that is not in the alphabet.
_NO_CODE = 3.0
#: Ways of each stretch that are compared with those of its neighbours, and what a change by e costs, and any.
_WAYS, _CHANGE, _NEW_SENDER = 5, 3.0, 8.0

_THREE, _SEVEN = math.log(3), math.log(7)


@dataclass(frozen=True)
class Groups:
    """The logarithms of the lengths of dots, dashes and the three gaps; lower `cost` is likelier."""

    cost: float
    marks: tuple[float, float]
    gaps: tuple[float, float, float]
    spread: tuple[float, float]

    def is_dash(self, mark: float) -> bool:
        return mark > _between(*self.marks)

    def gap_kind(self, gap: float) -> int:
        """0 inside a letter, 1 between letters, 2 between words."""
        inner, letter, word = self.gaps
        return (gap > _between(inner, letter)) + (gap > _between(letter, word))


def _between(one: float, other: float) -> float:
    """The logarithm of the harmonic mean: as many deviations from both, where these are in proportion to the lengths."""
    return math.log(2) - math.log(math.exp(-one) + math.exp(-other))


@dataclass(frozen=True)
class _Split:
    """One way to part lengths into groups: their means, None for none, and what it costs."""

    cost: float
    means: tuple[float | None, ...]
    spread: float


class _Sorted:
    """Logarithms of lengths in order, with sums that give the mean and the deviation of any part at once."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = sorted(values)
        self._sums = [0.0, *accumulate(self.values)]
        self._squares = [0.0, *accumulate(value * value for value in self.values)]

    def mean(self, first: int, last: int) -> float | None:
        return (self._sums[last] - self._sums[first]) / (last - first) if last > first else None

    def deviation(self, first: int, last: int) -> float:
        """The sum of squares of the distances from the mean."""
        if last - first < 2:
            return 0.0
        total = self._sums[last] - self._sums[first]
        return max(0.0, self._squares[last] - self._squares[first] - total * total / (last - first))


def _fit(deviation: float, count: int) -> tuple[float, float]:
    """The cost of a common spread of `count` lengths, and that spread."""
    variance = (deviation + _KNOWN * _SPREAD**2) / (count + _KNOWN)
    return 0.5 * (count + _KNOWN) * math.log(variance), math.sqrt(variance)


def _mark_splits(marks: Sequence[float]) -> list[_Split]:
    found = []
    lengths = _Sorted(marks)
    count = len(marks)
    for dots in range(count + 1):
        dot, dash = lengths.mean(0, dots), lengths.mean(dots, count)
        prior = 0.0
        if dot is not None and dash is not None:
            if not _LEAST_DASH <= dash - dot <= _GREATEST_DASH:
                continue
            prior = 0.5 * ((dash - dot - _THREE) / 0.35) ** 2
        cost, spread = _fit(lengths.deviation(0, dots) + lengths.deviation(dots, count), count)
        found.append(_Split(cost + prior, (dot, dash), spread))
    return sorted(found, key=lambda split: split.cost)[:6]


def _gap_splits(gaps: Sequence[float]) -> list[_Split]:
    found = []
    lengths = _Sorted(gaps)
    count = len(gaps)
    ends = [bisect_right(lengths.values, value + _PAUSE) for value in lengths.values] + [count]
    for inner in range(count + 1):
        gap = lengths.mean(0, inner)
        inner_deviation = lengths.deviation(0, inner)
        for letters in range(inner, count + 1):
            letter = lengths.mean(inner, letters)
            if gap is not None and letter is not None and letter - gap < _LEAST_LETTER:
                continue
            end = ends[letters]
            word = lengths.mean(letters, end)
            if word is not None and (
                (letter is not None and word - letter < _LEAST_WORD)
                or (letter is None and gap is not None and word - gap < _LEAST_LETTER)
            ):
                continue
            deviation = inner_deviation + lengths.deviation(inner, letters) + lengths.deviation(letters, end)
            cost, spread = _fit(deviation, end)
            shares = inner * _SHARES[0] + (letters - inner) * _SHARES[1] + (end - letters) * _SHARES[2]
            cost += shares * min(1.0, count / _MANY_GAPS)
            found.append(_Split(cost + (count - end) * _PAUSE_COST, (gap, letter, word), spread))
    return sorted(found, key=lambda split: split.cost)[:24]


def _joined(marks: _Split, gaps: _Split) -> Groups | None:
    """The groups of both, with those that are missing put in by the usual ratios; the prior of how they fit."""
    dot, dash = marks.means
    if dot is None:
        dot = (dash or 0.0) - _THREE
    if not _SHORTEST <= dot <= _LONGEST:
        return None
    gap, letter, word = gaps.means
    cost = marks.cost + gaps.cost + _UNUSUAL * abs(dot - _USUAL)
    cost += 0.0 if gap is None else 0.5 * ((gap - dot) / 0.5) ** 2
    inner = dot if gap is None else gap
    if letter is not None:
        cost += _wide(letter - inner - _THREE)
        if word is not None:
            cost += 0.5 * ((word - letter - _SEVEN + _THREE) / 0.3) ** 2
    elif word is not None:
        cost += _wide(word - inner - _SEVEN)
    if letter is None:
        letter = inner + _THREE if word is None else max(word - _SEVEN + _THREE, inner + _LEAST_LETTER)
    if word is None:
        word = letter + _SEVEN - _THREE
    dash = dot + _THREE if dash is None else dash
    return Groups(cost, (dot, dash), (inner, letter, word), (marks.spread, gaps.spread))


def _wide(more: float) -> float:
    """What it costs that gaps are e**more times their usual length: longer ones are common (Farnsworth)."""
    return 0.5 * (more / 0.22) ** 2 if more < 0 else min(more / 0.6, 4.0)


def _ways(marks: Sequence[float], gaps: Sequence[float]) -> list[Groups]:
    """The likeliest groups of a stretch, best first."""
    found = []
    gap_splits = _gap_splits(gaps)
    for mark_split in _mark_splits(marks):
        for gap_split in gap_splits:
            groups = _joined(mark_split, gap_split)
            if groups is not None:
                found.append(groups)
    found.sort(key=lambda groups: groups.cost)
    checked = []
    for groups in found[: 4 * _WAYS]:
        cost = groups.cost + _NO_CODE * _wrong(marks, gaps, groups)
        checked.append(replace(groups, cost=cost))
    return sorted(checked, key=lambda groups: groups.cost)[:_WAYS]


def _change(one: Groups, other: Groups) -> float:
    change = sum(abs(a - b) for a, b in zip(one.marks + one.gaps, other.marks + other.gaps, strict=True))
    return min(_CHANGE * change, _NEW_SENDER)


def _smooth(choices: Sequence[Sequence[Groups]]) -> list[Groups]:
    """One of each stretch's ways, so that they change little from stretch to stretch (Viterbi's algorithm)."""
    best = [groups.cost for groups in choices[0]]
    sources: list[list[int]] = []
    for before, now in pairwise(choices):
        totals = [[best[k] + _change(old, new) for k, old in enumerate(before)] for new in now]
        sources.append([min(range(len(row)), key=row.__getitem__) for row in totals])
        best = [min(row) + new.cost for row, new in zip(totals, now, strict=True)]
    k = min(range(len(best)), key=best.__getitem__)
    path = [choices[-1][k]]
    for number in range(len(sources) - 1, -1, -1):
        k = sources[number][k]
        path.append(choices[number][k])
    return path[::-1]


def grouped(marks: Sequence[float], gaps: Sequence[float]) -> list[Groups]:
    """The groups at each mark, from the logarithms of lengths; `gaps` are between marks. Empty if none fit."""
    starts = list(range(0, max(1, len(marks) - _HOP), _HOP))
    ends = [min(start + _STRETCH, len(marks)) for start in starts]
    ends[-1] = len(marks)
    choices = [
        _ways(marks[start:end], gaps[start : end - 1]) for start, end in zip(starts, ends, strict=True)
    ]
    if not all(choices):
        return []
    path = _smooth(choices)
    reach = [(max(0, start - _HOP), end + _HOP) for start, end in zip(starts, ends, strict=True)]
    return _assigned(marks, gaps, path, reach)


def _assigned(
    marks: Sequence[float], gaps: Sequence[float], path: Sequence[Groups], reach: Sequence[tuple[int, int]]
) -> list[Groups]:
    """Which stretch's groups hold for each mark: in their order, and so that all lengths fit best."""
    costs: list[dict[int, tuple[float, int]]] = []
    for number, mark in enumerate(marks):
        row: dict[int, tuple[float, int]] = {}
        best: tuple[float, int] | None = None
        for k, groups in enumerate(path):
            first, last = reach[k]
            if costs and k in costs[-1] and (best is None or costs[-1][k][0] < best[0]):
                best = (costs[-1][k][0], k)
            if not first <= number < last or (costs and best is None):
                continue
            cost = _misfit(mark, groups.marks, groups.spread[0])
            if number < len(gaps):
                cost += _misfit(gaps[number], groups.gaps, groups.spread[1])
            before, source = best or (0.0, k)
            row[k] = (before + cost, source)
        costs.append(row)
    k = min(costs[-1], key=lambda k: costs[-1][k][0])
    chosen = []
    for row in reversed(costs):
        chosen.append(path[k])
        k = row[k][1]
    return chosen[::-1]


def _misfit(length: float, means: Sequence[float], spread: float) -> float:
    spread = max(spread, 0.05)
    nearest = min(abs(length - mean) for mean in means)
    return min(0.5 * (nearest / spread) ** 2, 8.0) + math.log(spread)


def _wrong(marks: Sequence[float], gaps: Sequence[float], groups: Groups) -> int:
    """How many letters have a code that is not in the alphabet."""
    code, wrong = "", 0
    for number, mark in enumerate(marks):
        code += "-" if groups.is_dash(mark) else "."
        if number == len(gaps) or groups.gap_kind(gaps[number]):
            wrong += code not in SYMBOLS
            code = ""
    return wrong
