"""`heliograph run [APP]`: the whole stack of the project in this folder. APP is `module:name`, by default wsgi:app."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from heliograph.cli import is_help, refuse
from heliograph.stack import children, commands, options

DEFAULT_APP = "wsgi:app"

_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


def usage() -> str:
    lines = [
        "usage: heliograph run [APP]",
        "",
        "Runs the whole stack of this folder. APP is module:name, by default wsgi:app.",
    ]
    lines += ["Settings, by variables or, in lower case without HELIOGRAPH_, in heliograph.toml:", ""]
    for group in options.groups():
        for setting in group.definitions.values():
            lines.append(f"  {setting.name:<28} {setting.meaning}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    if is_help(arguments):
        print(usage())
        return 0
    if len(arguments) > 1 or not all(_APP.fullmatch(text) for text in arguments):
        return refuse("run takes one application, such as wsgi:app; settings are HELIOGRAPH_* variables")
    root = Path.cwd()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))  # the settings that the application declares are found there
    with children.ending_on_signals():
        return commands.run(root, *arguments or (DEFAULT_APP,))
