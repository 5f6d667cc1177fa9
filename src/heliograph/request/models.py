"""The JSON documents of `request`: what problems and the health views answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457). Some types have further members, such as `limit` or `position`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="/problems/<name>")
    title: str
    status: int
    detail: str


class Alive(BaseModel):
    """Further members are facts that the application tells about itself."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok"]
    version: str
    instance: str
    kernel: Literal["compiled", "pure"] | None = Field(None, description="Which form of the codecs runs")


class Readiness(BaseModel):
    status: Literal["ready", "unready"]
    checks: dict[str, str] = Field(description="Each is ok, or says what is wrong")
