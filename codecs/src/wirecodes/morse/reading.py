"""From frames to passages: each is what was sent with one tone, as signals and the text that they spell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wirecodes.morse.alphabet import SYMBOLS
from wirecodes.morse.envelope import Envelope, Mark, envelope
from wirecodes.morse.judging import few_letters, is_keyed, is_text, unsteadiness
from wirecodes.morse.letters import lettered
from wirecodes.morse.rhythm import Groups, grouped
from wirecodes.morse.search import Search
from wirecodes.morse.tone import ToneFrames

#: What a code that is not in the alphabet is read as.
UNREADABLE = "\ufffd"
#: A mark alone is a letter only up to this length in seconds: a dash at one word a minute.
_LONGEST_ALONE = 3.8
#: Marks shorter than this in seconds are clicks: a dot at 100 words a minute has 12 ms.
_CLICK = 0.007
#: How pure the tone of marks is at least: the power of the mean of some frames by the mean power. Noise has 0.1 at most.
_PURE, _PURE_FRAMES = 0.4, 25
#: What is averaged is at most this part of a dot, and of the gap after it.
_RESOLVED = 0.6


@dataclass(frozen=True)
class Signal:
    """A dot or dash, in seconds from the first frame that was read, and the gap before it.

    The gap is 0 inside a letter, 1 between letters, 2 between words and before the first.
    """

    begin: float
    end: float
    dash: bool
    gap: int


@dataclass(frozen=True)
class Passage:
    signals: list[Signal]

    def until(self, seconds: float) -> Passage:
        """The part before that time."""
        return Passage([signal for signal in self.signals if signal.begin < seconds])

    def words(self) -> list[list[str]]:
        """Letter by letter; a code that is not in the alphabet is UNREADABLE."""
        words: list[list[str]] = []
        for signal in self.signals:
            if signal.gap == 2 or not words:
                words.append([])
            if signal.gap or not words[-1]:
                words[-1].append("")
            words[-1][-1] += "-" if signal.dash else "."
        return [[SYMBOLS.get(code, UNREADABLE) for code in word] for word in words]

    def text(self) -> str:
        return " ".join("".join(word) for word in self.words())

    def is_text(self) -> bool:
        """Whether somebody may have sent it."""
        marks = [(signal.end - signal.begin, int(signal.dash)) for signal in self.signals]
        gaps = [
            (after.begin - before.end, after.gap)
            for before, after in itertools.pairwise(self.signals)
            if after.gap < 2
        ]
        return is_text(self.words(), unsteadiness(marks) + unsteadiness(gaps), UNREADABLE)


def read(frames: ToneFrames) -> list[Passage]:
    """What was sent, tone by tone."""
    found = []
    counts = []
    places = [0, *frames.breaks, len(frames)]
    for first, last in itertools.pairwise(places):
        part = frames.part(first, last)
        signals = _signals(part)
        if not signals:
            continue
        start = first * frames.seconds
        passage = Passage([replace(s, begin=s.begin + start, end=s.end + start) for s in signals])
        counts.append(sum(map(len, passage.words())))
        if passage.is_text() and is_keyed(part, [(signal.begin, signal.end) for signal in signals]):
            found.append((counts[-1], passage))
    least = few_letters(counts)
    return [passage for count, passage in found if count > least]


def _signals(frames: ToneFrames) -> list[Signal]:
    clear = envelope(frames)
    if clear is not None:
        found = _clear(clear, frames)
        if found is not None:
            return found
    return [
        Signal(mark.begin * frames.seconds, mark.end * frames.seconds, mark.dash, mark.gap)
        for mark in Search(frames).run()
    ]


def _clear(found: Envelope, frames: ToneFrames) -> list[Signal] | None:
    """What is read from marks that stand well above the noise; None where they are too short to be seen well."""
    marks = found.marks
    if not _is_tone(marks, frames):
        return []
    lengths = [math.log(mark.length) for mark in marks]
    gaps = [math.log(gap) for gap in _gaps(marks)]
    groups = grouped(lengths, gaps)
    if not groups or found.width > _RESOLVED * _shortest(groups):
        return None
    kinds = lettered(lengths, gaps, groups)
    return [Signal(mark.begin, mark.end, dash, gap) for mark, (dash, gap) in zip(marks, kinds, strict=True)]


def _is_tone(marks: Sequence[Mark], frames: ToneFrames) -> bool:
    """Whether marks are pieces of a tone: not clicks, not bursts of noise, and not a carrier that is cut off."""
    whole = [mark for mark in marks if mark.length >= _CLICK]
    if len(whole) < len(marks) / 2:
        return False
    if len(marks) == 1:
        lasts = len(frames) * frames.seconds
        cut = marks[0].begin <= frames.seconds or marks[0].end >= lasts - frames.seconds
        if marks[0].length > _LONGEST_ALONE or cut:
            return False
    pure = power = 0.0
    for mark in whole:
        first, last = int(mark.begin / frames.seconds) + 1, int(mark.end / frames.seconds)
        for begin in range(first, last, _PURE_FRAMES):
            re, im = (
                frames.re[begin : min(begin + _PURE_FRAMES, last)],
                frames.im[begin : min(begin + _PURE_FRAMES, last)],
            )
            pure += (sum(re) ** 2 + sum(im) ** 2) / len(re)
            power += sum(value * value for value in re) + sum(value * value for value in im)
    return pure >= _PURE * power


def _shortest(groups: Sequence[Groups]) -> float:
    """Seconds of the shorter of a dot and a gap, in the middle of the passage."""
    shortest = sorted(min(now.marks[0], now.gaps[0]) for now in groups)
    return math.exp(shortest[len(shortest) // 2])


def _gaps(marks: Sequence[Mark]) -> list[float]:
    return [after.begin - before.end for before, after in itertools.pairwise(marks)]
