"""Credentials: a token sent as Authorization, or a ticket in the query. Either may be renewed for each connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Source = str | Callable[[], str]


@dataclass(frozen=True)
class Credentials:
    """A function is called before each connection, and may block. A ticket is good for one connection, so only a
    function can give them. What a function raises counts as a failed attempt.
    """

    token: Source | None = None
    ticket: Callable[[], str] | None = None

    @property
    def renewable(self) -> bool:
        return callable(self.token) or self.ticket is not None

    def headers(self) -> dict[str, str]:
        if self.token is None:
            return {}
        token = self.token() if callable(self.token) else self.token
        if not token.isascii() or not token.isprintable():
            raise ValueError("A token is printable ASCII.")
        return {"Authorization": f"Bearer {token}"}

    def new_ticket(self) -> str | None:
        return self.ticket() if self.ticket is not None else None
