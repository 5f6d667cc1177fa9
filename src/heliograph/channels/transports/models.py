"""The JSON documents of the channels' endpoints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from heliograph.channels.names import MAX_NAME

#: The name of a channel as a part of a path.
NAME = {"type": "string", "pattern": f"^[A-Za-z0-9_.:-]{{1,{MAX_NAME}}}$"}

#: A name, a part of one, or an empty text.
NAME_OR_NOTHING = f"^[A-Za-z0-9_.:-]{{0,{MAX_NAME}}}$"

Seconds = Annotated[float, Field(description="Seconds since 1970")]
Epoch = Annotated[str, Field(description="Which log the offsets belong to")]


class PublishedMessage(BaseModel):
    channel: str
    epoch: Epoch
    offset: int
    time: Seconds


class PushDocument(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: str = Field(
        "lebowski", pattern=NAME["pattern"], description="Without it HELIOGRAPH_DEFAULT_CHANNEL"
    )
    message: Any = Field(description="Any JSON value, published as JSON")


class PushedMessage(BaseModel):
    channel: str
    message: Any
    epoch: Epoch
    offset: int


class HistoryMessage(BaseModel):
    offset: int
    time: Seconds
    data: Any = Field(description="The JSON value, the text, or bytes as `base64` in an object")


class HistoryPage(BaseModel):
    channel: str
    epoch: Epoch
    top: int = Field(description="The offset of the newest message")
    recovered: bool = Field(description="Whether the log still has all that came after the cursor")
    messages: list[HistoryMessage]


class ChannelEntry(BaseModel):
    channel: str
    epoch: Epoch
    top: int = Field(description="The offset of the newest message")
    subscribers: int


class ChannelList(BaseModel):
    channels: list[ChannelEntry]


class SubscriberEntry(BaseModel):
    id: str
    since: Seconds
    transport: Literal["websocket", "sse"]
    instance: str


class PresenceList(BaseModel):
    count: int = Field(description="Of all instances, exact")
    subscribers: list[SubscriberEntry]


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class TicketDocument(BaseModel):
    """Nothing at all, or that the ticket is for an EventSource."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"dependentRequired": {"for": ["channel"], "channel": ["for"]}},
    )

    for_: Literal["events"] = Field("events", alias="for", json_schema_extra=_without_default)
    channel: str = Field("", pattern=NAME["pattern"], json_schema_extra=_without_default)


class IssuedTicket(BaseModel):
    ticket: str
