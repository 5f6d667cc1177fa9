"""`python -m bench [name [part…]]`, which script/bench calls: lists the comparisons, or runs one, or parts of it."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

from bench.harness import Unavailable
from heliograph.stack import children

#: Files of this folder that are no comparison.
OTHERS = ("__main__", "codec_service", "harness")

#: Comparisons whose `main` takes the names of the parts to run, none for all.
WITH_PARTS = ("autobahn", "channels", "checkouts", "proxy", "websocket")


def comparisons() -> dict[str, str]:
    """Each comparison's name and what it compares: the first line of its docstring."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in OTHERS:
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            found[path.stem] = text.partition("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    known = comparisons()
    if not arguments:
        print("\n".join(f"script/bench {name:<12} {text}" for name, text in known.items()))
        return 0
    name, *parts = arguments
    if name not in known or (parts and name not in WITH_PARTS):
        print(f"script/bench takes one of these names: {', '.join(known)}", file=sys.stderr)
        return 1
    try:
        with children.ending_on_signals():
            run = importlib.import_module(f"bench.{name}").main
            run(parts) if parts else run()
    except Unavailable as exc:
        print(f"script/bench {name}: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
