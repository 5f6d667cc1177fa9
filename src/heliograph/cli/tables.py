"""Rows of texts for a terminal, and for Markdown. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """The same as a table of Markdown, whose head the first row is."""
    head, *others = [[text.replace("|", r"\|") for text in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others)]
