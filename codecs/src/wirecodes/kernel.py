"""The kernels, by one import line: compiled where the extensions were built, else in Python.

Each extension has its own Python form: where one could not be built, the others still are used.
"""

from __future__ import annotations

import warnings

_missing = []

try:
    from wirecodes._kernels import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram
except ImportError:
    from wirecodes._reference import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram

    _missing.append("_kernels")

try:
    from wirecodes._signals import likeliest, mixed, ridge, spectra, thinned
except ImportError:
    from wirecodes._reference_signals import likeliest, mixed, ridge, spectra, thinned

    _missing.append("_signals")

try:
    from wirecodes._texts import is_plain_quoted_printable, read_digits, read_letters, write_letters
except ImportError:
    from wirecodes._reference_texts import (
        is_plain_quoted_printable,
        read_digits,
        read_letters,
        write_letters,
    )

    _missing.append("_texts")

#: Which form does the work: "compiled", or "pure" where an extension is missing.
KERNEL = "pure" if _missing else "compiled"

if 0 < len(_missing) < 3:
    warnings.warn(
        f"not compiled, though others are: {', '.join(f'wirecodes.{name}' for name in _missing)}",
        RuntimeWarning,
        stacklevel=2,
    )

__all__ = [
    "KERNEL",
    "code_lengths",
    "decode_blocks",
    "encode_blocks",
    "fano_lengths",
    "histogram",
    "is_plain_quoted_printable",
    "likeliest",
    "mixed",
    "read_digits",
    "read_letters",
    "ridge",
    "spectra",
    "thinned",
    "write_letters",
]
