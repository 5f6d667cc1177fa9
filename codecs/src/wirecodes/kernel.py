"""The kernels, by one import line: compiled where the extension was built, else in Python."""

from __future__ import annotations

try:
    from wirecodes._kernels import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram
    from wirecodes._signals import likeliest, mixed, ridge, spectra, thinned
    from wirecodes._texts import is_plain_quoted_printable, read_letters, write_letters

    #: Which form does the work: "compiled" or "pure".
    KERNEL = "compiled"
except ImportError:
    from wirecodes._reference import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram
    from wirecodes._reference_signals import likeliest, mixed, ridge, spectra, thinned
    from wirecodes._reference_texts import is_plain_quoted_printable, read_letters, write_letters

    KERNEL = "pure"

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
    "read_letters",
    "ridge",
    "spectra",
    "thinned",
    "write_letters",
]
