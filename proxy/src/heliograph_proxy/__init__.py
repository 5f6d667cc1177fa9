"""The load balancer: strict HTTP/1.1 in, one clean request out, and an answer or a problem for every client.

Importing this package loads no other module of it but `compiled`. Modules whose docstring says "Pure." take bytes,
settings and the time as arguments, and import neither gevent nor socket; heliograph imports some of these. The others
do input and output on gevent, whose modules are used by name; nothing is monkey-patched.

A request's way: listener, session (a client's connection), exchange (one request), balancing (which backend, or the
queue), attempt (one try, on a connection from connections), relay (bodies) or tunnel (an upgrade).
"""

from typing import TYPE_CHECKING

from heliograph_proxy import compiled

if TYPE_CHECKING:
    __version__: str

#: Whether the compiled twin of the hot modules runs; whether there is one that was built from other sources.
COMPILED, OUTDATED = compiled.choose()


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 (costs more than the whole package)

    return version("heliograph-proxy")
