"""What a code makes of given data: its words, and how near their expected length comes to the entropy.

The figures of one code come from the counts of the symbols alone, so data of any length can be analysed piece
by piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from wirecodes.coder import Buffer, Coder, as_bytes
from wirecodes.codes import Construction, check_radix, code_words
from wirecodes.kernel import histogram
from wirecodes.prefix_codes import kraft_sum

_SYMBOLS = 256

#: The names of the control characters in ISO 646.
_CONTROLS = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI"),
    *(
        "DLE",
        "DC1",
        "DC2",
        "DC3",
        "DC4",
        "NAK",
        "SYN",
        "ETB",
        "CAN",
        "EM",
        "SUB",
        "ESC",
        "FS",
        "GS",
        "RS",
        "US",
    ),
)


def symbol_text(symbol: int) -> str:
    """How a byte is shown: itself where it is printable ASCII, else by its name or its hexadecimal value."""
    if symbol < len(_CONTROLS):
        return _CONTROLS[symbol]
    return {0x20: "SP", 0x7F: "DEL"}.get(symbol, chr(symbol) if symbol < 0x7F else f"0x{symbol:02X}")


class SymbolCounter:
    """Counts symbols, and how long other codecs would make the same data, piece by piece."""

    def __init__(self, encoders: Mapping[str, Coder] | None = None) -> None:
        self.counts = [0] * _SYMBOLS
        self._encoders = dict(encoders or {})
        self._lengths = dict.fromkeys(self._encoders, 0)

    def add(self, pieces: Iterable[Buffer]) -> None:
        for piece in pieces:
            data = bytes(as_bytes(piece))
            self.counts = [count + more for count, more in zip(self.counts, histogram(data), strict=True)]
            for name, encoder in self._encoders.items():
                self._lengths[name] += sum(map(len, encoder.feed(data)))

    @property
    def present(self) -> dict[int, int]:
        """The counts of the symbols that occur."""
        return {symbol: count for symbol, count in enumerate(self.counts) if count}

    def finish(self) -> dict[str, int]:
        """The encoded lengths by name."""
        for name, encoder in self._encoders.items():
            self._lengths[name] += sum(map(len, encoder.flush()))
        return self._lengths


def analyse(
    counts: Mapping[int, int],
    construction: Construction,
    radix: int,
    encoded_bytes: int | None,
) -> dict[str, Any]:
    """The figures of one code; `encoded_bytes` is what its codec writes, where that has this radix."""
    check_radix(radix)
    words = code_words(construction(counts, radix), radix) if counts else {}
    total = sum(counts.values())
    digits = sum(counts[symbol] * len(word) for symbol, word in words.items())
    entropy = entropy_of(counts, radix)
    expected = digits / total if total else 0.0
    if encoded_bytes is None:
        encoded_bytes = math.ceil(digits * math.log2(radix) / 8)
    return {
        "radix": radix,
        "symbols": [
            {
                "symbol": symbol,
                "text": symbol_text(symbol),
                "count": counts[symbol],
                "probability": counts[symbol] / total,
                "code": words[symbol],
            }
            for symbol in sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        ],
        **_quality(entropy, expected),
        "kraft_sum": kraft_sum(words.values(), radix),
        "input_bytes": total,
        "encoded_bytes": encoded_bytes,
    }


def entropy_of(counts: Mapping[int, int], radix: int) -> float:
    """Code digits a symbol that no code can go below."""
    total = sum(counts.values())
    return math.fsum(count / total * math.log(total / count, radix) for count in counts.values()) + 0.0


def _quality(entropy: float, expected: float) -> dict[str, float]:
    """Entropy, expected length and what follows from both. Nothing to code, or one symbol: no digit carries
    anything.
    """
    efficiency = min(1.0, entropy / expected) if expected else 1.0
    return {
        "entropy": entropy,
        "expected_length": expected,
        "efficiency": efficiency,
        "redundancy": 1.0 - efficiency,
    }


def compare(
    counts: Mapping[int, int], others: Mapping[str, Construction], radix: int, lengths: Mapping[str, int]
) -> dict[str, Any]:
    """The same figures for other codes, a code of fixed length, and compressions (of which only the size is
    known).
    """
    comparison: dict[str, Any] = {}
    for name, construction in others.items():
        figures = analyse(counts, construction, radix, lengths.get(name) if radix == 2 else None)
        del figures["symbols"]
        comparison[name] = figures
    comparison["fixed"] = _fixed(counts, radix)
    total = sum(counts.values())
    for name in ("gzip", "zstd"):
        comparison[name] = {"input_bytes": total, "encoded_bytes": lengths[name]}
    return comparison


def _fixed(counts: Mapping[int, int], radix: int) -> dict[str, Any]:
    """Words of the same length for every symbol that occurs."""
    length = 1 if counts else 0
    while radix**length < len(counts):
        length += 1
    total = sum(counts.values())
    return {
        "radix": radix,
        **_quality(entropy_of(counts, radix), float(length)),
        "kraft_sum": str(Fraction(len(counts), radix**length)),
        "input_bytes": total,
        "encoded_bytes": math.ceil(total * length * math.log2(radix) / 8),
    }
