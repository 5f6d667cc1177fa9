"""The JSON documents of the codecs, of their analysis, and of codes that a client sends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from wirecodes import prefix_codes

Count = Annotated[int, Field(ge=0)]


class OptionEntry(BaseModel):
    """Strings have `choices`; numbers have `minimum` and `maximum`, both inclusive."""

    name: str
    type: Literal["string", "integer", "number"]
    default: int | float | str | None
    description: str
    direction: Literal["encode", "decode", "both"]
    choices: list[str] = []
    minimum: float | None = None
    maximum: float | None = None


class CodecEntry(BaseModel):
    name: str
    title: str
    kind: str
    input: Literal["bytes", "text"] = Field(description="What it encodes")
    output: Literal["bytes", "text"] = Field(description="What it encodes to")
    options: list[OptionEntry]
    description: str


class CodecList(BaseModel):
    codecs: list[CodecEntry]


class SizeFigures(BaseModel):
    input_bytes: Count
    encoded_bytes: Count


class CodeFigures(SizeFigures):
    """Entropy and lengths are in code digits a symbol."""

    radix: Count
    entropy: float
    expected_length: float
    efficiency: float
    redundancy: float
    kraft_sum: str = Field(description="An exact fraction")


class SymbolFigures(BaseModel):
    symbol: Count = Field(description="The byte")
    text: str = Field(description="The byte as a character, its name, or its hexadecimal value")
    count: Count
    probability: float
    code: str


class CodeAnalysis(CodeFigures):
    symbols: list[SymbolFigures] = Field(description="The most frequent first")
    comparison: dict[str, CodeFigures | SizeFigures] = Field(
        description="Other codes, a code of fixed length, and compressions, of which only the sizes are known"
    )


class TreeNode(BaseModel):
    code: str
    count: Count
    probability: float


class TreeLeaf(TreeNode):
    symbol: Count = Field(description="The byte")
    text: str = Field(description="The byte as a character, its name, or its hexadecimal value")


class TreeBranch(TreeNode):
    children: list[TreeBranch | TreeLeaf] = Field(description="In the order of their digits")


class CodeTree(BaseModel):
    radix: Count
    root: TreeBranch | TreeLeaf | None = Field(description="null where there was nothing to code")


class MorseSign(BaseModel):
    symbol: str
    code: str
    units: Count = Field(description="Its length: a dot is one unit")
    frequency: float | None = Field(description="The share in English text, of letters")


class MorseTable(RootModel[list[MorseSign]]):
    pass


class CodeDocument(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    codewords: list[str] = Field(max_length=prefix_codes.MAX_CODEWORDS)


class MessageDocument(CodeDocument):
    message: str = Field(max_length=prefix_codes.MAX_MESSAGE)


class CodeCheck(BaseModel):
    prefix_free: bool
    uniquely_decodable: bool
    kraft_sum: str = Field(description="An exact fraction")
    radix: int = Field(description="One more than the highest digit, at least 2")
    conflict: list[str] | None = Field(description="Two words of which one is a prefix of the other")
    ambiguous: str | None = Field(description="A shortest string with two readings")


class MessageReadings(BaseModel):
    count: str = Field(description="How many there are, exactly")
    parses: list[list[Annotated[str, Field(pattern="^[0-9]+$")]]] = Field(
        max_length=prefix_codes.MAX_PARSES, description="The first of them, as lists of words"
    )
