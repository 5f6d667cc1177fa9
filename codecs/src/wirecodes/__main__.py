"""The codecs on the command line: `wirecodes encode|decode NAME [FILE] [-o OUT] [--option value]`, and more.

Standard input and output by default. An error is one line on standard error and exit status 1 (2 for a wrong
call). A regular file OUT gets its name only when all of it is written, so a half-written file never stands
under the final name. On a terminal a long input shows how far it has come.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

from wirecodes import (
    CodecError,
    UnknownCodecError,
    __version__,
    get,
    huffman,
    morse,
    names,
    prefix_codes,
    shannon_fano,
)
from wirecodes.arguments import Arguments, UsageError, parsed
from wirecodes.options import Direction, Option, require_plain_names
from wirecodes.output import write_file

#: Read at once: enough for a kernel call to be worth it.
_READ = 1024 * 1024
#: Seconds: what takes no longer needs no progress shown, and what is shown changes no more often.
_PATIENCE = 0.5

_STUDIED = {"huffman": huffman, "shannon-fano": shannon_fano}
_TREE_FORMATS = ("json", "svg", "dot")


@dataclass(frozen=True)
class Command:
    """`words`: what it takes, as the usage shows it; `least` and `most`: how many of them."""

    run: Callable[[Arguments, Iterable[bytes]], Iterator[bytes]]
    words: str
    least: int
    most: int | None
    help: str
    #: Which of the words is a file to read; None: standard input is not read either.
    file: int | None = None


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    try:
        return _run(parsed(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        print(f"{_usage()}\nwirecodes: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        # The reader of our output ended; closing standard output would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CodecError, UnknownCodecError, OSError) as error:
        print(f"wirecodes: {_line(error)}", file=sys.stderr)
        return 1


def _run(given: Arguments) -> int:
    if given.version:
        print(f"wirecodes {__version__}")
        return 0
    name, *given.words = given.words or [""]
    if given.help:
        print(_help(name, given.words))
        return 0
    command = _COMMANDS.get(name)
    if command is None:
        raise UsageError(f"there is no command {name!a}" if name else "name a command")
    if len(given.words) < command.least or (command.most is not None and len(given.words) > command.most):
        raise UsageError(f"{name} takes {command.words or 'no words'}")
    with _source(command, given.words) as source:
        _write(command.run(given, _pieces(source)), given.output)
    return 0


def _usage() -> str:
    return f"usage: wirecodes {'|'.join(_COMMANDS)} [WORD…] [-o OUT] [--option value]…"


def _help(name: str, words: list[str]) -> str:
    if name in _DIRECTIONS and words:
        return _help_of_codec(words[0], _DIRECTIONS[name])
    lines = [
        _usage(),
        "",
        "Options of a codec stand anywhere; -- ends them. OUT and FILE are - for standard output and input.",
        "",
    ]
    lines += [f"  {f'{command} {about.words}':<28} {about.help}" for command, about in _COMMANDS.items()]
    lines += ["", "  encode NAME --help           the options of a codec", "  --version"]
    return "\n".join([*lines, "", f"NAME is one of {', '.join(names())}; several are joined by +."])


def _help_of_codec(name: str, direction: Direction) -> str:
    codec = get(name)
    options = [option for option in codec.options if option.applies(direction)]
    lines = [
        f"usage: wirecodes {direction} {name} [FILE] [-o OUT] [--option value]…",
        "",
        codec.title,
        codec.description,
    ]
    return "\n".join(
        [*lines, "", *(_described(option) for option in options)] if options else [*lines, "", "No options."]
    )


def _described(option: Option) -> str:
    allowed = ", ".join(option.choices) or f"{option.minimum} to {option.maximum}"
    default = "" if option.default is None else f"; default {option.default}"
    return f"  --{option.name:<12} {option.description} ({allowed}{default})"


def _list(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    _taken(given.options)
    for name in names():
        codec = get(name)
        yield f"{name:<18}{codec.kind:<16}{codec.title}: {codec.description}\n".encode()


def _encode(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    codec = get(given.words[0])
    require_plain_names(given.options)
    codec.produces("encode", **given.options)
    return codec.encode_stream(pieces, **given.options)


def _decode(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    codec = get(given.words[0])
    require_plain_names(given.options)
    codec.produces("decode", **given.options)
    return codec.decode_stream(pieces, **given.options)


def _analyse(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    radix = _taken(given.options, radix="2")["radix"]
    return _json(_studied(given.words[0]).analyse_stream(pieces, _integer("radix", radix)))


def _tree(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    taken = _taken(given.options, radix="2", format="svg")
    if taken["format"] not in _TREE_FORMATS:
        raise CodecError(
            f"option 'format': must be one of {', '.join(_TREE_FORMATS)}, not {taken['format']!a}"
        )
    tree = _studied(given.words[0]).tree_stream(pieces, _integer("radix", taken["radix"]))
    writers = {"json": tree.to_json, "svg": tree.to_svg, "dot": tree.to_dot}
    yield writers[taken["format"]]().encode()


def _table(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    _taken(given.options)
    return _json(morse.table())


def _check(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    _taken(given.options)
    return _json(prefix_codes.check(given.words))


def _split_message(given: Arguments, pieces: Iterable[bytes]) -> Iterator[bytes]:
    _taken(given.options)
    return _json(prefix_codes.split(given.words[:-1], given.words[-1]))


def _studied(name: str) -> Any:
    if name not in _STUDIED:
        raise UsageError(f"NAME is {' or '.join(_STUDIED)} here, not {name!a}")
    return _STUDIED[name]


def _taken(options: Mapping[str, str], **known: str) -> dict[str, str]:
    """The options of a command that is no codec, with defaults."""
    for name in options:
        if name not in known:
            raise CodecError(f"option {name!a}: unknown here; known: {', '.join(known) or 'none'}")
    return {**known, **options}


def _integer(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 2 <= int(value[:3]) <= 10:
        raise CodecError(f"option {name!a}: must be an integer from 2 to 10, not {value!a}")
    return int(value)


def _json(value: object) -> Iterator[bytes]:
    yield json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _source(command: Command, words: list[str]) -> contextlib.AbstractContextManager[BinaryIO | None]:
    if command.file is None:
        return contextlib.nullcontext()
    name = words[command.file] if len(words) > command.file else "-"
    return contextlib.nullcontext(_standard(sys.stdin, "input")) if name == "-" else open(name, "rb")


def _standard(stream: TextIO | None, which: str) -> BinaryIO:
    """Python has none where the caller closed it."""
    if stream is None:
        raise OSError(f"standard {which} is closed")
    return stream.buffer


def _pieces(source: BinaryIO | None) -> Iterator[bytes]:
    """What is read; meanwhile, on a terminal, the share of a file that was."""
    if source is None:
        return
    shown = sys.stderr is not None and sys.stderr.isatty()
    size = os.fstat(source.fileno()).st_size if shown else 0
    due = time.monotonic() + _PATIENCE
    done = 0
    while piece := source.read(_READ):
        yield piece
        done += len(piece)
        if size and time.monotonic() > due:
            due = time.monotonic() + _PATIENCE
            filled = 40 * min(done, size) // size
            print(f"\r[{'#' * filled:<40}] {done / size:4.0%}", end="", file=sys.stderr, flush=True)
    if size and done > 0:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _write(pieces: Iterable[bytes], name: str) -> None:
    if name != "-":
        write_file(pieces, name)
        return
    out = _standard(sys.stdout, "output")
    for piece in pieces:
        out.write(piece)
    out.flush()


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


_DIRECTIONS: Mapping[str, Direction] = {"encode": "encode", "decode": "decode"}

_COMMANDS = {
    "encode": Command(_encode, "NAME [FILE]", 1, 2, "encode FILE", file=1),
    "decode": Command(_decode, "NAME [FILE]", 1, 2, "decode FILE", file=1),
    "list": Command(_list, "", 0, 0, "the codecs, and what they are"),
    "analyse": Command(_analyse, "NAME [FILE]", 1, 2, "the code of FILE as JSON (--radix 2 to 10)", file=1),
    "tree": Command(
        _tree, "NAME [FILE]", 1, 2, "its code tree (--format json, svg or dot; --radix 2 to 10)", file=1
    ),
    "table": Command(_table, "", 0, 0, "the Morse alphabet as JSON"),
    "check": Command(
        _check, "WORD…", 1, None, "prefix property, Kraft sum and unique decodability of a code"
    ),
    "split": Command(_split_message, "WORD… MESSAGE", 2, None, "all readings of a message"),
}

if __name__ == "__main__":
    sys.exit(main())
