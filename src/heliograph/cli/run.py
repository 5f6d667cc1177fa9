"""`heliograph run [APP]`: the whole stack of the project in this folder, with any setting as an option."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from heliograph.cli import is_help, refuse
from heliograph.cli.project import here
from heliograph.given import PREFIX, Given, SettingError, from_options, option_of
from heliograph.settings import FLAG, Setting, environment
from heliograph.stack import children, commands, options
from heliograph.stack.options import StackOptions

APP = StackOptions.definitions["app"].name

STATUSES = (
    "Exit status: 0 once it was stopped; 1 where it does not start, or a part cannot, which one line says; "
    "2 where the call is not understood."
)

#: The column in which the meanings of options begin.
_COLUMN = 30


class NotUnderstood(Exception):
    """A call that is not understood. Its text is one line."""


def usage(known: Mapping[str, Setting[Any]]) -> str:
    lines = [
        "usage: heliograph run [OPTION …] [APP]",
        "",
        "Runs the whole stack of this folder in the foreground: instances, proxy and nginx. APP is module:callable,",
        'module:factory("x", 2) or a module that has app, application or create_app; by default wsgi:app.',
        "",
        "Options win over the variables of the same names (HELIOGRAPH_PORT), those over heliograph.toml, and that over the table",
        "[tool.heliograph] of pyproject.toml:",
        "",
    ]
    return "\n".join([*lines, *(_row(option, setting) for option, setting in known.items()), "", STATUSES])


def _row(option: str, setting: Setting[Any]) -> str:
    shown = option if setting.kind is FLAG else f"{option} {'TEXT' if setting.secret else 'VALUE'}"
    return f"  {shown:<{_COLUMN}} {setting.meaning}"


def known_options(environ: Mapping[str, str]) -> dict[str, Setting[Any]]:
    """Every setting by its option. Raises SettingError for a module of settings that cannot be imported."""
    settings = (setting for group in options.groups(environ) for setting in group.definitions.values())
    return {option_of(one.name): one for one in settings if one.name.startswith(PREFIX)}


def _known_anyway() -> dict[str, Setting[Any]]:
    """Those of the library, where the project's own cannot be read."""
    try:
        return known_options(environment())
    except SettingError:
        return known_options({})


def parse(arguments: Sequence[str], known: Mapping[str, Setting[Any]]) -> Given:
    """What a command line sets, by the names of variables. Raises NotUnderstood."""
    found: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            if APP in found:
                raise NotUnderstood(
                    f"it takes one application, and {found[APP]} is one, so what is {argument!r}?"
                )
            found[APP] = argument
            continue
        option, equals, value = argument.partition("=")
        setting = _setting(option, known)
        if not equals:
            value = "1" if setting.kind is FLAG else _next(rest, option)
        found[setting.name] = value
    return from_options(found)


def _setting(option: str, known: Mapping[str, Setting[Any]]) -> Setting[Any]:
    if option in known:
        return known[option]
    name = PREFIX + option.lstrip("-").upper().replace("-", "_")
    if name in options.LATER:
        raise NotUnderstood(f"{option} is not available in this version")
    near = difflib.get_close_matches(option, known, 1, options.RESEMBLANCE)
    hint = f"; did you mean {near[0]}?" if near else "; --help lists them"
    raise NotUnderstood(f"{option} is not one of its options{hint}")


def _next(rest: Iterator[str], option: str) -> str:
    value = next(rest, None)
    if value is None:
        raise NotUnderstood(f"{option} needs a value")
    return value


def main(arguments: Sequence[str]) -> int:
    root = here()
    if is_help(arguments):
        print(usage(_known_anyway()))
        return 0
    try:
        given = parse(arguments, known_options(environment()))
    except NotUnderstood as exc:
        return refuse(f"run: {exc}")
    except SettingError as exc:
        print(f"Heliograph does not start: {exc}", file=sys.stderr)
        return 1
    with children.ending_on_signals():
        return commands.run(root, given)
