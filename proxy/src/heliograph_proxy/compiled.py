"""The compiled twin of the hot modules: which modules it has, and whether it is used.

`setup.py` compiles these files with mypyc as they stand; the .py files stay the source and work without it. In an
installed wheel each extension lies beside its .py file. The name of their shared library has a digest of the
sources, so a twin of other sources is never run: the sources are loaded instead, and the start-up log says so.
`python -X interpreted` leaves the twin unused as well, for a debugger or a profiler.

Constants of the hot modules are Final: others are looked up by name each time. Standard library only, and little of
it: `setup.py` runs this file by its path, and every import of the package runs it.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: What a request goes through. The rest runs once, or for people.
HOT = (
    "accesslog",
    "attempt",
    "balancing/backends",
    "balancing/balancer",
    "balancing/latency",
    "balancing/queue",
    "balancing/selection",
    "balancing/slots",
    "balancing/strategies",
    "batches",
    "clientcounts",
    "clients",
    "clock",
    "connections",
    "exchange",
    "framebounds",
    "headers",
    "held",
    "hosts",
    "http1/fields",
    "http1/framing",
    "http1/grammar",
    "http1/requestline",
    "http1/requests",
    "http1/responses",
    "mediatypes",
    "masking",
    "metrics",
    "outcome",
    "pace",
    "private",
    "readsize",
    "relay",
    "requestids",
    "requestbody",
    "retry",
    "retrybudget",
    "runtime",
    "session",
    "settings",
    "streams",
    "waits",
    "traceparent",
    "trust",
    "tunnel",
)

_FOLDER = os.path.dirname(os.path.abspath(__file__))

#: `python -X interpreted`
_OFF = "interpreted"


def sources() -> list[str]:
    """The files that are compiled."""
    return [os.path.join(_FOLDER, f"{name}.py") for name in HOT]


def group() -> str:
    """The name of the extensions of today's sources. It changes with any source of the package and with the Python."""
    from importlib.util import source_hash  # noqa: PLC0415 (only where there is a twin)

    total = []
    for folder, folders, files in os.walk(_FOLDER):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as source:
                    content = source.read()
                total.append(f"{name} {len(content)}\n".encode() + content)
    return f"heliograph_proxy_{source_hash(b''.join(total)).hex()}"


def choose() -> tuple[bool, bool]:
    """Whether the twin is used, and whether it is there but was built from other sources.

    Where it is there and is not used, imports find the sources from now on.
    """
    first = os.path.join(_FOLDER, HOT[0])
    if not any(os.path.exists(first + suffix) for suffix in EXTENSION_SUFFIXES):
        return False, False
    outdated = False
    if _OFF not in sys._xoptions:
        from importlib.util import find_spec  # noqa: PLC0415

        outdated = find_spec(f"{group()}__mypyc") is None
        if not outdated:
            return True, False
    _load_sources()
    return False, outdated


def _load_sources() -> None:
    """Python prefers an extension to the .py file beside it: this finder comes first and prefers the file."""
    from importlib.util import spec_from_file_location  # noqa: PLC0415

    package = __name__.rpartition(".")[0]
    files = {f"{package}.{name.replace('/', '.')}": path for name, path in zip(HOT, sources(), strict=True)}

    # No importlib.abc.MetaPathFinder: its import loads a dozen modules.
    class SourceFinder:
        @staticmethod
        def find_spec(
            fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
        ) -> ModuleSpec | None:
            file = files.get(fullname)
            return spec_from_file_location(fullname, file) if file else None

    sys.meta_path.insert(0, SourceFinder)
