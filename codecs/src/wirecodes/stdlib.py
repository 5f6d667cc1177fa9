"""Our codecs in Python's own registry: `codecs.encode(data, "huffman")`, `codecs.lookup("morse")`, `codecs.iterencode`.

Each codec is there as `wirecodes-<name>`, and as `<name>` where Python has no codec of that name (it has base64,
bz2, zlib, rot13 and others). Pipelines are not there: the registry folds their `+`. A codec from text to text
(morse, rot13) takes and gives str, as Python's rot13 does, all others bytes. Errors other than "strict" are
for morse: "ignore" leaves characters without a code out, "replace" sends a question mark.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import io
from collections.abc import Iterator
from typing import Any

from wirecodes import catalog
from wirecodes.codec import Codec
from wirecodes.coder import Coder

_PREFIX = "wirecodes_"

#: What `errors` means for a codec that has the option `unknown`.
_UNKNOWN = {"strict": "error", "ignore": "skip", "replace": "replace"}


@functools.cache
def register_stdlib() -> None:
    """Make Python's codec registry find our codecs; doing it again changes nothing."""
    codecs.register(_search)


def _search(name: str) -> codecs.CodecInfo | None:
    """The registry gives names in small letters with `_` for `-`."""
    wanted = name.removeprefix(_PREFIX)
    for known in catalog.names():
        if known.replace("-", "_").replace(".", "_") == wanted:
            return _info(name, catalog.get(known))
    return None


def _info(name: str, codec: Codec) -> codecs.CodecInfo:
    def encode(data: Any, errors: str = "strict") -> tuple[Any, int]:
        return _run(codec, codec.encoder(**_options(codec, errors)), data), len(data)

    def decode(data: Any, errors: str = "strict") -> tuple[Any, int]:
        return _run(codec, codec.decoder(**_options(codec, errors, decoding=True)), data), len(data)

    class IncrementalEncoder(codecs.IncrementalEncoder):
        def __init__(self, errors: str = "strict") -> None:
            super().__init__(errors)
            self.reset()

        def encode(self, input: Any, final: bool = False) -> Any:
            return _step(codec, self._coder, input, final)

        def reset(self) -> None:
            self._coder = codec.encoder(**_options(codec, self.errors))

    class IncrementalDecoder(codecs.IncrementalDecoder):
        def __init__(self, errors: str = "strict") -> None:
            super().__init__(errors)
            self.reset()

        def decode(self, input: Any, final: bool = False) -> Any:
            return _step(codec, self._coder, input, final)

        def reset(self) -> None:
            self._coder = codec.decoder(**_options(codec, self.errors, decoding=True))

    class StreamWriter(_Writer):
        making = IncrementalEncoder

    class StreamReader(_Reader):
        making = IncrementalDecoder
        text = codec.input == codec.output == "text"

    return codecs.CodecInfo(
        encode,
        decode,
        streamreader=StreamReader,
        streamwriter=StreamWriter,
        incrementalencoder=IncrementalEncoder,
        incrementaldecoder=IncrementalDecoder,
        name=name,
        _is_text_encoding=False,  # so that str.encode() and bytes.decode() refuse it and point to codecs.encode()
    )


class _Writer(codecs.StreamWriter):
    """Encodes all that is written as one: the end is written by `reset`, and when the stream is closed."""

    making: type[codecs.IncrementalEncoder]

    def __init__(self, stream: Any, errors: str = "strict") -> None:
        super().__init__(stream, errors)
        self._encoder = self.making(errors)
        self._begun = False
        close = stream.close
        # A wrapped stream is closed, not its writer (codecs.StreamReaderWriter has no other way).
        with contextlib.suppress(AttributeError):
            stream.close = functools.partial(self._close, close)

    def write(self, object: Any) -> None:
        self._begun = True
        self._write(self._encoder.encode(object))

    def writelines(self, list: Any) -> None:
        for one in list:
            self.write(one)

    def reset(self) -> None:
        """Write the end of what was written so far; what follows is encoded anew."""
        if self._begun:
            self._begun = False
            nothing: Any = b""
            self._write(self._encoder.encode(nothing, final=True))
        self._encoder.reset()

    def _write(self, made: Any) -> None:
        """Text goes to a binary file as UTF-8."""
        text = isinstance(made, str) and not isinstance(self.stream, io.TextIOBase)
        self.stream.write(made.encode() if text else made)

    def _close(self, close: Any) -> None:
        try:
            if not getattr(self.stream, "closed", False):
                self.reset()
        finally:
            close()


