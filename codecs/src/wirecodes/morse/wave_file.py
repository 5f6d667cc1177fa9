"""Reading WAV files piece by piece: 8 or 16 bit PCM, 8 to 48 kHz, one or two channels, mixed to one.

Chunks other than `fmt ` and `data` are skipped. Sizes are believed only as far as the input goes: a file that
ends early is an error.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator

from wirecodes.errors import DecodeError

LOWEST_RATE, HIGHEST_RATE = 8000, 48000

_PCM, _EXTENSIBLE = 1, 0xFFFE
#: An extensible format chunk has 40 bytes; more says nothing that is needed here.
_LONGEST_FORMAT = 1024
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_SUBFORMAT = slice(24, 26)


class WaveReader:
    """Bytes in, samples out; `rate` is known from the first samples on."""

    def __init__(self) -> None:
        self.rate = 0
        self.read = 0  #: bytes used so far
        self._held = bytearray()
        self._started = False
        self._skip = 0
        self._data = 0  # bytes of the data chunk still to come
        self._ended = False
        self._channels = self._width = 0

    def feed(self, piece: bytes) -> Iterator[array[int]]:
        self._held += piece
        while self._step():
            if self._data:
                samples = self._samples()
                if not samples:
                    return
                yield samples

    def finish(self) -> None:
        """DecodeError unless the file was complete."""
        if not self._ended:
            raise DecodeError("the WAV file ends before its sound does", self.read + len(self._held))

    def _step(self) -> bool:
        """Use up what stands before the next samples; whether there is more to do."""
        if self._data:
            return True
        if self._skip:
            self._use(min(self._skip, len(self._held)), skipped=True)
            return not self._skip and bool(self._held)
        if not self._started:
            return self._riff()
        if self._ended:
            self._use(len(self._held))
            return False
        return self._chunk()

    def _use(self, count: int, skipped: bool = False) -> bytes:
        used = bytes(self._held[:count])
        del self._held[:count]
        self.read += count
        self._skip -= count if skipped else 0
        return used

    def _riff(self) -> bool:
        start = bytes(self._held[:12])
        if start[:4] != b"RIFF"[: len(start)] or start[8:] != b"WAVE"[: max(len(start) - 8, 0)]:
            raise DecodeError("no WAV file", 0)
        if len(start) < 12:
            return False
        self._use(12)
        self._started = True
        return True

    def _chunk(self) -> bool:
        if len(self._held) < _CHUNK.size:
            return False
        kind, size = _CHUNK.unpack_from(self._held)
        if kind == b"fmt ":
            return self._format(size)
        self._use(_CHUNK.size)
        if kind != b"data":
            self._skip = size + size % 2
            return True
        if not self.rate:
            raise DecodeError("a data chunk before the format", self.read - _CHUNK.size)
        self._data = size - size % (self._channels * self._width)
        self._skip = size - self._data
        self._ended = not size
        return True

    def _format(self, size: int) -> bool:
        if not _FORMAT.size <= size <= _LONGEST_FORMAT:
            raise DecodeError(f"a format chunk cannot have {size} bytes", self.read + 4)
        if len(self._held) < _CHUNK.size + size:
            return False
        start = self.read
        chunk = self._use(_CHUNK.size + size + size % 2)[_CHUNK.size :]
        code, self._channels, self.rate, _, _, bits = _FORMAT.unpack_from(chunk)
        if code == _EXTENSIBLE:
            code = int.from_bytes(chunk[_SUBFORMAT], "little")
        if code != _PCM or bits not in (8, 16) or self._channels not in (1, 2):
            raise DecodeError("sound that is not 8 or 16 bit PCM with one or two channels", start)
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise DecodeError(f"{self.rate} samples a second, not {LOWEST_RATE} to {HIGHEST_RATE}", start)
        self._width = bits // 8
        return True

    def _samples(self) -> array[int]:
        """The whole samples held of the data chunk, as 16 bit, both channels' mean."""
        frame = self._channels * self._width
        count = min(self._data, len(self._held))
        raw = self._use(count - count % frame)
        self._data -= len(raw)
        self._ended = not self._data
        if self._width == 1:
            samples = array("h", [(value - 128) << 8 for value in raw])
        else:
            samples = array("h", raw)
            if sys.byteorder == "big":
                samples.byteswap()
        if self._channels == 2:
            samples = array(
                "h", [(left + right) >> 1 for left, right in zip(samples[::2], samples[1::2], strict=True)]
            )
        return samples
