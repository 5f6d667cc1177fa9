"""Morse as sound: a WAV file with the keyed sidetone, 16-bit mono PCM.

A RIFF file begins with its size, so the signals of the whole text are kept, one character each, until the
text has ended; then the sound is made piece by piece. What would not fit a RIFF file (4 GiB, days of sending)
is refused, which bounds what is kept to some ten megabytes.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from functools import lru_cache

from wirecodes.coder import OUTPUT_PIECE, Coder
from wirecodes.errors import EncodeError, OptionError
from wirecodes.morse.keying import MorseEncoder
from wirecodes.morse.timing import Timing, timing

#: Seconds in which a signal rises and falls, as a raised cosine: long enough that keying does not click. Half
#: of it lies before the moment at which the signal begins, so that at half of the amplitude signals and gaps
#: have just their length.
EDGE = 0.006
#: Of full scale: what follows (mixing, resampling) needs some room.
_AMPLITUDE = 0.7
_BYTES = 2  # of a sample
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
#: What the 32-bit sizes of a RIFF file can tell.
_MOST_SAMPLES = (2**32 - 1 - _HEADER.size) // _BYTES
#: Tones above this part of the sampling rate come too near to half of it.
_HIGHEST_TONE = 0.4375
#: Dots and dashes, each of at most two lengths, for rounding to samples.
_WAVES = 64


class WavEncoder(Coder):
    """Text to sound; `_duration` is what the signals kept so far take, in seconds."""

    def __init__(self, text: MorseEncoder, times: Timing, tone: float, rate: int) -> None:
        self._text = text
        self._unit = times.unit
        self._seconds = _seconds(times)
        self._tone = tone
        self._rate = rate
        self._half_edge = round(EDGE * rate / 2)
        self._signals = bytearray()
        self._duration = 0.0

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        self._keep(self._text.update(piece))
        yield from ()

    def _flush(self) -> Iterator[bytes]:
        self._keep(self._text.finish())
        samples = round(self._duration * self._rate) + 2 * self._half_edge if self._signals else 0
        held = bytearray(_header(samples, self._rate))
        for piece in self._sound(samples):
            held += piece
            if len(held) > OUTPUT_PIECE // 2:
                yield bytes(held)
                held.clear()
        yield bytes(held)

    def _keep(self, signals: bytes) -> None:
        self._signals += signals
        self._duration += sum(signals.count(signal) * seconds for signal, seconds in self._seconds.items())
        if self._duration * self._rate > _MOST_SAMPLES - self._rate:
            raise EncodeError("the sound would be longer than a WAV file can be")

    def _sound(self, samples: int) -> Iterator[bytes]:
        """Each signal begins at the sample nearest to its time, so that rounding does not add up."""
        done = 0
        now = 0.0
        for signal in self._signals:
            after = now + self._seconds[signal]
            if signal in b".-":
                begin, end = round(now * self._rate), round((after - self._unit) * self._rate)
                yield from _silence(begin - done)
                yield _wave(end - begin, self._half_edge, self._tone, self._rate)
                done = end + 2 * self._half_edge
            now = after
        yield from _silence(samples - done)


def wav_encoder(unknown: str, wpm: float, farnsworth: float | None, tone: float, rate: int) -> WavEncoder:
    """The encoder for these options, of which some exclude each other."""
    if farnsworth is not None and farnsworth > wpm:
        raise OptionError("farnsworth", f"must not be above wpm, which is {wpm:g}", ("wpm", "farnsworth"))
    if tone > _HIGHEST_TONE * rate:
        raise OptionError(
            "tone", f"must not be above {_HIGHEST_TONE * rate:g} at this rate", ("tone", "rate")
        )
    return WavEncoder(MorseEncoder("text", unknown), timing(wpm, farnsworth), tone, rate)


def _seconds(times: Timing) -> dict[int, float]:
    """What each character of Morse as text takes. A signal has a unit of silence after it, which gaps make longer:

    one space between letters, a space, a stroke and a space between words.
    """
    space = times.letter_gap - times.unit
    stroke = times.word_gap - times.unit - 2 * space
    return {ord("."): 2 * times.unit, ord("-"): 4 * times.unit, ord(" "): space, ord("/"): stroke}


def _header(samples: int, rate: int) -> bytes:
    size = samples * _BYTES
    riff = (b"RIFF", _HEADER.size - 8 + size, b"WAVE")
    fmt = (b"fmt ", 16, 1, 1, rate, rate * _BYTES, _BYTES, 8 * _BYTES)
    return _HEADER.pack(*riff, *fmt, b"data", size)


def _silence(samples: int) -> Iterator[bytes]:
    most = OUTPUT_PIECE // 2 // _BYTES
    for start in range(0, samples, most):
        yield bytes(min(most, samples - start) * _BYTES)


@lru_cache(_WAVES)
def _wave(samples: int, half_edge: int, tone: float, rate: int) -> bytes:
    """A tone that is above half of its amplitude for `samples`, with half an edge more before and after."""
    length = samples + 2 * half_edge
    edge = 2 * half_edge
    turn = 2 * math.pi * tone / rate
    wave = array("h", bytes(_BYTES * length))
    for index in range(length):
        inside = min(index + 0.5, length - index - 0.5, edge)
        level = 0.5 - 0.5 * math.cos(math.pi * inside / edge)
        wave[index] = round(32767 * _AMPLITUDE * level * math.sin(turn * index))
    return _little_endian(wave)


def _little_endian(samples: array[int]) -> bytes:
    if array("h", [1]).tobytes() != b"\x01\x00":
        samples.byteswap()
    return samples.tobytes()
