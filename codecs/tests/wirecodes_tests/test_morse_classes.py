"""What senders do, class by class: the table of the README, each row with senders that no other test has."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
import wirecodes

from .keyer import (
    LEVEL,
    RATE,
    SHAPES,
    Sender,
    distance,
    faded,
    file_of,
    noise,
    silence,
    sound,
)

MORSE = wirecodes.get("morse")
SHORT = "CQ DE Q4ABC 599"
TEXT = "Q4ABC IS 28 MILES WEST, WX FAIR, 15 DEG. PSE K"


def heard(samples: list[float], rate: int = RATE) -> str:
    return MORSE.decode(file_of(samples, rate), from_="wav").decode()


def sent(text: str, sender: Sender, seed: int = 1) -> list[float]:
    return silence(0.3) + sound(text, sender, random.Random(seed)) + silence(0.3)


def error(samples: list[float], text: str) -> float:
    return distance(heard(samples), text) / len(text)


class TestOneSender:
    @pytest.mark.parametrize("weight", [30, 40, 60, 70])
    def test_light_and_heavy_keying(self, weight: float) -> None:
        assert heard(sent(SHORT, Sender(wpm=28, weight=weight, edge=0.002))) == SHORT

    @pytest.mark.parametrize(("gap", "letter"), [(0.4, 0.8), (0.5, 3), (1.5, 2.8), (1, 1.8)])
    def test_gaps_of_any_length(self, gap: float, letter: float) -> None:
        assert heard(sent(SHORT, Sender(gap=gap, letter=letter, edge=0.002))) == SHORT

    @pytest.mark.parametrize("dash", [2, 2.5, 4, 5])
    def test_dashes_of_any_length(self, dash: float) -> None:
        assert heard(sent(SHORT, Sender(wpm=23, dash=dash))) == SHORT

    @pytest.mark.parametrize("shape", SHAPES)
    def test_soft_edges(self, shape: str) -> None:
        for wpm in (21, 55):
            assert heard(sent(SHORT, Sender(wpm=wpm, edge=0.4 * 1.2 / wpm, shape=shape))) == SHORT

    @pytest.mark.parametrize("wpm", [1.5, 8, 35, 60])
    def test_slow_and_quick_sending(self, wpm: float) -> None:
        text = "AX" if wpm < 2 else SHORT
        assert heard(sent(text, Sender(wpm=wpm, edge=0.003))) == text

    @pytest.mark.parametrize("text", ["HI HI", "EISH5", "5 HIS SHE", "TTT", "MOM OTTO", "E E", "K", "<SK>"])
    def test_only_dots_only_dashes_and_one_letter(self, text: str) -> None:
        assert heard(sent(text, Sender(wpm=24))) == text

    def test_jitter_of_a_hand(self) -> None:
        errors = [error(sent(TEXT, Sender(wpm=28, jitter=0.15), seed), TEXT) for seed in range(5)]
        assert sum(errors) / len(errors) <= 0.02

    @pytest.mark.slow
    @pytest.mark.parametrize("wpm", [18, 28])
    def test_jitter_of_many_hands(self, wpm: float) -> None:
        """Over more characters than one text has, of which one wrong character is 2 % already."""
        errors = [error(sent(TEXT, Sender(wpm=wpm, jitter=0.15), seed), TEXT) for seed in range(25)]
        assert sum(errors) / len(errors) <= 0.01

    @pytest.mark.parametrize("acceleration", [0.5, 2])
    def test_speed_that_changes(self, acceleration: float) -> None:
        assert error(sent(TEXT, Sender(wpm=20, acceleration=acceleration)), TEXT) <= 0.01

    def test_a_tone_that_drifts(self) -> None:
        assert error(sent(TEXT, Sender(tone=500, drift=9)), TEXT) <= 0.03

    @pytest.mark.parametrize(("decibel", "period"), [(20, 15), (14, 0.6), (14, 3)])
    def test_fading(self, decibel: float, period: float) -> None:
        assert error(faded(sent(TEXT, Sender(wpm=22)), decibel, period), TEXT) <= 0.03


class TestOurOwnSound:
    @pytest.mark.parametrize(
        ("text", "options"),
        [
            ("PA", {"wpm": 1}),
            ("HI HI", {"wpm": 4}),
            ("CQ", {"wpm": 20, "farnsworth": 1}),
            ("CQ DE K", {"wpm": 100, "farnsworth": 8}),
            (SHORT, {"wpm": 100, "tone": 200}),
            (SHORT, {"wpm": 100, "tone": 3500}),
            (SHORT, {"wpm": 33, "tone": 3500, "rate": 48000}),
            (SHORT, {"wpm": 12, "tone": 444, "rate": 11025}),
        ],
    )
    def test_comes_back(self, text: str, options: dict[str, object]) -> None:
        assert MORSE.decode(MORSE.encode(text, to="wav", **options), from_="wav").decode() == text


class TestSeveralSenders:
    @pytest.mark.parametrize(
        "other",
        [
            Sender(tone=700),
            Sender(tone=2050, wpm=35),
            Sender(level=LEVEL / 10),
            Sender(level=LEVEL * 9, wpm=14),
            Sender(wpm=38),
        ],
    )
    def test_one_after_another(self, other: Sender) -> None:
        first, second = "CQ CQ DE Q4ABC K", "Q4ABC DE Q9XYZ UR 579 BK"
        samples = sent(first, Sender(wpm=22)) + sent(second, other)
        assert error(samples, f"{first} {second}") <= 0.03


class TestNoise:
    @pytest.mark.parametrize(("decibel", "most"), [(3, 0.0), (-5, 0.01), (-9, 0.03)])
    def test_a_text_in_noise(self, decibel: float, most: float) -> None:
        samples = noise(sent(TEXT, Sender(jitter=0.1), 5), decibel, random.Random(6))
        assert error(samples, TEXT) <= most

    @pytest.mark.slow
    def test_a_long_text_at_the_limit(self) -> None:
        dice = random.Random(9)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        text = " ".join("".join(dice.choices(letters, k=dice.randint(1, 8))) for _ in range(280))
        assert len(text) >= 1500
        samples = noise(sound(text, Sender(jitter=0.1), dice), -9, dice)
        assert error(samples, text) <= 0.01


def tone(seconds: float, hertz: float) -> list[float]:
    return [LEVEL * math.sin(2 * math.pi * hertz * k / RATE) for k in range(round(seconds * RATE))]


def bursts(dice: random.Random) -> list[float]:
    out = silence(0.5)
    for _ in range(12):
        out += [dice.gauss(0, LEVEL) for _ in range(round(RATE * dice.uniform(0.02, 0.4)))]
        out += silence(dice.uniform(0.05, 0.6))
    return out


class TestNothing:
    @pytest.mark.parametrize(
        "samples",
        [
            lambda: [],
            lambda: silence(3),
            lambda: noise(silence(2), 0, random.Random(1)),
            lambda: noise(silence(30), 0, random.Random(2)),
            lambda: tone(9, 700),
            lambda: tone(20, 100),
            lambda: noise(tone(12, 440), 10, random.Random(3)),
            lambda: noise(sent(SHORT, Sender(jitter=0.1)), -16, random.Random(4)),
        ],
        ids=["empty", "silence", "short noise", "noise", "tone", "hum", "tone in noise", "too weak"],
    )
    def test_is_an_error(self, samples: Callable[[], list[float]]) -> None:
        with pytest.raises(wirecodes.DecodeError) as caught:
            heard(samples())
        assert caught.value.reason == "no Morse heard"

    def test_a_code_of_no_character_is_the_replacement_character(self) -> None:
        """Four dashes, and the code of the question mark, which is one."""
        samples = sound("CQ TTTT A ? ETETET", Sender(), random.Random(1))
        assert heard(samples) == "CQ TTTT A ? ETETET"
        joined = sound("MM", Sender(letter=1), random.Random(1))
        assert heard(sound("CQ", Sender(), random.Random(1)) + silence(0.42) + joined) == "CQ \ufffd"
