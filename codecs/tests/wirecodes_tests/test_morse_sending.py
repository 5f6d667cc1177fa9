"""Morse as sound: what is sent is measured on the signal, and what is heard comes back from noise, jitter and
other formats.
"""

from __future__ import annotations

import io
import math
import struct
import wave
from array import array
from itertools import pairwise

import pytest
import wirecodes
from wirecodes.coder import OUTPUT_PIECE
from wirecodes.morse.sending import EDGE

MORSE = wirecodes.get("morse")
TEXT = "CQ DE W1AW = THE QUICK BROWN FOX JUMPS OVER 12 LAZY DOGS (73). IT WAS THE BEST, THE WORST / QSL? NR 456890 + <SK>"


def samples_of(file: bytes) -> tuple[array[int], int]:
    with wave.open(io.BytesIO(file)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth()) == (1, 2)
        return array("h", opened.readframes(opened.getnframes())), opened.getframerate()


def envelope(samples: array[int], rate: int, tone: float) -> list[float]:
    """The amplitude at each sample, from the tone mixed down and averaged over one period."""
    period = round(rate / tone)
    mixed = [
        value * complex(math.cos(w), math.sin(w))
        for n, value in enumerate(samples)
        for w in [2 * math.pi * tone * n / rate]
    ]
    levels = []
    running = 0j
    for index, value in enumerate(mixed):
        running += value - (mixed[index - period] if index >= period else 0)
        levels.append(2 * abs(running) / period)
    return levels[period // 2 :]


def measured(file: bytes, tone: float) -> list[tuple[bool, float]]:
    """Key down or up, and for how many seconds, at half of the amplitude."""
    samples, rate = samples_of(file)
    levels = envelope(samples, rate, tone)
    half = max(levels) / 2
    crossings = [
        index for index in range(1, len(levels)) if (levels[index] >= half) != (levels[index - 1] >= half)
    ]
    return [
        (number % 2 == 0, (end - begin) / rate) for number, (begin, end) in enumerate(pairwise(crossings))
    ]


class TestSending:
    def test_the_header_has_the_exact_sizes(self) -> None:
        file = MORSE.encode("PARIS", to="wav")
        riff, size, kind, fmt, length, code, channels, rate, per_second, frame, bits, data, count = (
            struct.unpack("<4sI4s4sIHHIIHH4sI", file[:44])
        )
        assert (riff, kind, fmt, data) == (b"RIFF", b"WAVE", b"fmt ", b"data")
        assert (size, count) == (len(file) - 8, len(file) - 44)
        assert (length, code, channels, rate, per_second, frame, bits) == (16, 1, 1, 8000, 16000, 2, 16)

    @pytest.mark.parametrize(("wpm", "rate"), [(20, 8000), (13.7, 11025)])
    def test_signals_and_gaps_have_the_lengths_of_the_recommendation(self, wpm: float, rate: int) -> None:
        unit = 1.2 / wpm
        found = measured(MORSE.encode("PARIS AN", to="wav", wpm=wpm, rate=rate, tone=1000), 1000)
        units = MORSE.encode("PARIS AN", to="units").decode().rstrip("0")
        expected = [
            (run[0] == "1", len(run)) for run in units.replace("01", "0 1").replace("10", "1 0").split()
        ]
        assert [down for down, _ in found] == [down for down, _ in expected]
        for (_, seconds), (_, count) in zip(found, expected, strict=True):
            assert seconds == pytest.approx(count * unit, abs=0.0006)

    def test_paris_with_its_gap_takes_a_minute_over_the_speed(self) -> None:
        one, two = (samples_of(MORSE.encode(text, to="wav", wpm=25))[0] for text in ("PARIS", "PARIS PARIS"))
        assert len(two) - len(one) == pytest.approx(8000 * 60 / 25, abs=1)

    def test_farnsworth_makes_gaps_longer_by_the_formula(self) -> None:
        one, two = (
            samples_of(MORSE.encode(t, to="wav", wpm=18, farnsworth=5))[0] for t in ("PARIS", "PARIS PARIS")
        )
        assert len(two) - len(one) == pytest.approx(8000 * 60 / 5, abs=1)
        found = measured(MORSE.encode("EE E", to="wav", wpm=18, farnsworth=5, tone=1000), 1000)
        added = (60 * 18 - 37.2 * 5) / (5 * 18)
        assert [seconds for _, seconds in found] == pytest.approx(
            [1.2 / 18, 3 * added / 19, 1.2 / 18, 7 * added / 19, 1.2 / 18], abs=0.0006
        )

    def test_edges_are_as_long_as_they_must_be(self) -> None:
        samples, rate = samples_of(MORSE.encode("T", to="wav", tone=2000, rate=48000))
        levels = envelope(samples, rate, 2000)
        top = max(levels)
        rise = next(i for i, level in enumerate(levels) if level > 0.99 * top) - next(
            i for i, level in enumerate(levels) if level > 0.01 * top
        )
        assert EDGE >= 0.005
        assert rise / rate > 0.8 * EDGE
        assert samples[0] == 0
        assert abs(samples[-1]) < 50

    def test_the_tone_is_the_one_asked_for(self) -> None:
        samples, rate = samples_of(MORSE.encode("TTTT", to="wav", tone=731))
        found = {tone: max(envelope(samples, rate, tone)) for tone in (331, 731, 1331)}
        assert max(found, key=lambda tone: found[tone]) == 731

    def test_pieces_are_bounded_and_a_text_too_long_is_refused(self) -> None:
        pieces = [
            len(piece)
            for piece in MORSE.encode_stream([b"E " * 300], to="wav", wpm=5, farnsworth=1, rate=48000)
        ]
        assert min(pieces) > 0
        assert max(pieces) <= OUTPUT_PIECE
        assert sum(pieces) > 100_000_000
        with pytest.raises(wirecodes.EncodeError, match="longer than a WAV file"):
            MORSE.encoder(to="wav", wpm=1, rate=48000).update(b"0" * 5000)

    @pytest.mark.parametrize(
        ("option", "options"),
        [
            ("farnsworth", {"to": "wav", "farnsworth": 21}),
            ("tone", {"to": "wav", "tone": 3501}),
            ("tone", {"to": "wav", "tone": "none"}),
            ("rate", {"to": "wav", "rate": 7999}),
            ("rate", {"to": "wav", "rate": "8000.5"}),
            ("wpm", {"to": "wav", "wpm": 0}),
            ("wpm", {"to": "units", "wpm": 12}),
            ("farnsworth", {"farnsworth": "5"}),
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, option: str, options: dict[str, object]) -> None:
        with pytest.raises(wirecodes.OptionError) as caught:
            MORSE.encode("E", **options)
        assert caught.value.option == option

    def test_sound_is_bytes_and_everything_else_text(self) -> None:
        assert MORSE.produces("encode", to="wav") == "bytes"
        assert MORSE.produces("encode", to="units") == "text"
        assert MORSE.produces("decode", **{"from": "wav"}) == "text"

    def test_nothing_is_a_file_without_sound(self) -> None:
        file = MORSE.encode("", to="wav")
        assert len(file) == 44
        with pytest.raises(wirecodes.DecodeError, match="no Morse heard"):
            MORSE.decode(file, from_="wav")
