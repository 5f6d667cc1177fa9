"""Problems of the codecs and the echo. Pure."""

from __future__ import annotations

from heliograph.problems import BadRequest, NotFound, Problem, Unavailable


class MissingMessage(BadRequest):
    name, title = "missing-message", "The message is missing"


class DecodeProblem(BadRequest):
    name, title = "decode-error", "The input cannot be decoded"


class EncodeProblem(BadRequest):
    name, title = "encode-error", "The input cannot be encoded"


class BadMultipart(BadRequest):
    name, title = "bad-multipart", "The multipart body cannot be read"


class UnknownCodec(NotFound):
    name, title = "unknown-codec", "There is no codec of this name"


class OutputTooLarge(Problem):
    status, name, title = 413, "output-too-large", "The output is too large"


class CodecsBusy(Unavailable):
    name, title = "codecs-busy", "Too many codec jobs are waiting"
