"""Morse beside what is none: bursts of noise far stronger than the tone, by themselves and in a text."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
import wirecodes

from .keyer import RATE, Sender, file_of, noise, silence, sound

MORSE = wirecodes.get("morse")
SHORT = "CQ DE Q4ABC 599"
LEVEL = 0.02


def heard(samples: list[float]) -> str:
    try:
        return MORSE.decode(file_of(samples), from_="wav").decode()
    except wirecodes.DecodeError as error:
        return error.reason


def sent(text: str, dice: random.Random) -> list[float]:
    return silence(0.5) + sound(text, Sender(wpm=25, jitter=0.05, level=LEVEL), dice) + silence(0.5)


def struck(samples: list[float], every: float, length: float, dice: random.Random) -> list[float]:
    """With bursts of noise of `length` seconds, 30 dB above `LEVEL`."""
    out = list(samples)
    at = 0.5 * every
    while at * RATE < len(out):
        for k in range(round(at * RATE), min(len(out), round((at + length) * RATE))):
            out[k] += dice.gauss(0, 0.5)
        at += every * dice.uniform(0.6, 1.4)
    return out


@pytest.mark.parametrize("decibel", [0, -7])
@pytest.mark.parametrize("length", [0.001, 0.004])
def test_clicks_far_stronger_than_the_tone_change_no_letter(decibel: float, length: float) -> None:
    dice = random.Random(3)
    samples = noise(sent(SHORT, dice), decibel, dice, level=LEVEL)
    assert heard(struck(samples, 0.9, length, dice)) == SHORT


@pytest.mark.parametrize("decibel", [0, -7])
def test_what_is_sent_before_and_after_a_burst_is_heard(decibel: float) -> None:
    dice = random.Random(5)
    samples = noise(sent(SHORT, dice) + silence(3) + sent(SHORT, dice), decibel, dice, level=LEVEL)
    middle = len(samples) // 2 - RATE
    samples[middle : middle + 2 * RATE] = [dice.gauss(0, 0.5) for _ in range(2 * RATE)]
    assert heard(samples) == f"{SHORT} {SHORT}"


@pytest.mark.parametrize(("every", "length"), [(3, 0.3), (1.5, 0.05), (6, 2), (1, 0.002)])
def test_bursts_alone_are_no_morse(every: float, length: float) -> None:
    dice = random.Random(7)
    samples = struck(noise(silence(15), 0, dice, level=LEVEL), every, length, dice)
    assert heard(samples) == "no Morse heard"


@pytest.mark.parametrize(
    "other",
    [
        lambda _: 0.4,
        lambda k: 0.3 * math.sin(2 * math.pi * 50 * k / RATE),
        lambda k: 0.3 * math.sin(2 * math.pi * 60 * k / RATE) + 0.1 * math.sin(2 * math.pi * 120 * k / RATE),
        lambda k: -0.5 + 0.1 * math.sin(2 * math.pi * 50 * k / RATE),
    ],
    ids=["offset", "50 Hz", "60 Hz", "offset and 50 Hz"],
)
def test_an_offset_or_hum_far_stronger_than_the_tone_changes_no_letter(other: Callable[[int], float]) -> None:
    dice = random.Random(1)
    samples = sent(SHORT, dice)
    assert heard([sample + other(k) for k, sample in enumerate(samples)]) == SHORT
