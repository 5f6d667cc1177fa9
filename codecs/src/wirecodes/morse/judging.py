"""Whether what was read is Morse, or something else that has tones and a rhythm: speech, music, a siren, a telephone. Pure.

A keyed tone is one tone that keeps its pitch, and keying it changes nothing at other frequencies. What is sent is
letters, of which few are rare, and not the same beep again and again. A regular beep is read as up to five equal
letters ("TTTTT"), or two words of one E or T, and as no Morse from there on: nothing else tells these apart.
"""

from __future__ import annotations

import cmath
import math
from array import array
from collections.abc import Sequence
from itertools import pairwise
from operator import mul
from typing import Protocol

#: Seconds at each edge of a mark in which other tones are not compared: a block of the spectrum has 32 ms on each side.
_EDGE = 0.02
#: Other tones are strong above this part of the power of the tone; overtones of a clipped one have 1/9.
_STRONG = 0.15
#: By how much strong ones may be more or less frequent in marks than in gaps, with at least so many seconds of gaps.
#: In noise of -9 dB it is 0.07.
_CHANGES = ((0.4, 0.25), (0.1, 0.5))
#: The purity of marks, frame by frame over some, by that of a steady tone in as much noise: real marks have 0.82.
_PURE, _PURE_FRAMES = 0.75, 25
#: Hertz by which the tone may change from mark to mark, and inside a mark; of most of them. Noise of -9 dB makes 10.
_SAME, _STEADY, _MOST = 12.0, 10.5, 0.6
#: So many marks tell whether the tone changes between them, and so pure ones do not glide.
_SEVERAL, _PLAIN = 4, 0.95
#: FollowedTone of the products that show the frequency.
_LAG = 2

#: So many letters say what the text is like, and so many words.
_ENOUGH, _WORDS = 6, 3
#: Letters of equal marks, which a regular beep is read as; so are prosigns.
_EQUAL = frozenset("EISH5TMO0")
#: The parts of it that may have no character, be E or T, and be rare; rare ones where lengths vary by so much only.
_UNKNOWN, _PLAINEST, _RARE = 1 / 3, 0.8, ((20, 0.18), (_ENOUGH, 0.4))
_UNSTEADY = 0.2
#: Tones that change from note to note make many passages of few letters: so many, of so few, and fewer on average.
_PASSAGES, _FEW_LETTERS, _FEWER = 3, 6, 4


class FollowedTone(Protocol):
    """A tone at frequency zero; see tone.ToneFrames."""

    seconds: float
    re: array[float]
    im: array[float]
    tone: array[float]
    noise: array[float]
    other: array[float]

    def __len__(self) -> int: ...


def is_keyed(frames: FollowedTone, marks: Sequence[tuple[float, float]]) -> bool:
    """Whether `marks`, in seconds, are pieces of one tone, and other tones do not come and go with them."""
    places = []
    for begin, end in marks:
        first = min(int(begin / frames.seconds) + 1, len(frames) - 1)
        places.append((first, min(max(int(end / frames.seconds), first + 1), len(frames))))
    if _others_change(frames, places):
        return False
    pure, usual = _purity(frames, places)
    if pure < _PURE * usual:
        return False
    between, inside = _pitches(frames, places)
    if len(places) >= _SEVERAL and between > _SAME:
        return False
    return inside <= _STEADY or pure >= _PLAIN


def is_text(words: Sequence[Sequence[str]], unsteady: float, unreadable: str) -> bool:
    """Whether somebody may have sent this; words are letters, `unsteady` is by how much the lengths of marks and gaps vary."""
    letters = [letter for word in words for letter in word]
    count = len(letters)
    if letters.count(unreadable) > _UNKNOWN * count:
        return False
    short = sum(letter in "ET" for letter in letters)
    beeps = len(set(letters)) == 1 and (letters[0] in _EQUAL or letters[0].startswith("<"))
    if beeps and (count >= _ENOUGH or (len(words) >= _WORDS and short == count)):
        return False
    if count >= _ENOUGH and short > _PLAINEST * count:
        return False
    rare = sum(not (letter.isascii() and letter.isalnum()) for letter in letters)
    return unsteady < _UNSTEADY or all(count < least or rare <= most * count for least, most in _RARE)


