"""Streaming codecs with one interface.

`get(name)` gives a codec, `a+b` a pipeline of them; a codec has `encode`, `decode`, `encoder()`, `decoder()`,
`encode_stream` and `decode_stream`. What can go wrong stands in `wirecodes.errors`.
"""

from typing import Any

from wirecodes import huffman, morse, prefix_codes, shannon_fano
from wirecodes.catalog import get, names, register
from wirecodes.codec import Codec
from wirecodes.coder import Coder
from wirecodes.errors import (
    CodecError,
    CodewordError,
    DecodeError,
    EncodeError,
    OptionError,
    OutputLimitError,
    UnknownCodecError,
)
from wirecodes.kernel import KERNEL
from wirecodes.options import Option
from wirecodes.stdlib import register_stdlib

__all__ = [
    "KERNEL",
    "Codec",
    "CodecError",
    "Coder",
    "CodewordError",
    "DecodeError",
    "EncodeError",
    "Option",
    "OptionError",
    "OutputLimitError",
    "UnknownCodecError",
    "__version__",
    "get",
    "huffman",
    "morse",
    "names",
    "prefix_codes",
    "register",
    "register_stdlib",
    "shannon_fano",
]


def __getattr__(name: str) -> Any:
    """`__version__`, read when asked for: importlib.metadata searches the import path."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version("wirecodes")
