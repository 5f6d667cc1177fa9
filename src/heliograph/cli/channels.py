"""`heliograph channels backup FILE`, `vacuum`, `copy FROM TO`: what operators do with the log of this project."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from heliograph.channels import maintenance
from heliograph.channels.errors import ChannelError, LocationError
from heliograph.channels.location import Location, parse_location
from heliograph.channels.options import ChannelsOptions
from heliograph.cli.arguments import CannotAct, CommandParser, ending_in_one_line
from heliograph.settings import environment

#: The exit status of a process that Ctrl-C ended, as shells have it.
INTERRUPTED = 130

Told = dict[str, object]


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        "channels",
        "Acts on the log of this project's channels (HELIOGRAPH_CHANNELS), also while its stack runs. "
        + " ".join(f"{usage}: {meaning}." for usage, meaning in USAGES.values()),
    )
    parser.add_argument("verb", metavar="VERB", help=", ".join(usage for usage, _ in USAGES.values()))
    parser.add_argument("operands", metavar="ARGUMENT", nargs="*", help="what the verb takes")
    given = parser.takes_json().parse_args(arguments)
    if given.verb not in VERBS:
        parser.error(f"{given.verb!r} is not one of {', '.join(VERBS)}")
    usage = USAGES[given.verb][0]
    if len(given.operands) != len(usage.split()) - 1:
        parser.error(f"what is allowed is `heliograph channels {usage}`")
    with ending_in_one_line():
        told = _done(given.verb, given.operands)
    print(json.dumps(told) if given.json else "\n".join(f"{name}: {value}" for name, value in told.items()))
    return 0


def _done(verb: str, operands: Sequence[str]) -> Told:
    try:
        return VERBS[verb](*operands)
    except (ChannelError, LocationError) as exc:
        raise CannotAct(str(exc)) from exc
    except KeyboardInterrupt:
        print("heliograph: interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _location() -> Location:
    found: Location = ChannelsOptions.definitions["channels"].read(environment())
    return found


def _backup(file: str) -> Told:
    location = _location()
    maintenance.back_up(location, Path(file))
    return {"log": location.shown, "backup": file, "bytes": Path(file).stat().st_size}


def _vacuum() -> Told:
    location = _location()
    before = _bytes(location)
    maintenance.vacuum(location)
    sizes = {"bytes before": before, "bytes": _bytes(location)} if before is not None else {}
    return {"log": location.shown, **sizes}


def _bytes(location: Location) -> int | None:
    """Of SQLite's file."""
    path = Path(location.path)
    return path.stat().st_size if location.scheme == "sqlite" and path.is_file() else None


def _copy(origin: str, target: str) -> Told:
    found, wanted = parse_location(origin), parse_location(target)
    copied = maintenance.copy(found, wanted, ChannelsOptions.read(environment()).history_ttl)
    return {"from": found.shown, "to": wanted.shown, **asdict(copied)}


VERBS: dict[str, Callable[..., Told]] = {"backup": _backup, "vacuum": _vacuum, "copy": _copy}

#: How each is called, and what it does.
USAGES = {
    "backup": ("backup FILE", "writes the log, as it is at one moment, to a file (SQLite)"),
    "vacuum": ("vacuum", "gives free pages back (SQLite, PostgreSQL)"),
    "copy": (
        "copy FROM TO",
        "copies a log to an empty one, by their URLs, also of another engine; cursors stay good",
    ),
}
