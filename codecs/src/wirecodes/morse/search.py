"""Morse in noise: the likeliest text is looked for, not the marks one by one.

A mark is worth the logarithm of its likelihood ratio against noise alone: for a tone of known level and unknown
phase, ln I0(2 |sum of a z|) - sum of a**2, with z the sound by the noise and a the level expected (H. L. Van Trees,
Detection, Estimation, and Modulation Theory I, 4.4). Marks and gaps cost the more the less usual their lengths are,
and letters by how rare they are. Viterbi's algorithm over the tree of all codes finds the text with the highest
sum; this is a hidden semi-Markov model (K. Murphy, 2002). Level, noise and unit come from what was found before.
"""

from __future__ import annotations

import cmath
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from wirecodes.kernel import likeliest
from wirecodes.morse.letters import WORD_SHARE, code_tree
from wirecodes.morse.tone import ToneFrames

#: Seconds searched at once, and how many of them only show how the text goes on.
_CHUNK, _AHEAD = 40.0, 6.0
#: Units tried, in seconds: 50 to 8 words a minute.
_UNITS = [0.024 * 1.17**k for k in range(12)]
#: Steps of a unit: while the unit is looked for, and when it is known.
_COARSE, _FINE = 4, 8
#: The standard deviation of each length, as part of it, and in steps by their rounding.
_JITTER, _ROUNDING = 0.105, 0.35
#: No length is further off than this, in standard deviations; any longer gap is a pause.
_FARTHEST = 3.3
_PAUSE_COST = 6.0
#: The lengths of dots, dashes, and gaps inside letters, between letters and between words.
_LENGTHS = (1, 3, 1, 3, 7)
#: Seconds of the blocks whose turns show the tone's exact frequency, and over which it is taken to be the same.
_TURN_BLOCK, _TURN_STEADY = 0.02, 2.0
#: Searches in one chunk at most, each with the model that the one before gave.
_ROUNDS = 3
#: Models that differ by less than these parts are near.
_NEAR_UNIT, _NEAR_LEVEL = 0.03, 0.1
#: Marks are lighter or heavier than usual by so much of a unit at most.
_MOST_WEIGHT = 0.3
#: The energy of a dot by the noise's density: below, too much is read wrongly (-12 dB at 20 words a minute).
LEAST_ENERGY = 13.0
#: What a text is worth at least, and its marks on average; and how loud a word is at least, by the level.
_LEAST_SCORE, _LEAST_WORTH = 25.0, 6.0
_LEAST_PART = 0.55


@dataclass(frozen=True)
class Found:
    """A mark: its first frame, the frame after it, whether it is a dash, and the gap before it.

    That is 0 inside a letter, 1 between letters, 2 between words.
    """

    begin: int
    end: int
    dash: bool
    gap: int


@dataclass(frozen=True)
class Model:
    """A sender: seconds of a unit, the level of its marks, and by how much of a unit marks are longer, gaps shorter."""

    unit: float
    level: float
    weight: float = 0.0

    def near(self, other: Model) -> bool:
        """Whether what one finds will be what the other does."""
        return (
            abs(math.log(self.unit / other.unit)) < _NEAR_UNIT
            and abs(self.weight - other.weight) < _NEAR_UNIT
            and abs(self.level - other.level) < _NEAR_LEVEL * other.level
        )


