"""A code tree as SVG: the root at the left, one row for each leaf, and its symbol, probability and code in columns at the right.

A row each is why no text can touch another, with 5 leaves or with 256: digits stand at the edge just before
their own node, in the row between that node and its parent, and everything of a leaf stands in the leaf's
row.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wirecodes.tree import Node, Tree

#: Pixels. A row is higher than a line of text at _FONT; a level is wide enough for a digit and a curve.
_ROW, _LEVEL, _MARGIN, _FONT = 22, 48, 24, 13
#: Widths of the columns, of a digit of a code (in a font of fixed width) and, at most, of a letter of the
#: title.
_SYMBOL, _SHARE, _DIGIT, _LETTER = 64, 76, 8, 9
#: The radius of a node grows with the root of its probability, from a dot to a half row.
_SMALLEST, _LARGEST = 2.5, 8.0
_TITLE = 34

_STYLE = """
svg { background: #fbfaf7; font: 13px system-ui, sans-serif; fill: #26323f } path { fill: none; stroke:
#a9b7c6; stroke-width: 1.4 } path.lead { stroke: #e3e2dc; stroke-dasharray: 1 4 } circle { fill: #5d7fa3 }
circle.leaf { fill: #d9822b } .digit, .code { font-family: ui-monospace, monospace } .digit { fill: #7a4d12;
font-size: 11px } .symbol { font-weight: 600 } .share { text-anchor: end; fill: #5c6672 } .code { fill:
#1d4f7c } .title { font-weight: 600 } @media (prefers-color-scheme: dark) {
  svg { background: #171b21; fill: #e6e9ee } path { stroke: #4b5a6b } path.lead { stroke: #2b323b }
  .digit { fill: #f0b35f } .share { fill: #a3adb9 } .code { fill: #8fc1ee }
}
"""


def draw(tree: Tree) -> str:
    """The drawing as text, complete with its style."""
    places = _places(tree)
    depth = max((len(node.code) for node in tree.nodes()), default=0)
    rows = max(sum(1 for node in tree.nodes() if node.symbol is not None), 1)
    columns = _MARGIN + depth * _LEVEL + 2 * _MARGIN
    height = _TITLE + rows * _ROW + _MARGIN
    title = f"Code tree: {rows if tree.root else 0} symbols, {tree.total} occurrences"
    titled = 2 * _MARGIN + len(title) * _LETTER
    width = max(columns + _SYMBOL + _SHARE + _MARGIN + depth * _DIGIT + _MARGIN, titled)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img" aria-label="{title}">',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="{_MARGIN}" y="{_MARGIN}">{title}</text>',
            *_edges(tree, places, columns),
            *_nodes(tree, places),
            *_labels(tree, places, columns),
            "</svg>",
            "",
        ]
    )


def _places(tree: Tree) -> dict[str, tuple[float, float]]:
    """Leaves in the order of their codes, a row each; every other node half-way between its first and its
    last child.
    """
    places: dict[str, tuple[float, float]] = {}
    row = 0
    for node in tree.nodes():
        if node.symbol is not None:
            places[node.code] = (_x(node), _TITLE + (row + 0.5) * _ROW)
            row += 1
    for node in reversed(list(tree.nodes())):
        if node.symbol is None:
            ends = [places[node.children[index].code][1] for index in (0, -1)]
            places[node.code] = (_x(node), sum(ends) / 2)
    return places


def _x(node: Node) -> int:
    return _MARGIN + len(node.code) * _LEVEL


def _edges(tree: Tree, places: dict[str, tuple[float, float]], columns: int) -> Iterator[str]:
    for node in tree.nodes():
        x, y = places[node.code]
        for child in node.children:
            to_x, to_y = places[child.code]
            bend = x + _LEVEL / 2
            yield f'<path d="M{x} {y:g}C{bend:g} {y:g} {x + 6} {to_y:g} {bend:g} {to_y:g}H{to_x}"/>'
            yield f'<text class="digit" x="{bend + 3:g}" y="{to_y - 3:g}">{child.code[-1]}</text>'
        if node.symbol is not None:
            yield f'<path class="lead" d="M{x + 12} {y:g}H{columns - 6}"/>'


def _nodes(tree: Tree, places: dict[str, tuple[float, float]]) -> Iterator[str]:
    for node in tree.nodes():
        x, y = places[node.code]
        share = node.count / tree.total
        radius = max(_SMALLEST, _LARGEST * share**0.5)
        leaf = ' class="leaf"' if node.symbol is not None else ""
        name = escape(node.text or node.code or "root")
        yield f'<circle{leaf} cx="{x}" cy="{y:g}" r="{radius:.2f}"><title>{name}: {share:.2%}</title></circle>'


def _labels(tree: Tree, places: dict[str, tuple[float, float]], columns: int) -> Iterator[str]:
    for node in tree.nodes():
        if node.symbol is None:
            continue
        y = places[node.code][1] + _FONT / 3
        share = columns + _SYMBOL + _SHARE - _MARGIN
        yield f'<text class="symbol" x="{columns}" y="{y:g}">{escape(node.text)}</text>'
        yield f'<text class="share" x="{share}" y="{y:g}">{node.count / tree.total:.2%}</text>'
        yield f'<text class="code" x="{share + _MARGIN}" y="{y:g}">{node.code}</text>'
