"""What can go wrong, as a tree; every other exception from this package is a bug or a wrong Python type.

    CodecError(ValueError)          .reason, .position (offset in the input, or None), .stage (of a pipeline)
    +-- EncodeError                 the input is not something this codec can encode
    +-- DecodeError                 the input is not what this codec's encoder writes
    |   +-- OutputLimitError        the result is longer than max_output: .limit
    +-- CodewordError               a list of code words, or a message in them, that cannot be taken
    +-- OptionError                 .option: unknown or with a wrong value; .known: the options there are
    UnknownCodecError(LookupError)  .name, .known

The position is a byte offset; in text it is a character offset, which for ASCII is the same. In a pipeline
it is one in the input of the stage that the error names.
"""

from __future__ import annotations

#: Names and values from outside are quoted in messages up to this length: a message has to fit on a line.
_QUOTED = 60


def quoted(value: object) -> str:
    """`value` as a message shows it: unambiguous, on one line and not longer than a message may be."""
    text = ascii(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


class CodecError(ValueError):
    """The base of all errors about data and options."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason, position)
        self.reason = reason
        self.position = position
        self.stage: str | None = None

    def __str__(self) -> str:
        stage = f"{self.stage}: " if self.stage else ""
        place = "" if self.position is None else f" at position {self.position}"
        return f"{stage}{self.reason}{place}"


class EncodeError(CodecError):
    """The input cannot be encoded; `position` says where."""


class DecodeError(CodecError):
    """The input cannot be decoded; `position` says where."""


class OutputLimitError(DecodeError, EncodeError):
    """The result, decoded or encoded, is longer than the caller allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the result is longer than {limit} bytes")
        self.args = (limit,)
        self.limit = limit


class CodewordError(CodecError):
    """Code words or a message that cannot be taken; `position` is the number of the word, or of the digit."""


class OptionError(CodecError):
    """An option that the codec does not know in this direction, or a value that it does not take."""

    def __init__(self, option: str, reason: str, known: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.args = (option, reason, known)
        self.option = option
        self.known = known

    def __str__(self) -> str:
        return f"option {quoted(self.option)}: {super().__str__()}"


class UnknownCodecError(LookupError):
    """No codec has this name, or it is a pipeline that cannot be built."""

    def __init__(self, name: str, reason: str, known: tuple[str, ...]) -> None:
        super().__init__(name, reason, known)
        self.name = name
        self.reason = reason
        self.known = known

    def __str__(self) -> str:
        return self.reason
