"""A client of Heliograph's channels for Python programs: subscribe, resume, publish. Needs `websockets` and the standard library.

    with Client("http://127.0.0.1:8080") as client:
        with client.subscribe("lebowski", after="earliest") as events:
            for event in events:
                ...                     # a Message, Lost, or State

It runs in threads, or in greenlets where the standard library was patched; it patches nothing itself.

`client` is the entry point; `subscription` is the iterator over events; `follower` maintains one channel's connection, and
`acknowledgements` the messages published over it; `inbox` is the queue between followers and the program; `publishing` is
publishing by HTTP.

Modules without I/O: addresses, backoff, content, cursor, errors, events, limits, protocol, refusals.
"""

from typing import TYPE_CHECKING

from heliograph_client.client import Client
from heliograph_client.credentials import Credentials
from heliograph_client.errors import (
    BadCursor,
    BadName,
    ClientError,
    Closed,
    Refused,
    Uncertain,
    Unreachable,
    Violation,
)
from heliograph_client.events import Event, Lost, Message, Published, State, Status
from heliograph_client.subscription import Subscription

__all__ = [
    "BadCursor",
    "BadName",
    "Client",
    "ClientError",
    "Closed",
    "Credentials",
    "Event",
    "Lost",
    "Message",
    "Published",
    "Refused",
    "State",
    "Status",
    "Subscription",
    "Uncertain",
    "Unreachable",
    "Violation",
    "__version__",
]


if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """`__version__` is read from the installed metadata at its first use, so that importing reads no files of it."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version  # noqa: PLC0415 (see above)

        return version("heliograph-client")
