"""Morse read from sound: a WAV file in, text out; tone, level, speed and weighting are found in the sound itself.

Sound is brought to frames of its tone window by window. The frames of at most SEGMENT seconds are then read at
once, up to a pause, so that memory does not grow with the length of the file.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from wirecodes.coder import Coder
from wirecodes.errors import DecodeError
from wirecodes.kernel import thinned
from wirecodes.morse.reading import Passage, read
from wirecodes.morse.tone import ToneFrames, frame_length, tuned
from wirecodes.morse.wave_file import WaveReader

#: Seconds of sound looked at for a tone at once.
_WINDOW = 60
#: Seconds read at once: at one word a minute it is ten words.
SEGMENT = 600
#: A segment ends in the longest gap of its last seconds, where hardly ever a letter is cut.
_PAUSE_WITHIN = 60
#: Sound is thinned to at least so many samples a second.
_RATE = 8000
NOTHING_HEARD = "no Morse heard"


class WavDecoder(Coder):
    """Sound to text."""

    def __init__(self) -> None:
        self._reader = WaveReader()
        self._samples = array("h")
        self._frames: ToneFrames | None = None
        self._written = False

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        for samples in self._reader.feed(piece):
            self._samples += samples
            if len(self._samples) >= _WINDOW * self._reader.rate:
                self._listen()
            if self._frames and len(self._frames) * self._frames.seconds > SEGMENT:
                yield self._text(final=False)

    def _flush(self) -> Iterator[bytes]:
        self._samples += self._reader.finish()
        if self._samples:
            self._listen()
        yield self._text(final=True)
        if not self._written:
            raise DecodeError(NOTHING_HEARD)

    def _listen(self) -> None:
        """Turn the samples held into frames."""
        step = max(1, self._reader.rate // _RATE)
        rate = self._reader.rate / step
        samples = thinned(self._samples, step)
        used = len(samples)
        if len(samples) >= _WINDOW * rate:
            used -= used % frame_length(rate)
        frames = tuned(samples[:used], rate, self._frames.phase if self._frames else 0.0)
        del self._samples[: used * step]
        if self._frames is None:
            self._frames = frames
        else:
            self._frames.extend(frames)

    def _text(self, final: bool) -> bytes:
        if self._frames is None:
            return b""
        passages = read(self._frames)
        seconds = len(self._frames) * self._frames.seconds
        used = seconds
        if not final:
            used = _pause(passages, seconds)
            passages = [
                passage for passage in (passage.until(used) for passage in passages) if passage.signals
            ]
        self._frames.drop(round(used / self._frames.seconds))
        text = " ".join(filter(None, (passage.text() for passage in passages)))
        gap = " " if text and self._written else ""
        self._written = self._written or bool(text)
        return (gap + text).encode()


def _pause(passages: list[Passage], seconds: float) -> float:
    """The middle of the longest gap of the last seconds, or their end where there is none."""
    ends = [signal.end for passage in passages for signal in passage.signals]
    begins = [*[signal.begin for passage in passages for signal in passage.signals][1:], seconds]
    late = [
        (begin - end, (begin + end) / 2)
        for end, begin in zip(ends, begins, strict=True)
        if begin > seconds - _PAUSE_WITHIN
    ]
    return max(late)[1] if late else seconds
