"""`Channels`: publish, subscribe and read from application code.

    channels = Channels("redis://127.0.0.1")           # a program without Flask: a Django view, a script, a test
    sent = channels.publish("orders", {"id": 7})
    for event in channels.subscribe("orders", after=sent.cursor): ...

`Heliograph(app).channels` is the same object for a Flask application. It is for any thread: where the process is patched by gevent
calls wait cooperatively, anywhere else the log runs on a loop in a thread of its own.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn
from weakref import WeakSet

from prometheus_client import CollectorRegistry

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError
from heliograph.channels.hook import AuthorizeHook, Rule
from heliograph.channels.message import Append
from heliograph.channels.names import check_name
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.presence import Present
from heliograph.channels.public import History, append_of, cursor_of, history_of, start_of
from heliograph.channels.records import MAX_PAGE_MESSAGES, Appended, Outcome
from heliograph.channels.service import ChannelService
from heliograph.channels.subscription import Subscription
from heliograph.overriding import with_given
from heliograph.request.options import AccessOptions, RequestOptions

#: Messages of a page of the history if the caller does not say.
DEFAULT_LIMIT = 100

#: What a program without Flask reads of the settings.
_GROUPS = (RequestOptions, AccessOptions, ChannelsOptions)


class Channels:
    """`url` as HELIOGRAPH_CHANNELS has it, which is the default; `settings` are others, by their names in heliograph.toml.

    All calls raise `ChannelError`: InvalidName, InvalidCursor, MessageTooLong, KeyReused, TooManyChannels, LogUnavailable.
    """

    def __init__(self, url: str | None = None, *, settings: Mapping[str, object] | None = None) -> None:
        given = {**(settings or {}), **({} if url is None else {"channels": url})}
        # No folder of requests is made: the program has none of them.
        settings_ = with_given(given, _GROUPS, required=(ChannelsOptions,))
        service = ChannelService(settings_, CollectorRegistry())
        self.hook = service.hook
        _open.add(service)
        self._service: Callable[[], ChannelService] = lambda: service

    @classmethod
    def served_by(cls, service: Callable[[], ChannelService]) -> Channels:
        """Those of an application, which is asked for at each call. `hook` is shared with it."""
        made = cls.__new__(cls)
        made.hook = AuthorizeHook()
        made._service = service
        return made

    def __enter__(self) -> Channels:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(
        self, channel: str, data: object, *, idempotency_key: str | None = None, connection: object = None
    ) -> Appended:
        """What is returned is stored. The same key and data within 10 minutes give the same answer and publish nothing again."""
        if connection is not None:
            raise NotImplementedError("publish(connection=…) is not available in this version")
        append = append_of(channel, data, idempotency_key)
        service = self._service()
        return service.loop.call(service.publish, append)

    def publish_many(self, messages: Iterable[tuple[str, object] | Mapping[str, Any]]) -> list[Outcome]:
        """Publish pairs of a channel and data, or mappings with `channel`, `data` and optionally `idempotency_key`, in this order.

        One may fail while others do not: of each there is the result of `publish`, or the ChannelError that it would raise.
        """
        wanted = [_append_or_error(message) for message in messages]
        service = self._service()
        appends = [one for one in wanted if isinstance(one, Append)]
        outcomes = iter(service.loop.call(service.publish_many, appends))
        return [next(outcomes) if isinstance(one, Append) else one for one in wanted]

    def history(self, channel: str, after: str | Cursor | None = None, limit: int = DEFAULT_LIMIT) -> History:
        """A page: the messages after a cursor, or from the earliest one."""
        if not 1 <= limit <= MAX_PAGE_MESSAGES:
            raise ValueError(f"limit={limit}: 1 to {MAX_PAGE_MESSAGES} is allowed")
        service, cursor = self._service(), cursor_of(after)
        page = service.loop.call(service.hub.log.read, check_name(channel), cursor, limit)
        return history_of(channel, page)

    def subscribe(self, channel: str, after: str | Cursor | None = None) -> Subscription:
        """An iterator over `Message` and `Lost`: live, or from a cursor or "earliest" on. It has begun when this returns."""
        service, start = self._service(), start_of(after)
        return Subscription(service.hub, service.loop, check_name(channel), start)

    def presence(self, channel: str) -> Present:
        """Who subscribes, on all instances."""
        service = self._service()
        return service.loop.call(service.hub.log.presence.present, check_name(channel))

    def remove_history(self, channel: str) -> None:
        """Remove all messages. The channel begins anew, and its subscribers are told that history was lost."""
        service = self._service()
        service.loop.call(service.hub.remove_history, check_name(channel))

    def disconnect(self, subject: str) -> None:
        """End all WebSockets and streams that clients with this subject in their token have, at all instances.

        Their tickets are void. A token that is still valid lets them come back.
        """
        if not subject:
            raise ValueError("subject: the claim sub of a token is expected")
        service = self._service()
        service.loop.call(service.disconnects.disconnect, subject)

    def authorize(self, rule: Rule, *, protects: bool = True) -> Rule:
        """Have `rule(action, channel, request)` say whether a client may "subscribe", "publish", read "presence" or "history".

        Where there are tokens, both have to allow it. It is not asked about the application's own calls. `protects=False`: the
        rule is about some channels only, so that listening beyond loopback needs a secret as it does without a rule.
        """
        self.hook.rule, self.hook.protects = rule, protects
        return rule

    def request(self, *_args: object, **_options: object) -> NoReturn:
        raise NotImplementedError("channels.request is not available in this version")

    def close(self) -> None:
        """Close the log of a program without Flask, as the end of the process does; an application closes its own."""
        _close(self._service())


#: Those of programs without Flask in this process that were not closed yet.
_open: WeakSet[ChannelService] = WeakSet()


def _close(service: ChannelService) -> None:
    _open.discard(service)
    service.stop()
    service.close()
    service.loop.close()


@atexit.register
def _close_all() -> None:
    for service in list(_open):
        _close(service)


def _append_or_error(message: tuple[str, object] | Mapping[str, Any]) -> Append | ChannelError:
    """Raises what is wrong with the program: TypeError, ValueError, KeyError."""
    if isinstance(message, Mapping):
        channel, data, key = message["channel"], message["data"], message.get("idempotency_key")
    else:
        (channel, data), key = message, None
    try:
        return append_of(channel, data, key)
    except ChannelError as exc:
        return exc
