"""Morse code by ITU-R M.1677-1: the codec `morse`, and `table()` of its symbols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wirecodes.codec import BuiltCodec, Codec, Description, Medium
from wirecodes.coder import Coder
from wirecodes.errors import OptionError
from wirecodes.morse.alphabet import table
from wirecodes.morse.keying import WRITINGS, DigitsDecoder, MorseEncoder, TextDecoder
from wirecodes.morse.listening import WavDecoder
from wirecodes.morse.sending import wav_encoder
from wirecodes.options import Direction, Option, parse

__all__ = ["morse_codec", "table"]

_SOUND = "wav"

_SOUND_OPTIONS = ("wpm", "farnsworth", "tone", "rate")

_OPTIONS = (
    Option(
        "to",
        "string",
        "text",
        "How to write the signals: dots and dashes, the keying unit by unit, a prefix code, or as sound.",
        "encode",
        choices=(*WRITINGS, _SOUND),
    ),
    Option(
        "unknown",
        "string",
        "error",
        "What to do about a character that has no Morse code: refuse, leave it out, or send a question mark.",
        "encode",
        choices=("error", "skip", "replace"),
    ),
    Option("wpm", "number", 20, "Sound: words a minute, by PARIS.", "encode", minimum=1, maximum=100),
    Option(
        "farnsworth",
        "number",
        None,
        "Sound: words a minute in all, with the characters at wpm and longer gaps between them.",
        "encode",
        minimum=1,
        maximum=100,
    ),
    Option(
        "tone", "number", 600, "Sound: the tone's frequency in hertz.", "encode", minimum=200, maximum=3500
    ),
    Option("rate", "integer", 8000, "Sound: samples a second.", "encode", minimum=8000, maximum=48000),
    Option("from", "string", "text", "How the signals are written.", "decode", choices=(*WRITINGS, _SOUND)),
)


class MorseCodec(BuiltCodec):
    """Text from end to end, but for sound."""

    def encoder(self, /, **options: object) -> Coder:
        _require_use(options)
        return super().encoder(**options)

    def produces(self, direction: Direction, /, **options: object) -> Medium:
        settings = parse(self.options, direction, options)
        if direction == "encode":
            _require_use(options)
        if settings.get("to") == _SOUND:
            return "bytes"
        return super().produces(direction, **options)

    def media_type(self, direction: Direction, /, **options: object) -> str:
        if parse(self.options, direction, options).get("to") == _SOUND:
            return "audio/wav"
        return super().media_type(direction, **options)


def _require_use(options: Mapping[str, object]) -> None:
    """Raises OptionError for an option of sound where no sound is made: it would be accepted and ignored."""
    if options.get("to", "text") == _SOUND:
        return
    for name in _SOUND_OPTIONS:
        if name in options:
            raise OptionError(name, f"is for to={_SOUND} only", ("to", "unknown", *_SOUND_OPTIONS))


def morse_codec() -> Codec:
    description = Description(
        "morse",
        "Morse code",
        "text code",
        "text",
        "text",
        "ITU-R M.1677-1: letters, figures, punctuation, and prosigns in angle brackets. Case and typographic "
        "forms fold; decoding gives capitals.",
        _OPTIONS,
    )
    return MorseCodec(description, _encoder, _decoder)


def _encoder(to: str, unknown: str, **sound: Any) -> Coder:
    if to == _SOUND:
        return wav_encoder(unknown, **sound)
    return MorseEncoder(to, unknown)


def _decoder(from_: str) -> Coder:
    if from_ == _SOUND:
        return WavDecoder()
    return TextDecoder() if from_ == "text" else DigitsDecoder(WRITINGS[from_])
