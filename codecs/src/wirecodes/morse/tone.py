"""Following a keyed tone through sound, and bringing it to frequency zero.

A window of sound becomes a short-time spectrum in blocks of some 64 ms. Each bin is compared with what it has
without a keyed tone, a low quantile over time, so that hum and steady carriers do not stand out. The tone is the
path through the blocks on which most stands out (Viterbi's algorithm; moves to other bins cost): it follows drift,
and jumps to another sender. The sound is then mixed with that tone and averaged over frames of 2 ms.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import sub, truediv

from wirecodes.kernel import mixed, ridge, spectra
from wirecodes.morse.bursts import blank, bursts

#: Seconds of a frame: the shortest dot (100 words a minute) has six.
FRAME = 0.002

_BLOCK = 0.064
_LOWEST_TONE, _HIGHEST_TONE = 150.0, 3650.0
#: Lower tones are followed, too, so that the edge of their spectrum is not taken for a tone.
_LOWEST_LOOKED_AT = 40.0
#: In nats, the logarithm of what stands out: what a move to the next bin costs, and one to any other. A tone that
#: drifts 10 Hz a second needs 0.6 moves a second and gains some 50 by each; a pause of another station gains less
#: than two jumps.
_STEP_COST, _JUMP_COST = 12.0, 40.0
#: A bin is steady (a carrier, hum) if this quantile over time is above that part of its mean; in noise it is 0.22.
_STEADY_PLACE, _STEADY_PART = 0.2, 0.35
#: The quantile over time that tells the noise of a bin, and what it is of it, roughly: 0.05 for noise alone, 0.15
#: for the gaps of a text.
_QUIET, _QUIET_PART = 0.05, 0.1
#: Some of the blocks of a long window are enough for quantiles.
_BLOCKS_COMPARED = 400
#: The noise around a bin is the median of those between so many bins away.
_NEAR, _FAR = 3, 9
#: Seconds in which the power of noise without bursts is taken to be the same.
_BURST_SECONDS = 20.0
#: Hum and offsets stand in the lowest bins, below 150 Hz; differences weaken 50 Hz by 22 dB against 600 Hz.
_HUM_BINS = 10
_DIFFERENCES = 2
#: Nothing weaker than this, by the strongest bin, is looked at.
_FLOOR = 1e-5
#: Hertz by which the tones of two windows may differ at their seam.
_SAME_TONE = 30.0
#: Seconds over which a tone's frequency is averaged.
_STEADY = 1.5


@dataclass
class ToneFrames:
    """Sound at frequency zero: its two parts, the tone in hertz, the noise's mean power, and that of the strongest
    other tone by that of this one at its usual level, for each frame.

    `breaks` are the frames where the tone jumps: what was sent before and after are two passages.
    """

    seconds: float
    re: array[float] = field(default_factory=lambda: array("d"))
    im: array[float] = field(default_factory=lambda: array("d"))
    tone: array[float] = field(default_factory=lambda: array("d"))
    noise: array[float] = field(default_factory=lambda: array("d"))
    other: array[float] = field(default_factory=lambda: array("d"))
    breaks: list[int] = field(default_factory=list)
    phase: float = 0.0  # of the tone behind the last frame

    def __len__(self) -> int:
        return len(self.re)

    def extend(self, other: ToneFrames) -> None:
        """Go on with the next window's frames."""
        if len(self) and len(other) and abs(other.tone[0] - self.tone[-1]) > _SAME_TONE:
            self.breaks.append(len(self))
        self.breaks += [len(self) + place for place in other.breaks]
        self.phase = other.phase
        for mine, more in zip(self._arrays(), other._arrays(), strict=True):
            mine.extend(more)

    def part(self, first: int, last: int) -> ToneFrames:
        """The frames from `first` to before `last`, without breaks."""
        re, im, tone, noise, other = (values[first:last] for values in self._arrays())
        return ToneFrames(self.seconds, re, im, tone, noise, other)

    def drop(self, count: int) -> None:
        """Forget the first frames."""
        for values in self._arrays():
            del values[:count]
        self.breaks = [place - count for place in self.breaks if place > count]

    def _arrays(self) -> tuple[array[float], ...]:
        return self.re, self.im, self.tone, self.noise, self.other


def frame_length(rate: float) -> int:
    """In samples."""
    return max(1, int(FRAME * rate))


