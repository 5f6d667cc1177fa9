"""Morse as sound: what is sent is measured on the signal, and what is heard comes back from noise, jitter and
other formats.
"""

from __future__ import annotations

import io
import random
import struct
import wave
from array import array

import pytest
import wirecodes

MORSE = wirecodes.get("morse")
TEXT = "CQ DE W1AW = THE QUICK BROWN FOX JUMPS OVER 12 LAZY DOGS (73). IT WAS THE BEST, THE WORST / QSL? NR 456890 + <SK>"


def samples_of(file: bytes) -> tuple[array[int], int]:
    with wave.open(io.BytesIO(file)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth()) == (1, 2)
        return array("h", opened.readframes(opened.getnframes())), opened.getframerate()


def file_of(raw: bytes, rate: int = 8000, width: int = 2, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(width)
        opened.setframerate(rate)
        opened.writeframes(raw)
    return file.getvalue()


def heard(file: bytes) -> str:
    return MORSE.decode(file, from_="wav").decode()


class TestListening:
    @pytest.mark.parametrize(
        "options",
        [
            {"wpm": 5},
            {"wpm": 12, "tone": 200},
            {"wpm": 40, "tone": 3500},
            {"wpm": 60, "rate": 11025},
            {"wpm": 18, "farnsworth": 6},
            {"rate": 44100, "tone": 1234.5},
        ],
    )
    def test_our_own_sound_comes_back_without_an_error(self, options: dict[str, object]) -> None:
        text = TEXT[:60] if {"wpm", "rate"} & set(options) else TEXT
        assert heard(MORSE.encode(text, to="wav", **options)) == text.strip()

    @pytest.mark.parametrize("text", ["E", "T", "SOS", "TTT", "EEE", "5", "A", "CQ CQ", "E E", "<SOS>"])
    def test_a_few_letters_are_enough(self, text: str) -> None:
        assert heard(MORSE.encode(text, to="wav")) == text

    def test_eight_bits_and_two_channels_are_read(self) -> None:
        samples, rate = samples_of(MORSE.encode(TEXT[:40], to="wav", rate=11025, wpm=30))
        assert (
            heard(file_of(bytes((value >> 8) + 128 for value in samples), rate, width=1)) == TEXT[:40].strip()
        )
        both = array("h", [value for sample in samples for value in (sample, -200)])
        assert heard(file_of(both.tobytes(), rate, channels=2)) == TEXT[:40].strip()

    def test_silence_and_noise_before_and_after_are_no_letters(self) -> None:
        dice = random.Random(4)
        hiss = array("h", [round(dice.gauss(0, 300)) for _ in range(8000 * 25)])
        samples = samples_of(MORSE.encode("VVV DE W1AW", to="wav"))[0]
        assert heard(file_of((hiss + samples + hiss).tobytes())) == "VVV DE W1AW"

    @pytest.mark.slow
    def test_a_long_recording_is_read_in_parts_without_a_seam(self) -> None:
        text = " ".join(["SLOWLY SENT"] * 26)
        file = MORSE.encode(text, to="wav", wpm=5)
        assert len(file) > 2 * 8000 * 660
        pieces = [file[start : start + 50_000] for start in range(0, len(file), 50_000)]
        parts = list(MORSE.decode_stream(pieces, from_="wav"))
        assert len(parts) == 2
        assert b"".join(parts).decode() == text

    def test_byte_by_byte_gives_the_same(self) -> None:
        file = MORSE.encode("AB", to="wav", wpm=60)
        decoder = MORSE.decoder(from_="wav")
        out = b"".join(decoder.update(file[index : index + 1]) for index in range(len(file)))
        assert out + decoder.finish() == b"AB"


def chunk(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return (
        kind
        + struct.pack("<I", len(content) if size is None else size)
        + content
        + b"\0" * (len(content) % 2)
    )


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FORMAT = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
SOUND = MORSE.encode("SOS", to="wav")[44:]