class Search:
    """The search in one passage."""

    def __init__(self, frames: ToneFrames) -> None:
        self._frames = frames
        values = _steadied(frames)
        self._re = [0.0, *accumulate(value.real for value in values)]
        self._im = [0.0, *accumulate(value.imag for value in values)]
        self._noise = [0.0, *accumulate(frames.noise)]

    def run(self) -> list[Found]:
        """The marks."""
        size = round(_CHUNK / self._frames.seconds)
        model = self._first_model(size)
        if model is None:
            return []
        found: list[Found] = []
        start, count = 0, len(self._frames)
        while start < count:
            end = min(start + size, count)
            marks, model = self._chunk(start, end, model)
            if end < count:
                marks, start = self._settled(marks, start, end)
            else:
                start = count
            if found and marks:
                gap = (marks[0].begin - found[-1].end) * self._frames.seconds
                marks[0] = replace(marks[0], gap=2 if gap > 5 * model.unit else 1)
            found += marks
        return found

    def _settled(self, marks: list[Found], start: int, end: int) -> tuple[list[Found], int]:
        """The letters that what follows cannot change any more, and where to go on."""
        latest = end - round(_AHEAD / self._frames.seconds)
        letters = [k for k, mark in enumerate(marks) if mark.gap and start < mark.begin <= latest]
        if not letters or letters[-1] == 0:
            return [], max(latest, start + 1)
        last = letters[-1]
        return marks[:last], (marks[last - 1].end + marks[last].begin) // 2

    def _chunk(self, start: int, end: int, model: Model) -> tuple[list[Found], Model]:
        """The marks, found again with the level and the unit of those that were found first."""
        for _ in range(_ROUNDS):
            before = model
            score, marks = self._search(start, end, model, _FINE)
            if score < max(_LEAST_SCORE, _LEAST_WORTH * len(marks)):
                return [], model
            model = self._refined(marks, model)
            if model.near(before):
                break
        return self._sure(marks, model), model

    def _first_model(self, size: int) -> Model | None:
        """The unit of the likeliest text in the loudest chunk, and its level."""
        count = len(self._frames)
        width = max(1, round(0.02 / self._frames.seconds))
        starts = range(0, max(1, count - size // 2), size // 2)
        start = max(starts, key=lambda start: self._power(start, min(count, start + size // 2), width))
        end = min(count, start + size // 2)
        best, best_score = None, _LEAST_SCORE
        for unit in _UNITS:
            model = Model(unit, self._level(start, end, unit))
            score, _ = self._search(start, end, model, _COARSE)
            if score > best_score:
                best, best_score = model, score
        return best

    def _power(self, start: int, end: int, width: int) -> float:
        total = 0.0
        for first in range(start, end - width, width):
            total += self._square(first, first + width) / width
        return total / max(1, end - start)

    def _square(self, first: int, last: int) -> float:
        """The squared size of the sum of frames."""
        return (self._re[last] - self._re[first]) ** 2 + (self._im[last] - self._im[first]) ** 2

    def _level(self, start: int, end: int, unit: float) -> float:
        """The level of marks, if at least a quarter of the time is marks."""
        width = max(1, round(unit / self._frames.seconds))
        powers = sorted(
            self._square(first, first + width) / width**2
            for first in range(start, end - width, max(1, width // 2))
        )
        if not powers:
            return 0.0
        noise = (self._noise[end] - self._noise[start]) / (end - start)
        return math.sqrt(max(powers[int(0.85 * len(powers))] - noise / width, 0.0))

    def _search(self, start: int, end: int, model: Model, steps: int) -> tuple[float, list[Found]]:
        size = max(1, round(model.unit / steps / self._frames.seconds))
        edges = range(start, end + 1, size)
        if len(edges) < 2:
            return 0.0, []
        noise = max((self._noise[end] - self._noise[start]) / (end - start), 1e-9)
        level = max(model.level, math.sqrt(LEAST_ENERGY * noise * self._frames.seconds / model.unit))
        factor = level / noise
        re, im = (
            array("d", [(sums[b] - sums[a]) * factor for a, b in pairwise(edges)])
            for sums in (self._re, self._im)
        )
        square = array("d", [size * level * factor]) * len(re)
        costs, firsts = _costs(model.unit / self._frames.seconds / size, model.weight)
        score, marks = likeliest((re, im, square), code_tree(), costs, firsts)
        dashes = code_tree()[1]
        return score, [
            Found(edges[first], edges[last], bool(dashes[node]), 2 if gap == 3 else gap)
            for first, last, node, gap in marks
        ]

    def _refined(self, marks: Sequence[Found], model: Model) -> Model:
        """The unit by the sum of all lengths, the level by the power of the marks, the weight by their lengths."""
        total = units = more = 0.0
        power = frames = 0.0
        noise = (self._noise[-1]) / len(self._frames)
        for number, mark in enumerate(marks):
            length = mark.end - mark.begin
            total += length
            units += 3 if mark.dash else 1
            more += length * self._frames.seconds / model.unit - (3 if mark.dash else 1)
            power += self._square(mark.begin, mark.end) / length - noise
            frames += length
            if number and mark.gap < 2:
                total += mark.begin - marks[number - 1].end
                units += 3 if mark.gap else 1
        unit = total * self._frames.seconds / units
        weight = more / len(marks) - (unit / model.unit - 1)
        return Model(
            max(0.8, min(1.25, unit / model.unit)) * model.unit,
            math.sqrt(max(power / frames, 0.0)),
            max(-_MOST_WEIGHT, min(_MOST_WEIGHT, weight)),
        )

    def _sure(self, marks: list[Found], model: Model) -> list[Found]:
        """Without words whose marks are much weaker than the level, as those that noise alone makes are."""
        noise = max(self._noise[-1] / len(self._frames), 1e-9)
        if model.level**2 * model.unit / self._frames.seconds < LEAST_ENERGY * noise:
            return []
        kept: list[Found] = []
        starts = [k for k, mark in enumerate(marks) if not k or mark.gap == 2]
        for first, last in zip(starts, [*starts[1:], len(marks)], strict=True):
            word = marks[first:last]
            sent = sum(model.level * (mark.end - mark.begin) for mark in word)
            got = sum(math.sqrt(self._square(mark.begin, mark.end)) for mark in word)
            if got >= _LEAST_PART * sent:
                kept += word
        return kept


def _steadied(frames: ToneFrames) -> list[complex]:
    """The frames turned back by what is left of the tone's frequency: the mean turn from one short block to the next.

    Half a hertz is enough that a dash at 20 words a minute is as strong as it can be.
    """
    size = max(1, round(_TURN_BLOCK / frames.seconds))
    values = [complex(re, im) for re, im in zip(frames.re, frames.im, strict=True)]
    blocks = [sum(values[first : first + size]) for first in range(0, len(values), size)]
    products = [after * before.conjugate() for before, after in pairwise(blocks)]
    decay = math.exp(-size * frames.seconds / _TURN_STEADY)
    sums = [0j] * len(products)
    for order in (range(len(products)), range(len(products) - 1, -1, -1)):
        kept = 0j
        for k in order:
            kept = kept * decay + products[k]
            sums[k] += kept
    out: list[complex] = []
    turned = 0.0
    for k in range(len(blocks)):
        turn = cmath.phase(sums[min(k, len(sums) - 1)]) if sums else 0.0
        for j, value in enumerate(values[k * size : (k + 1) * size]):
            out.append(value * cmath.exp(-1j * (turned + turn * j / size)))
        turned += turn
    return out


def _costs(unit: float, weight: float = 0.0) -> tuple[tuple[list[float], ...], tuple[int, ...]]:
    """The costs of the lengths of each kind in steps, and the shortest of each."""
    shares = (0.0, 0.0, 0.0, -math.log(1 - WORD_SHARE), -math.log(WORD_SHARE))
    costs, firsts = [], []
    for kind, (length, share) in enumerate(zip(_LENGTHS, shares, strict=True)):
        mean = (length + (weight if kind < 2 else -weight)) * unit
        deviation = math.sqrt((_JITTER * length * unit) ** 2 + _ROUNDING**2)
        first = max(1, math.floor(mean - _FARTHEST * deviation))
        last = math.ceil(mean + _FARTHEST * deviation)
        usual = math.log(deviation * math.sqrt(2 * math.pi)) + share
        costs.append([usual + 0.5 * ((k - mean) / deviation) ** 2 for k in range(first, last + 1)])
        firsts.append(first)
    costs[4] = [min(cost, _PAUSE_COST) for cost in costs[4]]
    return tuple(costs), tuple(firsts)
