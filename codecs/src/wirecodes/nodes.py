"""The nodes of a code tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wirecodes.analysis import symbol_text


@dataclass(frozen=True)
class Node:
    """A leaf has a symbol; any other node has children, in the order of their digits.

    `code` are the digits from the root to here, `count` how often the symbols below here occur.
    """

    code: str
    count: int
    symbol: int | None
    children: tuple[Node, ...]

    @property
    def text(self) -> str:
        """The symbol as it is shown; empty where there is none."""
        return "" if self.symbol is None else symbol_text(self.symbol)

    def walk(self) -> Iterator[Node]:
        """This node and all below it: parents before children, children in order."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))