class _Reader(codecs.StreamReader):
    """Decodes as it is read. Sizes are of what comes out."""

    making: type[codecs.IncrementalDecoder]
    #: Whether the codec takes text: from a binary file it comes as UTF-8.
    text: bool
    _PIECE = 64 * 1024

    def __init__(self, stream: Any, errors: str = "strict") -> None:
        super().__init__(stream, errors)
        self.reset()

    def reset(self) -> None:
        self._decoder = self.making(self.errors)
        self._utf8 = codecs.getincrementaldecoder("utf-8")() if self.text else None
        self._ready: Any = None
        self._ended = False

    def read(self, size: int = -1, chars: int = -1, firstline: bool = False) -> Any:
        wanted = chars if chars >= 0 else size
        while not self._ended and (wanted is None or wanted < 0 or len(self._ready or b"") < wanted):
            self._more()
        return self._take(None if wanted is None or wanted < 0 else wanted)

    def readline(self, size: int | None = None, keepends: bool = True) -> Any:
        at = self._line_end()
        while not at and not self._ended:
            self._more()
            at = self._line_end()
        line = self._take(at or None)
        return line if keepends else line.removesuffix(self._newline(line))

    def readlines(self, sizehint: int | None = None, keepends: bool = True) -> list[Any]:
        lines = list(
            iter(self.readline, self._take(0))
        )  # by their ends: without it, an empty line looks like the end
        return lines if keepends else [line.removesuffix(self._newline(line)) for line in lines]

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _more(self) -> None:
        data: Any = self.stream.read(self._PIECE)
        self._ended = not data
        if self._utf8 is not None and isinstance(data, bytes):
            data = self._utf8.decode(data, final=self._ended)
        made = self._decoder.decode(data, final=self._ended)
        self._ready = made if self._ready is None else self._ready + made

    def _take(self, count: int | None) -> Any:
        if self._ready is None:
            self._more()
        taken = self._ready[:count]
        self._ready = self._ready[len(taken) :]
        return taken

    def _line_end(self) -> int:
        """Behind the first line end that is ready, or 0."""
        return 0 if self._ready is None else self._ready.find(self._newline(self._ready)) + 1

    @staticmethod
    def _newline(text: Any) -> Any:
        return "\n" if isinstance(text, str) else b"\n"


def _options(codec: Codec, errors: str, decoding: bool = False) -> dict[str, Any]:
    knows_unknown = any(option.name == "unknown" for option in codec.options)
    if errors == "strict" or (decoding and errors in _UNKNOWN and knows_unknown):
        return {}
    if errors in _UNKNOWN and knows_unknown:
        return {"unknown": _UNKNOWN[errors]}
    raise ValueError(f"{codec.name} has no error handling {errors!r}")


def _run(codec: Codec, coder: Coder, data: Any) -> Any:
    return _step(codec, coder, data, final=True)


def _step(codec: Codec, coder: Coder, data: Any, final: bool) -> Any:
    text = codec.input == codec.output == "text"
    if data and isinstance(data, str) != text:
        raise TypeError(f"{codec.name} takes {'str' if text else 'bytes'}, not {type(data).__name__}")
    out = b"".join(_pieces(coder, data.encode() if isinstance(data, str) else data, final))
    return out.decode() if text else out


def _pieces(coder: Coder, data: bytes, final: bool) -> Iterator[bytes]:
    yield coder.update(data)
    if final:
        yield coder.finish()
