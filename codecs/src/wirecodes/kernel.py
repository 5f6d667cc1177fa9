"""The kernels, by one import line: compiled where the extension was built, else in Python."""

from __future__ import annotations

try:
    from wirecodes._kernels import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram
    from wirecodes._signals import likeliest, mixed, ridge, spectra, thinned

    #: Which form does the work: "compiled" or "pure".
    KERNEL = "compiled"
except ImportError:
    from wirecodes._reference import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram
    from wirecodes._reference_signals import likeliest, mixed, ridge, spectra, thinned

    KERNEL = "pure"

__all__ = [
    "KERNEL",
    "code_lengths",
    "decode_blocks",
    "encode_blocks",
    "fano_lengths",
    "histogram",
    "likeliest",
    "mixed",
    "ridge",
    "spectra",
    "thinned",
]
