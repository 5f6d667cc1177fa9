"""A client of channels for Python programs: subscribe, resume, publish. Needs `websockets` and the standard library.

    with Client("http://127.0.0.1:8080") as client:
        with client.subscribe("lebowski", after="earliest") as events:
            for event in events:
                ...                     # a Message, Lost, or State

It runs in threads, or in greenlets where the standard library was patched. Nothing here knows the server's engines.

`client` is where a program begins; `subscription` is what it iterates over; `follower` keeps one channel's connection, and
`acknowledgements` what was published over it; `inbox` lies between followers and the program; `posting` is publishing by HTTP.

Files without I/O: addresses, backoff, content, conversation, errors, events, refusals.
"""

from heliograph_client.client import Client
from heliograph_client.credentials import Credentials
from heliograph_client.errors import ClientError, Closed, Refused, Uncertain, Unreachable, Violation
from heliograph_client.events import Event, Lost, Message, Published, State, Status
from heliograph_client.subscription import Subscription

__all__ = [
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
]
