"""`heliograph run [APP]`: the whole stack of the project in this folder. APP is `module:name`, by default wsgi:app."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from heliograph.cli import refuse
from heliograph.stack import children, commands

DEFAULT_APP = "wsgi:app"

_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


def main(arguments: Sequence[str]) -> int:
    if len(arguments) > 1 or not all(_APP.fullmatch(text) for text in arguments):
        return refuse("run takes one application, such as wsgi:app; settings are HELIOGRAPH_* variables")
    with children.ending_on_signals():
        return commands.run(Path.cwd(), *arguments or (DEFAULT_APP,))
