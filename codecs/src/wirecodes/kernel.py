"""The kernels, by one import line: the compiled twin where it was built, else the readable one."""

from __future__ import annotations

try:
    from wirecodes._kernels import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram

    #: Which twin does the work: "compiled" or "pure".
    KERNEL = "compiled"
except ImportError:
    from wirecodes._reference import code_lengths, decode_blocks, encode_blocks, fano_lengths, histogram

    KERNEL = "pure"

__all__ = ["KERNEL", "code_lengths", "decode_blocks", "encode_blocks", "fano_lengths", "histogram"]
