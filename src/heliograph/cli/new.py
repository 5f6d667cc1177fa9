"""`heliograph new DIR`: a project to start from, whose tests pass as made."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from heliograph.cli.arguments import CannotAct, CommandParser, ending_in_one_line

#: The files of the project. Their names here end in what keeps tools from taking them for ours.
SKELETON, ENDING = Path(__file__).parent / "skeleton", ".template"

RENAMED = {"gitignore": ".gitignore"}


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        "new", "Makes a project to start from: an application, its tests, settings, a README."
    )
    parser.add_argument("folder", metavar="DIR", help="a folder that is empty or not there yet")
    given = parser.takes_json().parse_args(arguments)
    with ending_in_one_line():
        folder = Path(given.folder)
        _refuse_used(folder)
        made = _make(folder)
    if given.json:
        print(json.dumps({"folder": str(folder), "files": made}, indent=1))
        return 0
    print(f"Made a project in {folder}. To begin:\n\n  cd {folder}\n  heliograph run\n  python -m pytest")
    return 0


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CannotAct(f"{folder} is no folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise CannotAct(f"{folder} is not empty; name another folder")


def _make(folder: Path) -> list[str]:
    """Their paths in the folder."""
    made = []
    name = os.path.basename(os.path.abspath(folder))
    for source in sorted(SKELETON.rglob(f"*{ENDING}")):
        relative = source.relative_to(SKELETON)
        given = relative.name.removesuffix(ENDING)
        path = folder / relative.with_name(RENAMED.get(given, given))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.read_text(encoding="utf-8").replace("{name}", name), encoding="utf-8")
        made.append(str(path.relative_to(folder)))
    return made
