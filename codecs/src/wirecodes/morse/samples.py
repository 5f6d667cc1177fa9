"""How samples of sound are written, and their value as 16 bit. Pure."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Bytes of one channel, each sample in `width` bytes with the lowest first; what comes out has 16 bit.
Reader = Callable[[bytes, int], "array[int]"]

_PCM, _FLOAT, _A_LAW, _MU_LAW = 1, 3, 6, 7


@dataclass(frozen=True)
class SampleFormat:
    """`size` bytes of a sample stand in the last of `width` bytes; `order` is that of struct."""

    read: Reader
    channels: int
    width: int
    size: int
    order: str

    @property
    def frame(self) -> int:
        """Bytes of one sample of each channel."""
        return self.channels * self.width

    def channels_of(self, raw: bytes) -> list[array[int]]:
        """`raw` has whole frames."""
        return [self.read(self._channel(raw, index), self.size) for index in range(self.channels)]

    def _channel(self, raw: bytes, index: int) -> bytes:
        if self.frame == self.size and self.order == "<":
            return raw
        columns = (
            range(self.width - self.size, self.width) if self.order == "<" else range(self.size - 1, -1, -1)
        )
        out = bytearray(len(raw) // self.frame * self.size)
        for place, column in enumerate(columns):
            out[place :: self.size] = raw[index * self.width + column :: self.frame]
        return bytes(out)


def _integers(raw: bytes, size: int) -> array[int]:
    """Of each sample the two highest bytes."""
    if size == 2:
        return _native(array("h", raw))
    pairs = bytearray(len(raw) // size * 2)
    pairs[0::2], pairs[1::2] = raw[size - 2 :: size], raw[size - 1 :: size]
    return _native(array("h", bytes(pairs)))


def _unsigned(raw: bytes, _size: int) -> array[int]:
    return array("h", map(_BYTES.__getitem__, raw))


def _floats(raw: bytes, size: int) -> array[int]:
    samples = _native(array("f" if size == 4 else "d", raw))
    return array("h", map(_of_float, samples))


def _of_float(value: float) -> int:
    """1.0 is full scale; what is no number is silence."""
    return round(max(-1.0, min(1.0, value)) * 32767) if math.isfinite(value) else 0


def _a_law(raw: bytes, _size: int) -> array[int]:
    return array("h", map(_A_LAW_VALUES.__getitem__, raw))


def _mu_law(raw: bytes, _size: int) -> array[int]:
    return array("h", map(_MU_LAW_VALUES.__getitem__, raw))


def _native(samples: array[Any]) -> array[Any]:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _a_law_value(byte: int) -> int:
    """ITU-T G.711, table 1a."""
    byte ^= 0x55
    exponent, mantissa = byte >> 4 & 7, byte & 15
    value = (mantissa << 4) + 8
    if exponent:
        value = (value + 0x100) << (exponent - 1)
    return value if byte & 0x80 else -value


def _mu_law_value(byte: int) -> int:
    """ITU-T G.711, table 2a."""
    byte ^= 0xFF
    value = (((byte & 15) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -value if byte & 0x80 else value


_BYTES = [(value - 128) << 8 for value in range(256)]
_A_LAW_VALUES = [_a_law_value(byte) for byte in range(256)]
_MU_LAW_VALUES = [_mu_law_value(byte) for byte in range(256)]

#: By the code in the format chunk and the bits of a sample.
SAMPLE_FORMATS: dict[tuple[int, int], Reader] = {
    (_PCM, 8): _unsigned,
    **dict.fromkeys([(_PCM, 16), (_PCM, 24), (_PCM, 32)], _integers),
    **dict.fromkeys([(_FLOAT, 32), (_FLOAT, 64)], _floats),
    (_A_LAW, 8): _a_law,
    (_MU_LAW, 8): _mu_law,
}
