"""Which codecs there are, by name: the built-in ones, those that installed packages announce, and registered ones.

A package announces a codec by an entry point of the group `wirecodes.codecs` that leads to a Codec, or to a
class or function without parameters that makes one. One that cannot be loaded is left out with a
RuntimeWarning.
"""

from __future__ import annotations

import functools
import re
import warnings
from importlib.metadata import EntryPoint, entry_points

from wirecodes.codec import Codec
from wirecodes.errors import UnknownCodecError, quoted
from wirecodes.huffman import huffman_codec
from wirecodes.morse import morse_codec
from wirecodes.pipeline import MAX_STAGES, Pipeline
from wirecodes.shannon_fano import shannon_fano_codec
from wirecodes.standard import standard_codecs

ENTRY_POINTS = "wirecodes.codecs"

#: What fits a path of a URL and a word on the command line; `+` parts the stages of a pipeline.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_CODECS: dict[str, Codec] = {
    codec.name: codec for codec in (huffman_codec(), shannon_fano_codec(), morse_codec(), *standard_codecs())
}


def names() -> tuple[str, ...]:
    """Every codec's name, in the order of the catalogue."""
    _load_announced()
    return tuple(_CODECS)


def get(name: str) -> Codec:
    """The codec called `name`, or for `a+b` a pipeline. Raises UnknownCodecError (a LookupError) with the known names."""
    _load_announced()
    stages = name.split("+")
    if len(stages) > MAX_STAGES:
        raise UnknownCodecError(
            name, f"a pipeline has at most {MAX_STAGES} stages, not {len(stages)}", names()
        )
    for stage in stages:
        if stage not in _CODECS:
            known = ", ".join(names())
            raise UnknownCodecError(name, f"no codec is called {quoted(stage)}; known: {known}", names())
    codecs = [_CODECS[stage] for stage in stages]
    return codecs[0] if len(codecs) == 1 else Pipeline(codecs)


def register(codec: Codec) -> None:
    """Add `codec` under its name. Raises ValueError where that is taken or unusable, TypeError for what is no Codec."""
    if not isinstance(codec, Codec):
        raise TypeError(f"{codec!r} is no wirecodes.Codec")
    if not _NAME.fullmatch(codec.name):
        raise ValueError(f"{quoted(codec.name)} is no name for a codec: it must match {_NAME.pattern}")
    if codec.name in _CODECS:
        raise ValueError(f"there is a codec called {quoted(codec.name)}")
    _CODECS[codec.name] = codec


@functools.cache
def _load_announced() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        _load(entry)


def _load(entry: EntryPoint) -> None:
    """Other people's code runs here: whatever it raises must not take the other codecs along."""
    try:
        loaded = entry.load()
        register(loaded if isinstance(loaded, Codec) else loaded())
    except Exception as error:
        warnings.warn(
            f"the codec announced by {entry.value} is left out: {error}", RuntimeWarning, stacklevel=2
        )
