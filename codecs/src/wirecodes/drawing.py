"""A code tree as SVG: the root at the left, one row for each leaf, and its symbol, probability and code in the leaf.

A row each is why no text can touch another, with 5 leaves or with 256: digits stand at the edge just before
their own node, in the row between that node and its parent, and everything of a leaf stands in the leaf's
row, where nothing is right of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from wirecodes.nodes import Node

#: Where the nodes of these codes are, in pixels.
Places = dict[str, tuple[float, float]]

#: Pixels. A row is higher than a line of text at _FONT; a level is wide enough for a digit and a curve.
_ROW, _LEVEL, _MARGIN, _FONT = 24, 48, 24, 13
#: A leaf: the box of its symbol (the widest is 0xDD), then its share, up to 100.00%, and its code.
_BOX, _BOX_HEIGHT, _SHARE, _GAP = 46, 18, 58, 12
#: Widths of a digit of a code (in a font of fixed width) and, at most, of a letter of the title.
_DIGIT, _LETTER = 8, 9
#: The radius of a node, and the width of the line to it, grow with the root of its probability.
_RADII, _WIDTHS = (2.5, 8.0), (1.2, 4.0)
#: How strongly a box is coloured, the same way.
_TINTS = (0.12, 0.6)
_TITLE = 40

_STYLE = """
.code-tree { background: #fbfaf7; font: 13px system-ui, sans-serif; fill: #26323f }
.code-tree path { fill: none; stroke: #b4c1ce; stroke-linecap: round }
.code-tree circle { fill: #5d7fa3 }
.code-tree rect { fill: #e8912d; stroke: #d9822b }
.code-tree .digit, .code-tree .code { font-family: ui-monospace, monospace }
.code-tree .digit { fill: #7a4d12; font-size: 11px }
.code-tree .symbol { font-weight: 600; text-anchor: middle }
.code-tree .share { text-anchor: end; fill: #5c6672 }
.code-tree .code { fill: #1d4f7c }
.code-tree .title { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  .code-tree { background: #171b21; fill: #e6e9ee }
  .code-tree path { stroke: #45556a }
  .code-tree .digit { fill: #f0b35f }
  .code-tree .share { fill: #a3adb9 }
  .code-tree .code { fill: #8fc1ee }
}
"""


def draw(root: Node | None) -> str:
    """The drawing of the tree below `root` as an SVG document, complete with its style; None is an empty tree."""
    nodes = list(root.walk()) if root else []
    total = root.count if root else 0
    places = _places(nodes)
    leaves = [node for node in nodes if node.symbol is not None]
    title = f"Code tree: {_counted(len(leaves), 'symbol')}, {_counted(total, 'occurrence')}"
    ends = [_code_x(node) + len(node.code) * _DIGIT for node in leaves]
    width = max([*ends, _MARGIN + len(title) * _LETTER]) + _MARGIN
    height = _TITLE + max(len(leaves), 1) * _ROW + _MARGIN // 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="code-tree" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="{_MARGIN // 2}" y="{_MARGIN}">{title}</text>',
            *_edges(nodes, total, places),
            *_inner(nodes, total, places),
            *_leaves(leaves, total, places),
            "</svg>",
            "",
        ]
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _places(nodes: list[Node]) -> Places:
    """Leaves in the order of their codes, a row each; every other node half-way between its first and its
    last child.
    """
    places: Places = {}
    row = 0
    for node in nodes:
        if node.symbol is not None:
            places[node.code] = (_x(node), _TITLE + (row + 0.5) * _ROW)
            row += 1
    for node in reversed(nodes):
        if node.symbol is None:
            ends = [places[node.children[index].code][1] for index in (0, -1)]
            places[node.code] = (_x(node), sum(ends) / 2)
    return places


def _x(node: Node) -> int:
    return _MARGIN + len(node.code) * _LEVEL


def _code_x(node: Node) -> int:
    return _x(node) + _BOX + _SHARE + _GAP


def _scaled(node: Node, total: int, ends: tuple[float, float]) -> float:
    """From the first of `ends`, for the rarest, to the second, for what always comes."""
    low, high = ends
    return low + (high - low) * math.sqrt(node.count / total)


def _edges(nodes: list[Node], total: int, places: Places) -> Iterator[str]:
    for node in nodes:
        x, y = places[node.code]
        for child in node.children:
            to_x, to_y = places[child.code]
            bend = x + _LEVEL / 2
            line = f"M{x} {y:g}C{bend:g} {y:g} {x + 6} {to_y:g} {bend:g} {to_y:g}H{to_x}"
            yield f'<path d="{line}" stroke-width="{_scaled(child, total, _WIDTHS):.2f}"/>'
            yield f'<text class="digit" x="{bend + 4:g}" y="{to_y - 4:g}">{child.code[-1]}</text>'


def _inner(nodes: list[Node], total: int, places: Places) -> Iterator[str]:
    for node in nodes:
        if node.symbol is None:
            x, y = places[node.code]
            name = f"{node.code or 'root'}: {node.count / total:.2%}"
            yield f'<circle cx="{x}" cy="{y:g}" r="{_scaled(node, total, _RADII):.2f}"><title>{name}</title></circle>'


def _leaves(leaves: list[Node], total: int, places: Places) -> Iterator[str]:
    for node in leaves:
        x, y = places[node.code]
        line = y + _FONT / 3
        tint = _scaled(node, total, _TINTS)
        yield (
            f'<rect x="{x}" y="{y - _BOX_HEIGHT / 2:g}" width="{_BOX}" height="{_BOX_HEIGHT}" rx="5" '
            f'fill-opacity="{tint:.2f}"><title>{node.count:,} of {total:,}</title></rect>'
        )
        yield f'<text class="symbol" x="{x + _BOX / 2:g}" y="{line:g}">{escape(node.text)}</text>'
        yield f'<text class="share" x="{x + _BOX + _SHARE}" y="{line:g}">{node.count / total:.2%}</text>'
        yield f'<text class="code" x="{_code_x(node)}" y="{line:g}">{node.code}</text>'
