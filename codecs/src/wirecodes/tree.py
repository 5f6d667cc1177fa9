"""The tree of a prefix code, and how it is written: JSON, Graphviz DOT, SVG (see drawing.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wirecodes.codes import Construction, check_radix, code_words
from wirecodes.drawing import draw
from wirecodes.nodes import Node


@dataclass(frozen=True)
class Tree:
    """A code tree of at most `radix` children a node; `root` is None where there was nothing to code."""

    radix: int
    root: Node | None

    @property
    def total(self) -> int:
        return self.root.count if self.root else 0

    def nodes(self) -> Iterator[Node]:
        """From the root down, children in order."""
        return self.root.walk() if self.root else iter(())

    def to_json(self) -> str:
        """The radix and the root; each node with its code, count and probability, leaves with symbol and
        text.
        """
        root = self._as_json(self.root) if self.root else None
        return json.dumps({"radix": self.radix, "root": root}, ensure_ascii=False)

    def to_dot(self) -> str:
        """For Graphviz: leaves are boxes with symbol, probability and code."""
        lines = [
            "digraph code {",
            '  rankdir=LR; node [fontname="sans-serif"]; edge [fontname="sans-serif"];',
        ]
        for node in self.nodes():
            share = f"{node.count / self.total:.2%}"
            shape = "circle" if node.symbol is None else "box"
            label = share if node.symbol is None else f"{node.text}\n{share}\n{node.code}"
            lines.append(f'  "n{node.code}" [shape={shape}, label={_quoted(label)}];')
            lines += [
                f'  "n{node.code}" -> "n{child.code}" [label="{child.code[-1]}"];' for child in node.children
            ]
        return "\n".join([*lines, "}", ""])

    def _repr_svg_(self) -> str:
        """What notebooks show."""
        return self.to_svg()

    def to_svg(self) -> str:
        """An SVG document, complete with its style."""
        return draw(self.root)

    def _as_json(self, node: Node) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "code": node.code,
            "count": node.count,
            "probability": node.count / self.total,
        }
        if node.symbol is not None:
            return entry | {"symbol": node.symbol, "text": node.text}
        return entry | {"children": [self._as_json(child) for child in node.children]}


def tree_of(counts: Mapping[int, int], construction: Construction, radix: int = 2) -> Tree:
    """The tree of the canonical code that `construction` finds for `counts` (symbol to number of occurrences).

    Raises ValueError for a radix that is not an integer from 2 to 10.
    """
    check_radix(radix)
    if not counts:
        return Tree(radix, None)
    words = code_words(construction(counts, radix), radix)
    leaves = {word: Node(word, counts[symbol], symbol, ()) for symbol, word in words.items()}
    return Tree(radix, _joined(leaves))


def _joined(level: dict[str, Node]) -> Node:
    """Join the longest words to their parents, again and again, until the root is left."""
    while set(level) != {""}:
        longest = max(map(len, level))
        deepest = sorted(word for word in level if len(word) == longest)
        families: dict[str, list[Node]] = {}
        for word in deepest:
            families.setdefault(word[:-1], []).append(level.pop(word))
        for word, children in families.items():
            level[word] = Node(word, sum(child.count for child in children), None, tuple(children))
    return level[""]


def _quoted(label: str) -> str:
    return '"' + label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
