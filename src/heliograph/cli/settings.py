"""`heliograph settings`: every setting of the project in this folder: value, where it was set, default, meaning."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from heliograph.cli.arguments import CommandParser, ending_in_one_line
from heliograph.cli.project import here
from heliograph.cli.registry import DEFAULT, Entry, EntryGroup, as_text, describe, schema
from heliograph.cli.tables import markdown
from heliograph.settings import environment
from heliograph.stack import options


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("settings", "Prints every setting. Status 1: one has a value that is not allowed.")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON")
    forms.add_argument("--markdown", action="store_true", help="print their documentation as Markdown")
    forms.add_argument("--json-schema", action="store_true", help="print a JSON Schema of heliograph.toml")
    given = parser.parse_args(arguments)
    with ending_in_one_line():
        here()
        environ = environment()
        groups = options.groups(environ)
        if given.json_schema:
            print(json.dumps(schema(groups), indent=1))
            return 0
        found = describe(groups, environ, os.cpu_count() or 2)
        warnings = options.unknown_names(environ)
    print(_printed(found, given.json, given.markdown))
    return _tell(found, warnings)


def _printed(found: Sequence[EntryGroup], as_json: bool, as_markdown: bool) -> str:
    if as_json:
        return json.dumps([asdict(entry) for group in found for entry in group.entries], indent=1)
    if as_markdown:
        return "\n".join(documentation(found))
    return "\n\n".join(_block(group) for group in found)


def _tell(found: Sequence[EntryGroup], warnings: Sequence[str]) -> int:
    """What is wrong with them. The exit status."""
    errors = [entry.error for group in found for entry in group.entries if entry.error]
    for line in (*(f"warning: {warning}" for warning in warnings), *errors):
        print(line, file=sys.stderr)
    return 1 if errors else 0


def _block(group: EntryGroup) -> str:
    lines = [group.title, ""]
    for entry in group.entries:
        lines += [
            f"  {entry.name} = {as_text(entry.value)}",
            f"      {_origin(entry)}",
            f"      {entry.meaning}",
        ]
    return "\n".join(lines)


def _origin(entry: Entry) -> str:
    if entry.set_by == DEFAULT:
        return DEFAULT
    place = "the environment" if entry.set_by == entry.name else entry.set_by
    return f"set by {place}; default: {as_text(entry.default) or 'empty'}"


def documentation(found: Sequence[EntryGroup]) -> list[str]:
    """A section of Markdown for each group."""
    lines: list[str] = []
    for group in found:
        rows = [("variable", "key", "default", "meaning", "allowed")]
        for entry in group.entries:
            default = f"`{as_text(entry.default)}`" if as_text(entry.default) else ""
            key = f"`{entry.key}`" if entry.key else ""
            rows.append((f"`{entry.name}`", key, default, entry.meaning, entry.allowed))
        lines += [f"### {group.title}", "", *markdown(rows), ""]
    return lines[:-1]