def tuned(samples: array[float], rate: float, phase: float = 0.0) -> ToneFrames:
    """The frames of a window of sound, whose tone is found in itself; `phase` is what it begins with."""
    points = 1 << round(math.log2(_BLOCK * rate))
    hop = points // 2
    width = rate / points
    low, high = math.ceil(_LOWEST_LOOKED_AT / width), min(math.floor(_HIGHEST_TONE / width), points // 2 - 2)
    samples, power = _without_hum(samples, points, high + 2)
    rows = [power[first + low - 1 : first + high + 2] for first in range(0, len(power), high + 2)]
    path, noise = _path(rows, [False] * len(rows))
    struck = bursts(rows, path, round(_BURST_SECONDS / (_BLOCK / 2)))
    if any(struck):
        path, noise = _path(rows, struck)
    spans = _spans(path)
    tones: list[float] = []
    for first, last in spans:
        tones += _tones(rows[first:last], path[first:last], low, width)
    others = [_other(row, place + 1) for row, place in zip(rows, path, strict=True)]
    count = len(samples) // frame_length(rate)
    #: The centre of block b is at (b - 1) * hop samples.
    place = hop / frame_length(rate)
    breaks = [min(count, max(0, round((first - 1.5) * place))) for first, _ in spans[1:]]
    frames = ToneFrames(frame_length(rate) / rate)
    scale = 8 / 3 / points / frame_length(rate)  # from a block's power to that of a frame's mean
    for (first, last), begin, end in zip(spans, [0, *breaks], [*breaks, count], strict=True):
        for frame in range(begin, end):
            block = min(max(frame / place + 1, first), last - 1)
            before = min(int(block), last - 1)
            after = min(before + 1, last - 1)
            frames.tone.append(tones[before] + (tones[after] - tones[before]) * (block - before))
            frames.noise.append(noise[path[before]] * scale)
            frames.other.append(others[min(round(block), len(others) - 1)] * 4 / points**2)
    angles = array("d", [2 * math.pi * tone / rate for tone in frames.tone])
    frames.re, frames.im = mixed(samples, angles, frame_length(rate), phase)
    frames.phase = math.fmod(phase + math.fsum(angles) * frame_length(rate), 2 * math.pi)
    for frame, tone in enumerate(frames.tone):
        if tone < _LOWEST_TONE:
            frames.re[frame] = frames.im[frame] = 0.0
    if any(struck):
        blank(frames, [struck[min(round(frame / place) + 1, len(struck) - 1)] for frame in range(count)])
    frames.breaks = [place for place in breaks if 0 < place < count]
    return frames


def _without_hum(samples: array[float], points: int, bins: int) -> tuple[array[float], array[float]]:
    """The samples and their spectra; the samples' differences where most of their power is an offset or hum.

    That is far below the tone, but the mean over a short frame lets some of it pass.
    """
    padding = array("d", bytes(8 * points))
    for left in range(_DIFFERENCES, -1, -1):
        power = spectra(padding + samples + padding, points, points // 2, bins)
        hum = math.fsum(sum(power[first : first + _HUM_BINS]) for first in range(0, len(power), bins))
        if not left or hum < math.fsum(power) / 2:
            break
        samples = array("d", [0.0, *map(sub, samples[1:], samples)])
    return samples, power


def _path(rows: Sequence[array[float]], struck: Sequence[bool]) -> tuple[array[int], list[float]]:
    """The tone's bin in each block, and the noise's power around each bin; without the blocks that are struck by bursts."""
    quiet, noise = _quiet([row for row, by_burst in zip(rows, struck, strict=True) if not by_burst])
    scores = array("d")
    nothing = array("d", bytes(8 * len(quiet)))
    for row, by_burst in zip(rows, struck, strict=True):
        scores.extend(nothing if by_burst else map(math.log1p, map(truediv, row[1:-1], quiet)))
    return ridge(scores, len(quiet), _STEP_COST, _JUMP_COST), noise


def _quiet(rows: Sequence[array[float]]) -> tuple[list[float], list[float]]:
    """The power that each bin has without a keyed tone, and the power of noise alone around each bin."""
    some = rows[:: max(1, len(rows) // _BLOCKS_COMPARED)]
    columns = [sorted(column) for column in list(zip(*some, strict=True))[1:-1]]
    means = [sum(column) / len(column) for column in columns]
    floor = max(_FLOOR * max(column[-1] for column in columns), sorted(means)[len(means) // 2], 1e-9)
    quiet = []
    for column, mean in zip(columns, means, strict=True):
        steady = column[int(_STEADY_PLACE * len(column))] > _STEADY_PART * mean
        quiet.append(max(floor, mean if steady else column[int(_QUIET * len(column))] / _QUIET_PART))
    around = []
    for place in range(len(means)):
        beside = (
            means[max(0, place - _FAR) : max(0, place - _NEAR)] + means[place + _NEAR + 1 : place + _FAR + 1]
        )
        around.append(max(sorted(beside)[len(beside) // 2], 1e-9))
    return quiet, around


def _spans(path: Sequence[int]) -> list[tuple[int, int]]:
    """The parts of the path without a jump."""
    firsts = [0, *(k for k in range(1, len(path)) if abs(path[k] - path[k - 1]) > 1)]
    return list(zip(firsts, [*firsts[1:], len(path)], strict=True))


def _tones(rows: Sequence[array[float]], path: Sequence[int], low: int, width: float) -> list[float]:
    """The frequency along a part of the path, each block's weighed by its power, averaged over _STEADY seconds."""
    weights, sums = [], []
    for row, place in zip(rows, path, strict=True):
        three = row[place : place + 3]
        weights.append(three[1] + 1e-30)
        sums.append((low + place + _offset(three)) * width * weights[-1])
    decay = math.exp(-_BLOCK / 2 / _STEADY)
    total = [0.0] * len(path)
    weight = [0.0] * len(path)
    for order in (range(len(path)), range(len(path) - 1, -1, -1)):
        kept = kept_weight = 0.0
        for k in order:
            kept = kept * decay + sums[k]
            kept_weight = kept_weight * decay + weights[k]
            total[k] += kept
            weight[k] += kept_weight
    return [value / by for value, by in zip(total, weight, strict=True)]


def _other(row: array[float], place: int) -> float:
    """The highest power at some distance from a bin."""
    return max(max(row[: max(0, place - _NEAR)], default=0.0), max(row[place + _NEAR + 1 :], default=0.0))


def _offset(three: Sequence[float]) -> float:
    """Where between its neighbours a peak lies, by a parabola through the logarithms."""
    left, middle, right = (math.log(value + 1e-30) for value in three)
    curve = left - 2 * middle + right
    return max(-1.0, min(1.0, 0.5 * (left - right) / curve)) if curve < 0 else 0.0
