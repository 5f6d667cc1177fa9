"""Sounds that are no Morse, kind by kind, and what is short or regular but is."""

from __future__ import annotations

import random

import pytest
import wirecodes

from .keyer import Sender, file_of, noise, silence, sound
from .no_morse import KINDS, Sound

MORSE = wirecodes.get("morse")
#: Sounds of each kind that are tried by each run, and the level of the tone above the noise.
QUICK = 3
NOISES = (None, 5, 15)
#: How many of the sounds, each in three noises, are still read as a text: a few letters of notes with long pauses.
KNOWN = {"siren": 1, "music": 5, "telephone": 1}


def heard(samples: list[float]) -> str:
    try:
        return MORSE.decode(file_of(samples), from_="wav").decode()
    except wirecodes.DecodeError as error:
        return error.reason


def recorded(make: Sound, number: int) -> list[float]:
    samples = silence(0.375) + make() + silence(0.375)
    decibel = NOISES[number % len(NOISES)]
    return samples if decibel is None else noise(samples, decibel, random.Random(number))


@pytest.mark.parametrize("kind", KINDS)
def test_is_no_morse(kind: str) -> None:
    for number, make in enumerate(KINDS[kind][:QUICK]):
        assert heard(recorded(make, number)) == "no Morse heard", number


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_is_no_morse_in_any_noise(kind: str) -> None:
    texts = {}
    for shift in range(len(NOISES)):
        for number, make in enumerate(KINDS[kind]):
            text = heard(recorded(make, number + shift))
            if text != "no Morse heard":
                texts[number, shift] = text
    assert len(texts) <= KNOWN.get(kind, 0), texts


@pytest.mark.parametrize("text", ["TTTTT", "EEEEE", "HHHHH", "E E", "73", "VVV VVV", "SEE THE TEE", "R R R"])
def test_short_and_regular_texts_are_morse(text: str) -> None:
    for sender in (Sender(), Sender(wpm=14, jitter=0.05)):
        samples = silence(0.3) + sound(text, sender, random.Random(2)) + silence(0.3)
        assert heard(samples) == text


@pytest.mark.parametrize("text", ["TTTTTT", "EEEEEEEEE", "T T T"])
def test_a_beep_again_and_again_is_no_morse(text: str) -> None:
    samples = silence(0.3) + sound(text, Sender(), random.Random(2)) + silence(0.3)
    assert heard(samples) == "no Morse heard"
