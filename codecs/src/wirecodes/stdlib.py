"""Our codecs in Python's own registry: `codecs.encode(data, "huffman")`, `codecs.lookup("morse")`, `codecs.iterencode`.

Each codec is there as `wirecodes-<name>`, and as `<name>` where Python has no codec of that name (it has base64,
bz2, zlib, rot13 and others). Pipelines are not there: the registry folds their `+`. A codec from text to text
(morse, rot13) takes and gives str, as Python's rot13 does, all others bytes. Errors other than "strict" are
for morse: "ignore" leaves characters without a code out, "replace" sends a question mark.
"""

from __future__ import annotations

import codecs
import functools
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

    return codecs.CodecInfo(
        encode,
        decode,
        incrementalencoder=IncrementalEncoder,
        incrementaldecoder=IncrementalDecoder,
        name=name,
        _is_text_encoding=False,  # so that str.encode() and bytes.decode() refuse it and point to codecs.encode()
    )


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
