"""Finding a keyed tone in sound, and how loud it is from moment to moment.

The tone is the highest peak of the mean spectrum, if it stands out. Its loudness comes from mixing the sound
with the tone and adding up over frames of FRAME seconds: a filter so narrow that noise as strong as the tone
hardly passes.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from operator import mul
from statistics import median

#: Seconds: the shortest dot (60 words a minute) has four frames.
FRAME = 0.005

#: The spectrum: so many points, at a rate a little above twice the highest tone. Bins are some 16 Hz wide.
_POINTS = 512
_SPECTRUM_RATE = 8000
_LOWEST_TONE, _HIGHEST_TONE = 150.0, 3600.0
#: Spectra averaged. Noise alone then has no bin at twice the median; a tone as strong as the noise has one at
#: fifty times.
_SPECTRA = 24
_STANDS_OUT = 5.0

#: Tones are found in sounds of others and never end; the decoders at work at once need theirs again and again.
_DECODERS = 64


def find_tone(samples: Sequence[int], rate: int) -> float | None:
    """The frequency in hertz of a tone that stands out."""
    step = rate // _SPECTRUM_RATE
    power = [0.0] * (_POINTS // 2)
    span = _POINTS * step
    last = max(len(samples) - span, 0)
    blocks = min(_SPECTRA, 2 * last // span + 1)
    for number in range(blocks):
        start = last * number // max(blocks - 1, 1)
        block = _decimated(samples[start : start + span], step)
        for index, value in enumerate(_spectrum(block)[: _POINTS // 2]):
            power[index] += abs(value) ** 2
    width = rate / step / _POINTS
    low, high = math.ceil(_LOWEST_TONE / width), min(int(_HIGHEST_TONE / width), _POINTS // 2 - 2)
    peak = max(range(low, high + 1), key=power.__getitem__)
    if power[peak] <= _STANDS_OUT * max(median(power[low : high + 1]), 1.0):
        return None
    return (peak + _offset(power[peak - 1 : peak + 2])) * width


def loudness(samples: Sequence[int], rate: int, tone: float, first: int) -> list[complex]:
    """The sum over each whole frame of the samples mixed with the tone; `first` is the number of the first
    frame.
    """
    length = frame_length(rate)
    cosine, sine = _mixers(rate, tone)
    turn = -2j * math.pi * tone * length / rate
    out = []
    for number in range(len(samples) // length):
        frame = samples[number * length : (number + 1) * length]
        value = complex(sum(map(mul, frame, cosine)), sum(map(mul, frame, sine))) / length
        out.append(value * cmath.exp(turn * (first + number)))
    return out


def frame_length(rate: int) -> int:
    """In samples."""
    return int(FRAME * rate)


@lru_cache(_DECODERS)
def _mixers(rate: int, tone: float) -> tuple[list[float], list[float]]:
    angles = [-2 * math.pi * tone * index / rate for index in range(frame_length(rate))]
    return [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]


def _decimated(samples: Sequence[int], step: int) -> list[float]:
    """Means of `step` samples, as many as the spectrum has points."""
    means = [sum(samples[start : start + step]) / step for start in range(0, len(samples) - step + 1, step)]
    return (means + [0.0] * _POINTS)[:_POINTS]


@cache
def _window() -> list[float]:
    """Hann's: a pure tone then has a peak of three bins."""
    return [0.5 - 0.5 * math.cos(2 * math.pi * index / _POINTS) for index in range(_POINTS)]


def _spectrum(block: list[float]) -> list[complex]:
    return _transform([complex(value * weight) for value, weight in zip(block, _window(), strict=True)])


def _transform(values: list[complex]) -> list[complex]:
    """Fourier's, by Cooley and Tukey."""
    half = len(values) // 2
    if not half:
        return values
    even, odd = _transform(values[::2]), _transform(values[1::2])
    turned = [factor * value for factor, value in zip(_turns(half), odd, strict=True)]
    return [a + b for a, b in zip(even, turned, strict=True)] + [
        a - b for a, b in zip(even, turned, strict=True)
    ]


@cache
def _turns(half: int) -> list[complex]:
    return [cmath.exp(-1j * math.pi * index / half) for index in range(half)]


def _offset(three: list[float]) -> float:
    """Where between its neighbours a peak lies, by a parabola through the logarithms."""
    left, middle, right = (math.log(max(value, 1e-9)) for value in three)
    curve = left - 2 * middle + right
    return 0.5 * (left - right) / curve if curve < 0 else 0.0
