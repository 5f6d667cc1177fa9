"""The codecs on the command line: `python -m wirecodes encode|decode NAME [FILE] [-o OUT] [--option value]`, and more.

Standard input and output by default. An error is one line on standard error and exit status 1 (2 for a wrong
call). OUT gets its name only when all of it is written, so a half-written file never stands under the final
name. On a terminal a long input shows how far it has come.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from wirecodes import CodecError, UnknownCodecError, get, huffman, morse, names, prefix_codes, shannon_fano

#: Read at once: enough for a kernel call to be worth it.
_READ = 1024 * 1024
#: Seconds: what takes no longer needs no progress shown, and what is shown changes no more often.
_PATIENCE = 0.5

_STUDIED = {"huffman": huffman, "shannon-fano": shannon_fano}
_TREE_FORMATS = ("json", "svg", "dot")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options, others = _split(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(others)
    try:
        with _source(getattr(parsed, "file", None)) as source:
            _write(parsed.run(parsed, _pieces(source), options), parsed.output)
    except BrokenPipeError:
        # The reader of our output ended; closing standard output would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CodecError, UnknownCodecError, OSError) as error:
        print(f"wirecodes: {_line(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wirecodes",
        description="Encode, decode and study codes. Options of a codec follow as --option value.",
        epilog=f"NAME is one of {', '.join(names())}; encode and decode take several joined by + too.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command, run, choices, help in (
        ("encode", _encode, None, "encode FILE"),
        ("decode", _decode, None, "decode FILE"),
        ("analyse", _analyse, _STUDIED, "the code of FILE as JSON (--radix 2 to 10)"),
        ("tree", _tree, _STUDIED, "its code tree (--format json, svg or dot; --radix 2 to 10)"),
    ):
        added = _command(commands, command, run, help)
        added.add_argument("name", metavar="NAME", choices=choices)
        added.add_argument("file", metavar="FILE", nargs="?", help="default: standard input")
    _command(commands, "table", _table, "the Morse alphabet as JSON")
    added = _command(
        commands, "check", _check, "prefix property, Kraft sum and unique decodability of a code"
    )
    added.add_argument("words", metavar="WORD", nargs="+")
    added = _command(commands, "split", _split_message, "all readings of a message")
    added.add_argument("words", metavar="WORD", nargs="+")
    added.add_argument("message", metavar="MESSAGE")
    return parser


def _command(commands: Any, name: str, run: Any, help: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=help)
    added.add_argument("-o", dest="output", metavar="OUT", default="-", help="default: standard output")
    added.set_defaults(run=run)
    return added


def _split(words: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """The codec's options, `--name value` or `--name=value` anywhere, and the other words."""
    options: dict[str, Any] = {}
    others: list[str] = []
    remaining = iter(words)
    for word in remaining:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or word == "--help":
            others.append(word)
        else:
            options[name] = value if equals else next(remaining, "")
    return options, others


def _encode(parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    codec = get(parsed.name)
    codec.produces("encode", **options)
    return codec.encode_stream(pieces, **options)


def _decode(parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    codec = get(parsed.name)
    codec.produces("decode", **options)
    return codec.decode_stream(pieces, **options)


def _analyse(parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    radix = _taken(options, radix="2")["radix"]
    return _json(_STUDIED[parsed.name].analyse_stream(pieces, _integer("radix", radix)))


def _tree(parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    taken = _taken(options, radix="2", format="svg")
    if taken["format"] not in _TREE_FORMATS:
        raise CodecError(
            f"option 'format': must be one of {', '.join(_TREE_FORMATS)}, not {taken['format']!a}"
        )
    tree = _STUDIED[parsed.name].tree_stream(pieces, _integer("radix", taken["radix"]))
    writers = {"json": tree.to_json, "svg": tree.to_svg, "dot": tree.to_dot}
    yield writers[taken["format"]]().encode()


def _table(parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    _taken(options)
    return _json(morse.table())


def _check(parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    _taken(options)
    return _json(prefix_codes.check(parsed.words))


def _split_message(
    parsed: argparse.Namespace, pieces: Iterable[bytes], options: dict[str, Any]
) -> Iterator[bytes]:
    _taken(options)
    return _json(prefix_codes.split(parsed.words, parsed.message))


def _taken(options: dict[str, Any], **known: str) -> dict[str, str]:
    """The options of a command that is no codec, with defaults."""
    for name in options:
        if name not in known:
            raise CodecError(f"option {name!a}: unknown here; known: {', '.join(known) or 'none'}")
    return known | options


def _integer(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 2 <= int(value[:3]) <= 10:
        raise CodecError(f"option {name!a}: must be an integer from 2 to 10, not {value!a}")
    return int(value)


def _json(value: object) -> Iterator[bytes]:
    yield json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _source(name: str | None) -> contextlib.AbstractContextManager[BinaryIO]:
    return contextlib.nullcontext(sys.stdin.buffer) if name in (None, "-") else open(str(name), "rb")


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    """What is read; meanwhile, on a terminal, the share of a file that was."""
    shown = sys.stderr.isatty()
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
    if name == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    target = Path(name)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            for piece in pieces:
                file.write(piece)
            file.close()
            _give_mode(file.name)
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise


def _give_mode(name: str) -> None:
    """A temporary file is for its owner only; the result gets what a new file would have got."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(name, 0o666 & ~mask)


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
