"""Globs of channels' names: `*` stands for any characters, `?` for one. Pure.

They are compiled once for each list of them, not for each name. Each piece between stars is looked for at the first place where it
fits: unlike those of one regular expression for the whole glob, the time of this has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

#: Lists of globs that are kept compiled: those of the tokens that are used now. One of 100 globs takes some 50 KB.
MAX_COMPILED = 256


class Globs:
    """A list of globs. Most are plain names or `prefix*`, which need one look for all of them."""

    __slots__ = ("_all", "_names", "_others", "_prefixes")

    def __init__(self, globs: tuple[str, ...]) -> None:
        self._all = any(glob and not glob.strip("*") for glob in globs)
        plain = [glob for glob in globs if "*" not in glob and "?" not in glob]
        prefixes = [g[:-1] for g in globs if g.endswith("*") and not set("*?") & set(g[:-1])]
        self._names, self._prefixes = frozenset(plain), tuple(prefixes)
        simple = {*plain, *(f"{prefix}*" for prefix in prefixes)}
        self._others = tuple(_Pattern(glob) for glob in dict.fromkeys(globs) if glob not in simple)

    def __contains__(self, name: str) -> bool:
        return (
            self._all
            or name in self._names
            or name.startswith(self._prefixes)
            or any(pattern.fits(name) for pattern in self._others)
        )


@lru_cache(MAX_COMPILED)
def compiled(globs: tuple[str, ...]) -> Globs:
    return Globs(globs)


class _Pattern:
    """One glob, as the pieces between its stars. A piece without `?` is looked for as text, which is fastest."""

    __slots__ = ("_first", "_last", "_least", "_middle", "_whole")

    def __init__(self, glob: str) -> None:
        pieces = glob.split("*")
        self._whole = len(pieces) == 1
        self._first, self._last = _piece(pieces[0]), _piece(pieces[-1])
        self._middle = [_piece(piece) for piece in pieces[1:-1] if piece]
        self._least = sum(map(len, pieces))

    def fits(self, name: str) -> bool:
        if len(name) < self._least:
            return False
        (first, first_length), (last, last_length) = self._first, self._last
        end = len(name) - last_length
        if first(name, 0, first_length) != 0 or last(name, end, len(name)) != end:
            return False
        if self._whole:
            return len(name) == self._least
        at = first_length
        for find, length in self._middle:
            at = find(name, at, end)
            if at < 0:
                return False
            at += length
        return at <= end


#: The first place of a piece in `name[start:end]`; -1 if it is not there.
_Find = Callable[[str, int, int], int]


def _piece(text: str) -> tuple[_Find, int]:
    if "?" not in text:
        return lambda name, start, end: name.find(text, start, end), len(text)
    search = re.compile("".join("." if c == "?" else re.escape(c) for c in text), re.DOTALL).search

    def find(name: str, start: int, end: int) -> int:
        found = search(name, start, end)
        return found.start() if found else -1

    return find, len(text)
