"""Shannon and Fano's code: the codec `shannon-fano`, and what can be learned about the code of given data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wirecodes.blocks import BlockCodec
from wirecodes.codec import Codec, Description
from wirecodes.coder import Buffer
from wirecodes.codes import fano_lengths
from wirecodes.study import analyse_code, draw_code
from wirecodes.tree import Tree


def analyse(data: Buffer, radix: int = 2) -> dict[str, Any]:
    """The code of `data` in digits of `radix`: its words, its figures, and those of other codes beside it.

    Lengths and entropy are in digits a symbol, sizes in bytes. Raises ValueError for a radix beyond 2 to 10.
    """
    return analyse_stream((data,), radix)


def analyse_stream(pieces: Iterable[Buffer], radix: int = 2) -> dict[str, Any]:
    """The same of data that comes in pieces."""
    return analyse_code("shannon-fano", pieces, radix)


def tree(data: Buffer, radix: int = 2) -> Tree:
    """The code tree of `data`. Raises ValueError for a radix beyond 2 to 10."""
    return tree_stream((data,), radix)


def tree_stream(pieces: Iterable[Buffer], radix: int = 2) -> Tree:
    """The same of data that comes in pieces."""
    return draw_code(fano_lengths, pieces, radix)


def shannon_fano_codec() -> Codec:
    description = Description(
        "shannon-fano",
        "Shannon-Fano code",
        "entropy code",
        "bytes",
        "bytes",
        "Huffman's predecessor, to compare with: the same stream with the lengths that repeated parting gives.",
    )
    return BlockCodec(description, fano=True)
