"""Channels over HTTP: publish, read the history, what there is and who is there, tickets. The streams are in `sse.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from heliograph.channels.live.start import From, parse_start
from heliograph.channels.log import Log
from heliograph.channels.message import MAX_MESSAGE, Append
from heliograph.channels.names import INTERNAL
from heliograph.channels.presence import SubscriberInfo
from heliograph.channels.problems import BadChannel, BadCursorProblem, MessageTooLongProblem
from heliograph.channels.records import (
    MAX_PAGE_CHANNELS,
    MAX_PAGE_MESSAGES,
    Appended,
    ChannelInfo,
    ChannelPage,
)
from heliograph.channels.service import ChannelService
from heliograph.channels.transports import access, posts
from heliograph.channels.transports.current import current_channels, current_limits
from heliograph.channels.transports.documents import list_document
from heliograph.channels.transports.models import (
    NAME,
    NAME_OR_NOTHING,
    ChannelList,
    HistoryPage,
    IssuedTicket,
    PresenceList,
    PublishedMessage,
    TicketDocument,
)
from heliograph.channels.transports.rendering import message_json
from heliograph.channels.transports.tokens import Grant
from heliograph.problems import (
    BadDocument,
    BadOption,
    BodyTooLarge,
    IncompleteBody,
    RequestTimeout,
    TooManyRequests,
    UnsupportedMediaType,
)
from heliograph.request import bodies
from heliograph.request.client import current_client
from heliograph.request.openapi import BYTES, TEXT, Answer, operation
from heliograph.request.pauses import Pauses

bp = Blueprint("heliograph_channels", __name__)

TAG = "Channels"

#: Channels that the log is asked for at once.
CHANNELS_AT_ONCE = 500

#: Messages of a page if the client does not say.
DEFAULT_LIMIT = 100

PUBLISHING_PROBLEMS = (*posts.PROBLEMS, *access.PROBLEMS, BadChannel)
_READING = (*access.PROBLEMS, BadChannel, BadCursorProblem)


def key_parameter() -> list[dict[str, object]]:
    return [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "description": "The same key and message give the same answer and publish nothing again, for 10 minutes",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        }
    ]


class PageQuery(BaseModel):
    after: str = Field("earliest", description="A cursor `epoch:offset`, or earliest")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_PAGE_MESSAGES, description="Messages at most")


class ChannelsQuery(BaseModel):
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_PAGE_CHANNELS, description="Channels at most")
    after: str = Field("", pattern=NAME_OR_NOTHING, description="Only names after this one")
    prefix: str = Field("", pattern=NAME_OR_NOTHING, description="Only names that begin so")


@bp.post("/channels/<name>")
@operation(
    "Publish",
    description=f"At most {MAX_MESSAGE} bytes. What is acknowledged is stored.",
    tag=TAG,
    path={"name": NAME},
    parameters=key_parameter,
    body={"application/json": {}, "text/plain": TEXT, "*/*": BYTES},
    answers={201: Answer("Published", model=PublishedMessage)},
    problems=(*PUBLISHING_PROBLEMS, BodyTooLarge, MessageTooLongProblem, UnsupportedMediaType),
)
def publish(name: str) -> Response:
    channels = current_channels()
    granted = access.require_publish(channels, name)
    appended = publish_append(channels, posts.from_request(name, granted.subject))
    # Written out, for it is what most requests get: `jsonify` took 12 µs of 200.
    answer = (
        f'{{"channel": "{name}", "epoch": {json.dumps(appended.epoch)}, '
        f'"offset": {appended.offset}, "time": {appended.time:.6f}}}'
    )
    return Response(answer, 201, content_type="application/json")


def publish_append(channels: ChannelService, append: Append) -> Appended:
    limits, client = current_limits(), current_client()
    limits.require_rate(client)
    if append.key is not None:
        limits.require_key(client)
    with limits.using(append.channel, client):
        return channels.publish(append)


@bp.get("/channels/<name>")
@operation(
    "The history",
    description="Oldest first. `recovered` is false, and there are no messages, where the cursor cannot be resumed from.",
    tag=TAG,
    path={"name": NAME},
    query=PageQuery,
    answers={200: Answer("A page", model=HistoryPage)},
    problems=_READING,
)
def history(name: str, query: PageQuery) -> Response:
    own = current_channels()
    access.require_subscribe(own, name, "history")
    start = parse_start(query.after)
    page = own.hub.log.read(name, None if isinstance(start, From) else start, query.limit)
    head = (
        f'{{"channel": {json.dumps(name)}, "epoch": {json.dumps(page.epoch)}, "top": {page.top}, '
        f'"recovered": {json.dumps(page.recovered)}, "messages": ['
    )
    return bodies.sandboxed(list_document(head, map(message_json, page.messages)))


@bp.delete("/channels/<name>")
@operation(
    "Remove the history",
    description="The channel begins anew with another epoch, and subscribers are told that messages were lost.",
    tag=TAG,
    path={"name": NAME},
    answers={204: Answer("It is gone", "")},
    problems=(*access.PROBLEMS, BadChannel, TooManyRequests),
)
def remove_history(name: str) -> Response:
    """Who may publish may remove what was published."""
    own = current_channels()
    access.require_publish(own, name)
    current_limits().require_rate(current_client())
    own.hub.remove_history(name)
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


@bp.get("/channels")
@operation(
    "What there is",
    description=(
        "The channels that were used or are subscribed to, as far as the token allows to subscribe to them. A page that has fewer "
        "than `limit` is the last one; the next one is asked for with the last name as `after`."
    ),
    tag=TAG,
    query=ChannelsQuery,
    answers={200: Answer("By name", model=ChannelList)},
    problems=(*access.PROBLEMS, BadOption),
)
def channels(query: ChannelsQuery) -> Response:
    own = current_channels()
    granted = access.require_grant(own)
    listed = allowed_channels(own.hub.log, granted, query)
    allowed = (info for info in listed if access.allowed_by_rule(own, "subscribe", info.name))
    found = islice(allowed, query.limit)
    return list_document('{"channels": [', map(_channel_json, found))


def allowed_channels(log: Log, granted: Grant, query: ChannelsQuery) -> Iterator[ChannelInfo]:
    """The channels that may be subscribed to. Looking at those that may not is work, too, and pauses."""
    pauses = Pauses()
    after = query.after
    while True:
        page = log.channels(ChannelPage(query.prefix, after, CHANNELS_AT_ONCE))
        for info in page:
            pauses()
            if not info.name.startswith(INTERNAL) and granted.may_subscribe(info.name):
                yield info
        if len(page) < CHANNELS_AT_ONCE:
            return
        after = page[-1].name


def _channel_json(info: ChannelInfo) -> str:
    return (
        f'{{"channel": "{info.name}", "epoch": {json.dumps(info.epoch)}, "top": {info.top}, '
        f'"subscribers": {info.subscribers}}}'
    )


@bp.get("/channels/<name>/presence")
@operation(
    "Who subscribes",
    description="On all instances. `count` is exact; at most 1,000 of each instance are named.",
    tag=TAG,
    path={"name": NAME},
    answers={200: Answer("Who is there", model=PresenceList)},
    problems=_READING,
)
def presence(name: str) -> Response:
    own = current_channels()
    access.require_subscribe(own, name, "presence")
    present = own.hub.log.presence.present(name)
    rows = (json.dumps(subscriber_row(subscriber)) for subscriber in present.subscribers)
    return list_document(f'{{"count": {present.count}, "subscribers": [', rows)


def subscriber_row(info: SubscriberInfo) -> dict[str, object]:
    return {"id": info.id, "since": info.since, "transport": info.transport, "instance": info.instance}


@bp.post("/channels/ticket")
@operation(
    "A ticket for a WebSocket or a stream of events",
    description=(
        "Browsers cannot send a token with those: `?ticket=` stands for it once, within 30 s, on any instance. With `for` "
        "and `channel` it is for one EventSource of that channel and all its reconnects, one stream at a time, until the "
        "token ends."
    ),
    tag=TAG,
    body={"application/json": TicketDocument},
    answers={200: Answer("A ticket", model=IssuedTicket)},
    problems=(*access.PROBLEMS, BadChannel, BadDocument, BodyTooLarge, IncompleteBody, RequestTimeout),
)
def ticket() -> Response:
    own = current_channels()
    granted = access.require_grant(own)
    channel = posts.events_channel()
    if channel is not None:
        access.require_in(granted, channel)
    response = jsonify(ticket=access.ticket_for(granted, own, channel))
    response.headers["Cache-Control"] = "no-store"
    return response
