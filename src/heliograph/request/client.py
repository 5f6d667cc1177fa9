"""Who a client is: the subject of its token where one was verified for the request, else its address by the trusted chain.

Every limit, rate, share and log of the library asks here. An address counts as it is: each IPv6 address is a client, as each IPv4
address is. Whoever lets the open Internet in without tokens limits networks (a /64) in front, where connections can be refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import has_request_context, request
from heliograph_proxy.trust import UNIX

from heliograph.request.environ import SUBJECT

#: In front of a subject, so that no subject can pass for another client's address.
_SUBJECT_PREFIX = "sub:"


def client_of(environ: Mapping[str, Any]) -> str:
    """The client of a request, by its environ behind the library's middleware."""
    subject = environ.get(SUBJECT)
    return f"{_SUBJECT_PREFIX}{subject}" if subject else environ.get("REMOTE_ADDR") or UNIX


def current_client() -> str:
    """The client of Flask's current request; an empty text outside of requests, where the application itself acts."""
    return client_of(request.environ) if has_request_context() else ""


def set_subject(environ: dict[str, Any], subject: str) -> None:
    """Note that the token of this request was verified, and whose it is. Without a name the address stays the client."""
    environ[SUBJECT] = subject
