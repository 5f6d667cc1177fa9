"""The compiled twin of the hot modules: which they are, where it lies, and when it is used.

mypyc compiles these files as they stand (`script/compile`); the .py files stay the source and work without. What was
compiled lies in the environment below a key made from the sources, so a change of any of them leaves the old twin
unused instead of running it. `python -X interpreted -m proxy …` leaves it unused as well, for a debugger or a profiler.
Constants of these files are Final: others are looked up by name each time.

Standard library only: the set-up asks here before anything is installed.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

#: What a request goes through. The rest runs once, or for people.
HOT = (
    "accesslog",
    "attempt",
    "balancing/backends",
    "balancing/balancer",
    "connections",
    "exchange",
    "headers",
    "http1/framing",
    "http1/grammar",
    "http1/requests",
    "http1/responses",
    "balancing/latency",
    "metrics",
    "readsize",
    "relay",
    "retry",
    "retrybudget",
    "runtime",
    "session",
    "settings",
    "balancing/strategies",
    "streams",
    "sweeper",
    "tunnel",
    "balancing/queue",
)

_PACKAGE = Path(__file__).parent

#: `python -X interpreted`
_OFF = "interpreted"


def sources() -> list[Path]:
    return [_PACKAGE / f"{name}.py" for name in HOT]


def key() -> str:
    """Changes with the sources and with the Python they are compiled for."""
    total = hashlib.sha256(sys.version.encode())
    for path in sources():
        content = path.read_bytes()
        total.update(f"{path.name} {len(content)}\n".encode() + content)
    return total.hexdigest()[:16]


def folder(prefix: str) -> Path:
    """Where the twin of today's sources lies, or would lie, in the environment of this prefix."""
    return Path(prefix) / "heliograph-compiled" / key()


def prefer(search_path: list[str]) -> bool:
    """Let imports from the package find the twin before the sources, if there is one."""
    twin = folder(sys.prefix)
    if _OFF in sys._xoptions or not (twin / "proxy").is_dir():
        return False
    # Each compiled module belongs to one shared library, which is imported by its own name.
    sys.path.append(str(twin))
    search_path.insert(0, str(twin / "proxy"))
    return True
