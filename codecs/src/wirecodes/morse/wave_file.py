"""Reading WAV files piece by piece, as everybody writes them; what comes out is one channel of 16 bit.

RIFF, RIFX (big-endian) and RF64; PCM of 8, 16, 24 and 32 bit, floats of 32 and 64 bit, A-law and µ-law, each also by the
extensible header; 4 to 192 kHz; any number of channels, of which the strongest is taken, since a sum may cancel a tone out.

Writers into a pipe do not know the size of the sound, and leave 0 or a huge number in the header: a file ends where its
input ends. Chunks other than `fmt `, `ds64` and `data` are skipped; a chunk of odd size may lack its padding byte.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from operator import mul

from wirecodes.errors import DecodeError
from wirecodes.morse.samples import SAMPLE_FORMATS, SampleFormat

LOWEST_RATE, HIGHEST_RATE = 4000, 192_000

#: A higher rate is averaged down to at most this: no tone that is looked for needs more.
_ENOUGH_RATE = 48_000

_EXTENSIBLE = 0xFFFE
#: An extensible format chunk has 40 bytes; more says nothing that is needed here.
_LONGEST_FORMAT = 1024
_SHORTEST_FORMAT = 16
_SUBFORMAT = slice(24, 26)

#: The size of a data chunk that a header of 32 bits cannot hold, or whose writer could not know it.
_UNKNOWN_SIZE = 1 << 63
_RF64_SIZE = 0xFFFFFFFF

#: Bytes after which the strongest channel is looked for anew, however the input is cut.
_BLOCK = 32 * 1024
#: A block has at least so many samples of each channel: fewer do not tell how strong it is, and cost as much.
_LEAST = 16
#: Some samples of a channel are enough to tell how strong it is. Only half the rate is zero in both rows of samples.
_STRIDES = (7, 11)
#: Seconds after which the power of a channel counts a third.
_MEMORY = 10.0

#: Kinds of files, and their order of bytes.
_KINDS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<"}


class WaveReader:
    """Bytes in, samples out; `rate` (of what comes out) is known from the first samples on."""

    def __init__(self) -> None:
        self.rate = 0
        self.read = 0  #: bytes used so far
        self._held = bytearray()
        self._order = ""
        self._skip = 0
        self._odd = False  # whether a padding byte may follow
        self._data = 0  # bytes of the data chunk still to come
        self._heard = False  # whether there was a data chunk
        self._data_size = 0  # by ds64
        self._format: SampleFormat | None = None
        self._mixer: _Mixer | None = None

    def feed(self, piece: bytes) -> Iterator[array[int]]:
        self._held += piece
        while self._step():
            if self._data:
                samples = self._samples()
                if samples is None:
                    return
                yield samples

    def finish(self) -> array[int]:
        """The input has ended: the last samples. DecodeError where that was before any sound.

        A data chunk that is cut ends there.
        """
        if not self._heard:
            raise DecodeError("the WAV file ends before its sound begins", self.read + len(self._held))
        self._data = min(self._data, len(self._held))
        return (self._samples() if self._data else None) or array("h")

    def _step(self) -> bool:
        """Use up what stands before the next samples; whether there is more to do."""
        if self._data:
            return True
        if self._skip:
            self._skip -= len(self._use(min(self._skip, len(self._held))))
            return not self._skip and bool(self._held)
        if not self._order:
            return self._riff()
        return self._padding() and self._chunk()

    def _use(self, count: int) -> bytes:
        used = bytes(self._held[:count])
        del self._held[:count]
        self.read += count
        return used

    def _riff(self) -> bool:
        start = bytes(self._held[:12])
        kinds = [kind for kind in _KINDS if kind.startswith(start[:4]) or start.startswith(kind)]
        if not kinds or start[8:] != b"WAVE"[: max(len(start) - 8, 0)]:
            raise DecodeError("no WAV file", 0)
        if len(start) < 12:
            return False
        self._use(12)
        self._order = _KINDS[kinds[0]]
        return True

    def _padding(self) -> bool:
        """Skip the byte that pads a chunk of odd size, if it is there; whether enough has come to tell."""
        if not self._odd:
            return True
        if len(self._held) < 5:
            return False
        # A name of a chunk is printable ASCII: without padding it begins at once.
        if not (self._held[:4].isascii() and self._held[:4].decode("latin-1").isprintable()):
            self._use(1)
        self._odd = False
        return True

    def _chunk(self) -> bool:
        if len(self._held) < 8:
            return False
        kind, size = struct.unpack_from(f"{self._order}4sI", self._held)
        if kind in (b"fmt ", b"ds64"):
            return self._header(kind, size)
        start = self.read
        self._use(8)
        if kind != b"data":
            self._skip, self._odd = size, bool(size % 2)
            return True
        if self._format is None:
            raise DecodeError("a data chunk before the format", start)
        self._heard, self._odd = True, bool(size % 2)
        if size == _RF64_SIZE and self._data_size:
            size = self._data_size
        self._data = size or _UNKNOWN_SIZE
        return True

    def _header(self, kind: bytes, size: int) -> bool:
        """A chunk that is needed whole; whether it was there."""
        least = _SHORTEST_FORMAT if kind == b"fmt " else 24
        if not least <= size <= _LONGEST_FORMAT:
            name = "format" if kind == b"fmt " else "ds64"
            raise DecodeError(f"a {name} chunk cannot have {size} bytes", self.read + 4)
        if len(self._held) < 8 + size:
            return False
        start = self.read
        chunk, self._odd = self._use(8 + size)[8:], bool(size % 2)
        if kind == b"fmt ":
            self._set_format(chunk, start)
        else:
            self._data_size = struct.unpack_from(f"{self._order}QQ", chunk)[1]
        return True

    def _set_format(self, chunk: bytes, start: int) -> None:
        code, channels, rate, _, frame, bits = struct.unpack_from(f"{self._order}HHIIHH", chunk)
        if code == _EXTENSIBLE and len(chunk) >= _SUBFORMAT.stop:
            code = struct.unpack(f"{self._order}H", chunk[_SUBFORMAT])[0]
        read = SAMPLE_FORMATS.get((code, bits))
        if read is None:
            raise DecodeError(
                f"sound of format {code} with {bits} bits; PCM of 8, 16, 24 or 32, float of 32 or 64, A-law and µ-law are read",
                start,
            )
        if not channels:
            raise DecodeError("sound without a channel", start)
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise DecodeError(f"{rate} samples a second, not {LOWEST_RATE} to {HIGHEST_RATE}", start)
        width = frame // channels if frame % channels == 0 and frame // channels >= bits // 8 else bits // 8
        self._format = SampleFormat(read, channels, width, bits // 8, self._order)
        step = -(-rate // _ENOUGH_RATE)
        self._mixer = _Mixer(channels, rate, step)
        self.rate = rate // step

    def _samples(self) -> array[int] | None:
        """The samples held of the data chunk, of one channel; None as long as they are no whole block."""
        assert self._format is not None
        assert self._mixer is not None
        frame = self._format.frame
        size = max(_LEAST, _BLOCK // frame) * frame
        if len(self._held) < min(size, self._data):
            return None
        raw = self._use(min(size, self._data - self._data % frame))
        self._data -= len(raw)
        if self._data < frame:  # what is left of the chunk is no sample
            self._skip, self._data = self._data, 0
        return self._mixer.add(self._format.channels_of(raw))


class _Mixer:
    """The strongest of some channels, at a rate that was divided by `step`."""

    def __init__(self, channels: int, rate: int, step: int) -> None:
        self._power = [0.0] * channels
        self._rate = rate
        self._step = step
        self._rest: array[int] = array("h")

    def add(self, channels: list[array[int]]) -> array[int]:
        chosen = channels[0]
        if len(channels) > 1:
            kept = math.exp(-len(chosen) / self._rate / _MEMORY)
            for index, channel in enumerate(channels):
                self._power[index] = self._power[index] * kept + _power(channel)
            chosen = channels[self._power.index(max(self._power))]
        return chosen if self._step == 1 else self._averaged(chosen)

    def _averaged(self, samples: array[int]) -> array[int]:
        samples = self._rest + samples
        whole = len(samples) - len(samples) % self._step
        self._rest = samples[whole:]
        parts = [samples[start : whole : self._step] for start in range(self._step)]
        return array("h", [sum(group) // self._step for group in zip(*parts, strict=True)])


def _power(samples: array[int]) -> float:
    """The sum of squares of some of the samples, without a constant offset."""
    some = [sample for stride in _STRIDES for sample in samples[::stride]]
    return float(sum(map(mul, some, some)) - sum(some) ** 2 / max(1, len(some)))
