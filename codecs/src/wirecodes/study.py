"""The codes that are studied side by side, and the two questions about given data: what a code makes of it,
and its tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from wirecodes.analysis import SymbolCounter, analyse, compare
from wirecodes.blocks import BlockEncoder
from wirecodes.coder import Buffer, Coder
from wirecodes.codes import Construction, check_radix, fano_lengths, huffman_lengths
from wirecodes.compression import FORMATS, CompressionEncoder
from wirecodes.tree import Tree, tree_of

_CODES: dict[str, Construction] = {"huffman": huffman_lengths, "shannon-fano": fano_lengths}

#: What the codecs of these names do unless told otherwise.
_GZIP_LEVEL, _ZSTD_LEVEL = 9, 3

_ENCODERS: dict[str, Callable[[], Coder]] = {
    "huffman": BlockEncoder,
    "shannon-fano": lambda: BlockEncoder(fano=True),
    "gzip": lambda: CompressionEncoder(FORMATS["gzip"].compressor(_GZIP_LEVEL)),
    "zstd": lambda: CompressionEncoder(FORMATS["zstd"].compressor(_ZSTD_LEVEL)),
}


def analyse_code(name: str, pieces: Iterable[Buffer], radix: int) -> dict[str, Any]:
    """The code called `name` in full, with the other codes, a code of fixed length and compressions beside
    it.
    """
    check_radix(radix)
    counter = SymbolCounter({encoder: make() for encoder, make in _ENCODERS.items()})
    counter.add(pieces)
    lengths = counter.finish()
    answer = analyse(counter.present, _CODES[name], radix, lengths[name] if radix == 2 else None)
    others = {other: construction for other, construction in _CODES.items() if other != name}
    answer["comparison"] = compare(counter.present, others, radix, lengths)
    return answer


def draw_code(construction: Construction, pieces: Iterable[Buffer], radix: int) -> Tree:
    """The tree of the code that `construction` finds."""
    check_radix(radix)
    counter = SymbolCounter()
    counter.add(pieces)
    return tree_of(counter.present, construction, radix)
