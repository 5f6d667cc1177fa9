"""The codecs on the command line: `python -m wirecodes encode|decode NAME [FILE] [-o OUT] [--option value]`.

Standard input and output by default. An error is one line on standard error and exit status 1 (2 for a wrong
call). OUT gets its name only when all of it is written, so a half-written file never stands under the final
name.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from wirecodes import CodecError, UnknownCodecError, get, names

#: Read at once: enough for a kernel call to be worth it.
_READ = 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options, others = _split(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(others)
    try:
        codec = get(parsed.name)
        codec.produces(parsed.command, **options)
        start = codec.encode_stream if parsed.command == "encode" else codec.decode_stream
        with _source(parsed.file) as source:
            _write(start(_pieces(source), **options), parsed.output)
    except BrokenPipeError:
        # Who read our output has gone; closing standard output would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CodecError, UnknownCodecError, OSError) as error:
        print(f"wirecodes: {_line(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wirecodes",
        description="Encode or decode a file. Options of the codec follow as --option value.",
        epilog=f"NAME is one of {', '.join(names())}, or several joined by +",
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=("encode", "decode"))
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: standard input")
    parser.add_argument("-o", dest="output", metavar="OUT", default="-", help="default: standard output")
    return parser


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


def _source(name: str) -> contextlib.AbstractContextManager[BinaryIO]:
    return contextlib.nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb")


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(_READ):
        yield piece


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