def few_letters(counts: Sequence[int]) -> int:
    """With so many letters or fewer a passage is none, where `counts` are those of all in the recording."""
    scattered = len(counts) >= _PASSAGES and sum(counts) < _FEWER * len(counts)
    return _FEW_LETTERS if scattered else 0


def unsteadiness(lengths: Sequence[tuple[float, int]]) -> float:
    """The deviation of the logarithms of lengths, from one to the next of the same kind."""
    last: dict[int, float] = {}
    squares = []
    for length, kind in lengths:
        value = math.log(max(length, 1e-4))
        if kind in last:
            squares.append(min(abs(value - last[kind]), 2.0) ** 2)
        last[kind] = value
    return math.sqrt(sum(squares) / len(squares) / 2) if squares else 0.0


def _power(frames: FollowedTone, first: int, last: int) -> float:
    re, im = frames.re[first:last], frames.im[first:last]
    total: float = sum(map(mul, re, re)) + sum(map(mul, im, im))
    return total


def _purity(frames: FollowedTone, marks: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The median over marks, and that of a steady tone in as much noise."""
    found, ratios = [], []
    for first, last in marks:
        pure = 0.0
        for begin in range(first, last, _PURE_FRAMES):
            end = min(begin + _PURE_FRAMES, last)
            re, im = sum(frames.re[begin:end]), sum(frames.im[begin:end])
            pure += (re * re + im * im) / (end - begin)
        power = max(_power(frames, first, last), 1e-9)
        found.append(pure / power)
        ratios.append(power / (last - first) / max(frames.noise[first], 1e-9))
    ratio = max(sorted(ratios)[len(ratios) // 2], 1.0)
    return sorted(found)[len(found) // 2], max(1 - 1 / ratio, 0.1)


def _pitches(frames: FollowedTone, marks: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """By how many hertz the tone changes from mark to mark, and inside a mark; of most marks."""
    pitches, changes = [], []
    hertz = 1 / (2 * math.pi * _LAG * frames.seconds)
    for first, last in marks:
        if last - first < 3 * _LAG:
            continue
        middle = (first + last) // 2
        early, late = _turn(frames, first, middle), _turn(frames, middle, last)
        pitches.append(cmath.phase(early + late) * hertz + frames.tone[middle])
        if last - first >= 8 * _LAG:
            changes.append(abs(cmath.phase(late) - cmath.phase(early)) * hertz)
    steps = sorted(abs(after - before) for before, after in pairwise(pitches))
    changes.sort()
    return (
        steps[int(_MOST * len(steps))] if steps else 0.0,
        changes[int(_MOST * len(changes))] if changes else 0.0,
    )


def _turn(frames: FollowedTone, first: int, last: int) -> complex:
    """Its phase is by how much the tone turns in _LAG frames, beyond the tone that is followed."""
    values = list(map(complex, frames.re[first:last], frames.im[first:last]))
    return sum((then * now.conjugate() for now, then in zip(values, values[_LAG:], strict=False)), 0j)


def _others_change(frames: FollowedTone, marks: Sequence[tuple[int, int]]) -> bool:
    """Whether other tones are strong more often in marks than in gaps, or less often."""
    edge = int(_EDGE / frames.seconds)
    powers = sorted(_power(frames, first, last) / (last - first) for first, last in marks)
    least = _STRONG * powers[len(powers) // 2]
    inside: list[float] = []
    between: list[float] = []
    before = 0
    for first, last in marks:
        between += frames.other[before : max(before, first - edge)]
        middle = (first + last) // 2
        inside += frames.other[min(first + edge, middle) : max(last - edge, middle + 1)]
        before = last + edge
    between += frames.other[before:]
    shares = [sum(power > least for power in part) / max(1, len(part)) for part in (inside, between)]
    seconds = len(between) * frames.seconds
    most = next((most for gaps, most in _CHANGES if seconds >= gaps), 1.0)
    return abs(shares[0] - shares[1]) > most
