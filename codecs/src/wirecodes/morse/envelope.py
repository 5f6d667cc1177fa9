"""From frames of a tone to marks and gaps, where the tone stands well above the noise.

The level is the size of the mean of some frames, just so many that noise does not reach a mark. The threshold is
half of the level around, which may change by some 90 dB a second, so that it follows fading, and each edge is found
where it has half of its own mark's level, whatever its shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import sub

from wirecodes.morse.tone import ToneFrames

#: How fast the level of a sender may change, in nats a second.
_FADING = 10.0
#: A mark that is so much weaker than another, seconds away, is none: an echo, or what compression left.
_LEAST = 0.03
_LEAST_FADING = 0.3
#: Noise alone is above this many times its root mean square once in 200,000 independent values.
_ABOVE_NOISE = 3.5
#: A signal of which half the marks have this contrast (40 dB) is clean.
_CLEAN = 100.0
#: So many peaks of noise may be taken for marks at first.
_SINGLE_PEAKS = 2
#: The highest level of a mark is above this many times the noise: noise alone once in 50 million values.
_PEAK = 4.2
#: Marks have at least this level by the noise's, or more frames have to be averaged: 14 dB.
_CONTRAST = 5.0
#: ToneFrames averaged: the first of these that gives the contrast.
_WIDTHS = (2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200)
#: So many that may give it are tried.
_TRIED = 4
#: Of the marks this part may be weaker than the contrast says.
_WEAK = 0.03
#: Seconds in which the noise's level is taken to be the same.
_NOISE_SECONDS = 20.0
_QUIET, _QUIET_PART = 0.2, 0.4
#: Shorter than this part of the length that _SHORT of all are below, a mark or gap is not meant; if there are enough.
_GLITCH, _SHORT, _ENOUGH = 0.25, 0.15, 10


@dataclass(frozen=True)
class Mark:
    """The tone from `begin` to `end`, in seconds, and its highest level."""

    begin: float
    end: float
    level: float

    @property
    def length(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Envelope:
    """Marks that were found, by averages over `width` seconds."""

    marks: list[Mark]
    width: float


def envelope(frames: ToneFrames) -> Envelope | None:
    """The marks, averaged over as few frames as give the contrast; None where none do."""
    re, im = _sums(frames.re), _sums(frames.im)
    tried = 0
    for width in _WIDTHS:
        if width > len(frames) or tried == _TRIED:
            break
        if not _stands_out(re, im, width, frames):
            continue
        tried += 1
        levels = _levels(re, im, width)
        noise = _noise(levels, frames, width)
        found = _marks(levels, noise, frames.seconds)
        contrasts = [mark.level / noise[int(mark.begin / frames.seconds)] for mark in found]
        place = min(int(_WEAK * len(found)) + _SINGLE_PEAKS, len(found) // 3)
        if (
            found and sorted(contrasts)[len(found) // 2] > _CLEAN
        ):  # what is much weaker is noise that came or went
            strong = [mark for mark, by in zip(found, contrasts, strict=True) if by > _CLEAN / 10]
            return Envelope(_meant(strong), width * frames.seconds)
        if found and sorted(contrasts)[place] >= _CONTRAST:
            strong = [mark for mark, by in zip(found, contrasts, strict=True) if by >= _PEAK]
            return Envelope(_meant(strong), width * frames.seconds)
    return None


def _sums(values: Sequence[float]) -> list[float]:
    return [0.0, *accumulate(values)]


def _stands_out(re: Sequence[float], im: Sequence[float], width: int, frames: ToneFrames) -> bool:
    """Whether the highest levels may be above the noise by the contrast; from some of them, to be quick."""
    count = len(re) - 1
    levels = sorted(
        math.hypot(re[first + width] - re[first], im[first + width] - im[first]) / width
        for first in range(0, count - width + 1, max(1, width // 2))
    )
    lowest = levels[int(_QUIET * len(levels))] / math.sqrt(_QUIET_PART)
    noise = min(lowest, math.sqrt(sum(frames.noise) / count / width))
    return levels[int(0.98 * (len(levels) - 1))] >= _CONTRAST * noise


def _levels(re: Sequence[float], im: Sequence[float], width: int) -> list[float]:
    """The size of the mean of `width` frames around each frame; beyond the ends there is silence."""
    before = width // 2
    after = width - before
    parts = []
    for sums in (re, im):
        padded = [*[sums[0]] * before, *sums, *[sums[-1]] * after]
        parts.append(map(sub, padded[width:], padded[: len(sums) - 1]))
    return [level / width for level in map(math.hypot, *parts)]


def _noise(levels: Sequence[float], frames: ToneFrames, width: int) -> list[float]:
    """The root mean square of the noise around each frame, from the lowest levels there and from the spectrum."""
    size = max(1, round(_NOISE_SECONDS / frames.seconds))
    out: list[float] = []
    parts = max(1, round(len(levels) / size))
    for part in range(parts):
        first, last = len(levels) * part // parts, len(levels) * (part + 1) // parts
        lowest = sorted(levels[first:last])[int(_QUIET * (last - first))] / math.sqrt(_QUIET_PART)
        spectral = math.sqrt(sum(frames.noise[first:last]) / (last - first) / width)
        out += [max(min(lowest, spectral), 1e-6)] * (last - first)
    return out


def _marks(levels: Sequence[float], noise: Sequence[float], seconds: float) -> list[Mark]:
    near = _surrounding(levels, math.exp(-_FADING * seconds))
    far = _surrounding(levels, math.exp(-_LEAST_FADING * seconds))
    marks: list[Mark] = []
    begin = top = 0.0
    down = False
    last = 0.0
    for k, level in enumerate(levels):
        threshold = 0.5 * near[k]
        if level >= threshold or down:  # the others are needed at marks only, where they may be higher
            threshold = max(threshold, _LEAST * far[k], _ABOVE_NOISE * noise[k])
        over = level - threshold
        if (over >= 0) != down:
            place = k - 1 + last / (last - over) if k else 0.0
            if down:
                marks.append(Mark(begin * seconds, place * seconds, top))
            begin, top, down = place, 0.0, not down
        top = max(top, level)
        last = over
    if down:
        marks.append(Mark(begin * seconds, len(levels) * seconds, top))
    return marks


def _meant(marks: list[Mark]) -> list[Mark]:
    """Without gaps, and then marks, that are much shorter than the shorter ones of their kind."""
    if len(marks) < _ENOUGH:
        return marks
    gaps = sorted(after.begin - before.end for before, after in pairwise(marks))
    shortest = _GLITCH * gaps[int(_SHORT * len(gaps))]
    joined = marks[:1]
    for mark in marks[1:]:
        last = joined[-1]
        if mark.begin - last.end < shortest:
            joined[-1] = Mark(last.begin, mark.end, max(last.level, mark.level))
        else:
            joined.append(mark)
    lengths = sorted(mark.length for mark in joined)
    shortest = _GLITCH * lengths[int(_SHORT * len(lengths))]
    return [mark for mark in joined if mark.length >= shortest]


def _surrounding(levels: Sequence[float], decay: float) -> list[float]:
    """The highest level around, falling by `decay` a frame to both sides."""
    out = list(levels)
    for order in (range(1, len(out)), range(len(out) - 2, -1, -1)):
        step = -1 if order.step == 1 else 1
        for k in order:
            value = out[k + step] * decay
            out[k] = max(out[k], value)
    return out
