"""Streaming codecs with one interface.

`get(name)` gives a codec, `a+b` a pipeline of them; a codec has `encode`, `decode`, `encoder()`, `decoder()`,
`encode_stream` and `decode_stream`. What can go wrong stands in `wirecodes.errors`.
"""

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
    "get",
    "huffman",
    "morse",
    "names",
    "prefix_codes",
    "register",
    "register_stdlib",
    "shannon_fano",
]
