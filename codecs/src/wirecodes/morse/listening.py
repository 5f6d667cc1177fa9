"""Morse read from sound: a WAV file in, text out, with the tone and the speed found in the sound itself.

The tone is looked for until one stands out and then kept. Loudness collects for SEGMENT seconds, enough to
measure the sender's rhythm well, and is then spelled up to a pause, so that memory does not grow with the
length of the file.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate

from wirecodes.coder import Coder
from wirecodes.morse.rhythm import Stretch, find_gap_unit, find_unit, spell, stretches, without_glitches
from wirecodes.morse.tone import find_tone, frame_length, loudness
from wirecodes.morse.wave_file import WaveReader

#: Seconds of sound looked at for a tone at once.
_WINDOW = 20
#: Seconds spelled at once: some 200 words. Shorter and there is less to measure, longer and speed may have
#: changed.
SEGMENT = 600
#: A segment ends in the longest gap of its last seconds, where hardly ever a letter is cut.
_PAUSE_WITHIN = 30

#: Frames added up before the level is measured: few until the unit is known, then half a unit, which passes
#: less noise.
_FIRST_FILTER = 2
_FILTER_UNITS = 0.5
#: With the key down the level is so many times higher than otherwise; noise alone makes two groups at 2.5.
_CONTRAST = 3.5
#: Stretches below this part of a unit are not meant.
_GLITCH_UNITS = 0.4
#: Rounds of finding the two groups; they settle in about five.
_ROUNDS = 12


class WavDecoder(Coder):
    """Sound to text."""

    def __init__(self) -> None:
        self._reader = WaveReader()
        self._samples = array("h")
        self._tone: float | None = None
        self._frames: list[complex] = []
        self._number = 0  # of the first frame that is not in _frames yet
        self._written = False

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        for samples in self._reader.feed(piece):
            self._samples += samples
            if len(self._samples) >= _WINDOW * self._reader.rate:
                self._listen()
            if len(self._frames) * self._frame > SEGMENT:
                yield self._spelled(final=False)

    def _flush(self) -> Iterator[bytes]:
        self._reader.finish()
        if self._samples:
            self._listen()
        yield self._spelled(final=True)

    @property
    def _frame(self) -> float:
        """Seconds of a frame, which is a whole number of samples."""
        rate = self._reader.rate
        return frame_length(rate) / rate if rate else 1.0

    def _listen(self) -> None:
        """Turn the samples held into frames; before there is a tone there is nothing to read."""
        rate = self._reader.rate
        if self._tone is None:
            self._tone = find_tone(self._samples, rate)
        count = len(self._samples) // frame_length(rate)
        if self._tone is None:
            self._frames += [0j] * count
        else:
            self._frames += loudness(self._samples, rate, self._tone, self._number)
        self._number += count
        del self._samples[: count * frame_length(rate)]

    def _spelled(self, final: bool) -> bytes:
        found, unit = rhythm(self._frames, self._frame)
        used = len(self._frames)
        if not final:
            count, seconds = _up_to_pause(found, self._frame * used)
            found, used = found[:count], min(used, round(seconds / self._frame))
        del self._frames[:used]
        text = spell(found, unit, find_gap_unit(_inner(found), unit)) if found else ""
        gap = " " if text and self._written else ""
        self._written = self._written or bool(text)
        return (gap + text).encode()


def rhythm(frames: Sequence[complex], frame: float) -> tuple[list[Stretch], float]:
    """The stretches of key down and up, and the unit in seconds; none where no keying stands out."""
    found: list[Stretch] = []
    unit = 0.0
    width = _FIRST_FILTER
    for _ in range(2):
        levels = _levels(frames, width)
        threshold = _threshold(levels)
        if threshold is None:
            return [], unit
        found = without_glitches(stretches(levels, threshold, frame), _GLITCH_UNITS * unit or frame)
        unit = find_unit(_inner(found))
        found = without_glitches(found, _GLITCH_UNITS * unit)
        width = max(_FIRST_FILTER, round(_FILTER_UNITS * unit / frame))
    return found, unit


def _levels(frames: Sequence[complex], width: int) -> list[float]:
    """The size of the sum of `width` frames, from each frame on."""
    sums = [0j, *accumulate(frames)]
    return [abs(after - before) / width for before, after in zip(sums, sums[width:], strict=False)]


def _threshold(levels: Sequence[float]) -> float | None:
    """Half-way between the mean levels of key down and key up; None where these are not two groups."""
    threshold = max(levels, default=0.0) / 2
    low = high = 0.0
    for _ in range(_ROUNDS):
        above = [level for level in levels if level > threshold]
        if not above:
            return None
        high = sum(above) / len(above)
        low = (sum(levels) - sum(above)) / max(len(levels) - len(above), 1)
        threshold = (high + low) / 2
    return threshold if high > _CONTRAST * low else None


def _inner(found: Sequence[Stretch]) -> Sequence[Stretch]:
    """Without the silence before the first signal and after the last."""
    first = 1 if found and not found[0][0] else 0
    last = len(found) - 1 if found and not found[-1][0] else len(found)
    return found[first:last]


def _up_to_pause(found: Sequence[Stretch], total: float) -> tuple[int, float]:
    """How many stretches, and how many seconds, end at the middle of the longest gap of the last seconds."""
    ends = list(accumulate(length for _, length in found))
    late = [
        index
        for index, (down, _) in enumerate(found)
        if not down and ends[index] - found[index][1] >= total - _PAUSE_WITHIN
    ]
    if not late:
        return len(found), total
    longest = max(late, key=lambda index: found[index][1])
    return longest, ends[longest] - found[longest][1] / 2
