"""What the client of a WebSocket publishes: in its order, many in flight at once, each of them acknowledged."""

from __future__ import annotations

import json
from functools import partial
from typing import Protocol

from gevent.event import Event as Signal
from gevent.hub import get_hub

from heliograph.channels.errors import ChannelError
from heliograph.channels.message import Append, Kind
from heliograph.channels.problems import problem_of
from heliograph.channels.records import Outcome
from heliograph.channels.service import ChannelService
from heliograph.channels.transports import access, jsontext, posts
from heliograph.channels.transports.jsontext import JsonMember, NotJson
from heliograph.channels.transports.limits import ClientLimits
from heliograph.channels.transports.tokens import Grant
from heliograph.problems import BadDocument, Problem
from heliograph.request.client import current_client
from heliograph.websocket.broadcast import Prepared
from heliograph.websocket.connection import WebSocketConnection

#: Messages of one client, and their bytes, that wait to be stored. At the limit nothing more is read from it.
MAX_PENDING, MAX_PENDING_BYTES = 1000, 1 << 20

#: Characters of a `ref`, as JSON. It comes back with the answer.
MAX_REF = 256

_MEMBERS = frozenset({"type", "data", "ref", "key"})


class PublishAnswers(Protocol):
    """How a client is answered when it published a message. `ref` is JSON."""

    def published(self, ref: str, offset: int) -> str | None: ...

    def refused(self, ref: str, problem: Problem) -> str: ...


class JsonAnswers:
    def published(self, ref: str, offset: int) -> str:
        return f'{{"type": "published", "offset": {offset}, "ref": {ref}}}'

    def refused(self, ref: str, problem: Problem) -> str:
        return f'{{"type": "error", "ref": {ref}, "problem": {json.dumps(problem.document(), ensure_ascii=False)}}}'


class ProblemAnswers:
    def published(self, ref: str, offset: int) -> None:
        return None

    def refused(self, ref: str, problem: Problem) -> str:
        return problem.body().decode()


class SocketPublisher:
    def __init__(
        self,
        connection: WebSocketConnection,
        channels: ChannelService,
        limits: ClientLimits,
        channel: str,
        granted: Grant,
        answers: PublishAnswers,
    ) -> None:
        self._connection, self._channels = connection, channels
        self._channel, self._subject = channel, granted.subject
        self._granted = granted
        self._may_publish: bool | None = None
        self._answers, self._limits = answers, limits
        self._client = current_client()
        self._pending = self._pending_bytes = 0
        self._room = Signal()
        self._unsent: list[str] = []

    def take_object(self, message: str | bytes) -> None:
        """{"type": "publish", "data", "ref", "key"}; `ref` and `key` may be left out. Waits while too much is pending."""
        ref = "null"
        try:
            members = _members(message)
            ref = _ref(members)
            append = self._append_of(members)
        except (Problem, ChannelError) as exc:
            self._refuse(ref, exc)
        else:
            self._submit(append, ref)

    def take_plain(self, message: str | bytes) -> None:
        """The message itself."""
        plain = isinstance(message, str)
        try:
            self._check()
            data = message.encode() if isinstance(message, str) else message
            append = posts.new_message(
                self._channel, Kind.TEXT if plain else Kind.BYTES, data, None, self._subject
            )
        except (Problem, ChannelError) as exc:
            self._refuse("null", exc)
        else:
            self._submit(append, "null")

    def _append_of(self, members: dict[str, JsonMember]) -> Append:
        unknown = members.keys() - _MEMBERS
        if unknown or members["type"].value != "publish" or "data" not in members:
            raise BadDocument(
                'An object with "type": "publish", "data", and optionally "ref" and "key" is expected here.'
            )
        key = members.get("key")
        if key is not None and not jsontext.is_text(key):
            raise BadDocument('"key" is not a text.')
        self._check()
        if key is not None:
            self._limits.require_key(self._client)
        return posts.from_member(
            self._channel, members["data"], None if key is None else key.value, self._subject
        )

    def _check(self) -> None:
        if self._may_publish is None:  # asked with the first message: many clients never send one
            self._may_publish = self._granted.may_publish(self._channel) and access.allowed_by_rule(
                self._channels, "publish", self._channel
            )
        if not self._may_publish:
            if not self._granted.may_publish(self._channel):
                raise access.may_not_publish(self._channel)
            raise access.denied_by_rule("publish", self._channel)
        self._limits.require_rate(self._client)

    def _submit(self, append: Append, ref: str) -> None:
        size = len(append.data)
        self._pending += 1
        self._pending_bytes += size
        self._channels.submit(append, partial(self._on_outcome, ref, size))
        while self._pending >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES:
            self._room.clear()
            self._room.wait()

    def _on_outcome(self, ref: str, size: int, outcome: Outcome) -> None:
        self._pending -= 1
        self._pending_bytes -= size
        self._room.set()
        if isinstance(outcome, ChannelError):
            self._refuse(ref, outcome)
        else:
            self._send(self._answers.published(ref, outcome.offset))

    def _refuse(self, ref: str, error: Problem | ChannelError) -> None:
        self._send(self._answers.refused(ref, problem_of(error)))

    def _send(self, text: str | None) -> None:
        """PublishAnswers that come together go out together."""
        if text is None:
            return
        if not self._unsent:
            get_hub().loop.run_callback(self._flush)
        self._unsent.append(text)

    def _flush(self) -> None:
        texts, self._unsent = self._unsent, []
        self._connection.offer(b"".join(Prepared(text).frame(None) for text in texts))


def _members(message: str | bytes) -> dict[str, JsonMember]:
    if isinstance(message, bytes):
        raise BadDocument("JSON objects in text frames are expected here.")
    try:
        members = jsontext.members(message)
    except NotJson as exc:
        raise BadDocument(str(exc), position=exc.position) from exc
    if "type" not in members:
        raise BadDocument('The member "type" is missing.')
    return members


def _ref(members: dict[str, JsonMember]) -> str:
    ref = members.get("ref")
    if ref is None:
        return "null"
    if len(ref.text) > MAX_REF:
        raise BadDocument(f'"ref" has at most {MAX_REF} characters, as JSON.')
    return ref.text
