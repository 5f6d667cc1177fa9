"""`heliograph doctor`: what is wrong with this machine, this folder and its settings, and how to mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from heliograph.cli.arguments import CannotAct, CommandParser, ending_in_one_line
from heliograph.cli.faults import CHECKS, Examined, Fault, examine, of_setting
from heliograph.cli.project import here, layout
from heliograph.given import Given, SettingError, where
from heliograph.settings import environment
from heliograph.stack import options, reading, render
from heliograph.stack.options import StackOptions

#: What a wrong setting is taken for instead, so that it brings no second fault.
INSTEAD = {StackOptions.definitions["nginx"].name: "0"}

CERTIFICATE, KEY = (StackOptions.definitions[name].name for name in ("tls_cert", "tls_key"))

#: What needs another setting, and is left out with it.
NEEDING = {CERTIFICATE: KEY, KEY: CERTIFICATE}


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("doctor", "Names what is wrong here, and how to mend it. Status 1: something is.")
    given = parser.takes_json().parse_args(arguments)
    with ending_in_one_line():
        root = here()
        faults: list[Fault] = []
        environ = environment()
        for warning in options.unknown_names(environ):
            print(f"warning: {warning}", file=sys.stderr)
        for name, found in _reports(root, environ):
            faults += found
            if not given.json:
                print(_shown(name, found), flush=True)
    if given.json:
        print(
            json.dumps({"checks": ["settings", *CHECKS], "faults": [asdict(one) for one in faults]}, indent=1)
        )
    return 1 if faults else 0


def _shown(name: str, found: Sequence[Fault]) -> str:
    if not found:
        return f"ok     {name}"
    return "\n".join(f"WRONG  {name}: {one.problem}\n       To mend it: {one.remedy}" for one in found)


def _reports(root: Path, environ: Given) -> Iterator[tuple[str, list[Fault]]]:
    project, wrong = _project(root, environ)
    yield "settings", wrong
    yield from examine(project)


def _project(root: Path, environ: Given) -> tuple[Examined, list[Fault]]:
    """The project with all settings that are allowed, and what is wrong with the others."""
    faults: list[Fault] = []
    variables = {where(environ, name): name for name in environ}
    while True:
        try:
            return _examined(root, environ), faults
        except SettingError as exc:
            faults.append(of_setting(exc))
            name = variables.pop(exc.name, exc.name if exc.name in NEEDING else "")
            if not name:  # it is none of a single setting
                raise
            environ = environ.changed(**{name: INSTEAD.get(name, "")})
            if name in NEEDING:
                environ = environ.changed(**{NEEDING[name]: ""})


def _examined(root: Path, environ: Given) -> Examined:
    try:
        found = layout(root, environ)
        return Examined(root, environ, found, reading.project(root, found.settings, environ))
    except (reading.NoProject, render.RenderError) as exc:
        raise CannotAct(str(exc)) from exc
