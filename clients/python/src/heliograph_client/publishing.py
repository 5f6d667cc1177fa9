"""Publishing by HTTP. A request may be repeated until there is an answer: with the same key the server publishes once."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from heliograph_client.addresses import Service
from heliograph_client.backoff import Backoff
from heliograph_client.content import Content
from heliograph_client.credentials import Credentials
from heliograph_client.cursor import parse_cursor
from heliograph_client.errors import TOO_MANY, BadCursor, Refused, Uncertain, Unreachable, Violation
from heliograph_client.events import Published
from heliograph_client.refusals import refusal

KEY = "Idempotency-Key"

#: Seconds for any step of one attempt.
PATIENCE = 10.0

#: Bytes of an answer. The server's have some hundred.
MAX_ANSWER = 64 << 10


class HttpPublisher:
    """A connection for each request: any number of threads may use it."""

    def __init__(self, service: Service, credentials: Credentials, chance: Callable[[], float]) -> None:
        self._service, self._credentials, self._chance = service, credentials, chance

    def publish(self, channel: str, content: Content, key: str | None, timeout: float) -> Published:
        """Raises Refused, Violation; Uncertain or Unreachable when the time is over."""
        key = key or uuid.uuid4().hex
        headers = {"Content-Type": content.kind, KEY: key}
        answer = self._repeated(self._service.channel(channel), content.body, headers, timeout)
        return _published(channel, answer)

    def ticket(self, timeout: float) -> str:
        ticket = self._repeated(self._service.ticket(), b"", {}, timeout).get("ticket")
        if not isinstance(ticket, str):
            raise Violation("The server's answer has no ticket.")
        return ticket

    def _repeated(self, path: str, body: bytes, headers: dict[str, str], timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        backoff, uncertain = Backoff(self._chance), False
        reason: Exception
        while True:
            at_least = 0.0
            try:
                return self._once(path, body, headers, max(0.1, min(PATIENCE, deadline - time.monotonic())))
            except Refused as exc:
                if not exc.transient:
                    raise
                reason, at_least = exc, exc.retry_after or 0.0
                uncertain = uncertain or exc.status != TOO_MANY
            except Unreachable as exc:
                reason = exc
            except (OSError, http.client.HTTPException) as exc:
                reason, uncertain = exc, True
            wait = backoff.wait(at_least)
            if time.monotonic() + wait > deadline:
                text = (
                    f"No good answer for {timeout:g} s; the last was: {str(reason) or type(reason).__name__}"
                )
                raise (Uncertain(text, headers.get(KEY)) if uncertain else Unreachable(text)) from reason
            time.sleep(wait)

    def _once(self, path: str, body: bytes, headers: dict[str, str], timeout: float) -> dict[str, Any]:
        service = self._service
        headers = {**headers, **self._credentials.headers()}
        kind = http.client.HTTPSConnection if service.secure else http.client.HTTPConnection
        connection = kind(service.host, service.port, timeout=timeout)
        try:
            try:
                connection.connect()
            except OSError as exc:
                raise Unreachable(f"There is no connection: {exc}") from exc
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER + 1)
            # http.client takes a cut head for a whole one, and read(n) a cut body. The server's always declare their length.
            if not response.chunked and response.length != 0 and len(answer) <= MAX_ANSWER:
                raise http.client.IncompleteRead(answer, response.length)
        finally:
            connection.close()
        if response.status not in (200, 201):
            raise refusal("The server refused", response.status, answer, response.getheader("Retry-After"))
        return _object(answer)


def _object(answer: bytes) -> dict[str, Any]:
    try:
        members = json.loads(answer) if len(answer) <= MAX_ANSWER else None
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise Violation("The server's answer is not a JSON object.")
    return members


def _published(channel: str, answer: dict[str, Any]) -> Published:
    when = answer.get("time")
    try:
        cursor = parse_cursor(f"{answer.get('epoch')}:{answer.get('offset')}")
    except BadCursor as exc:
        raise Violation("The server's answer has no epoch and offset.") from exc
    return Published(channel, cursor, when if isinstance(when, float | int) else None)
