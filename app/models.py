"""The JSON documents of the echo and of the documentation."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, RootModel

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class EchoedText(BaseModel):
    text: str


class EchoedBytes(BaseModel):
    """A body that is not UTF-8."""

    base64: str


class EchoedRequest(BaseModel):
    method: str
    path: str
    query: list[Pair] = Field(description="Names and values, in order")
    headers: list[Pair] = Field(description="Names and values, in order")
    body: EchoedText | EchoedBytes
    remote_addr: str
    scheme: str
    host: str
    instance: str


class Slept(BaseModel):
    slept: float = Field(description="Seconds")


class Telegram(BaseModel):
    offset: int = Field(description="On the channel `telegraph`")
    text: str
    morse: str


class SentTelegrams(BaseModel):
    telegrams: list[Telegram]


class OpenApiDocument(RootModel[dict[str, Any]]):
    """OpenAPI 3.1."""


class ProblemTypeEntry(BaseModel):
    type: str = Field(description="/problems/<name>")
    title: str
    status: int
