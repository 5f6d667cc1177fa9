"""A Morse keyer for tests and comparisons: every property of a sender as a parameter, everything random by a seed."""

from __future__ import annotations

import io
import math
import random
import wave
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import wirecodes

RATE = 8000
#: Of full scale, so that noise has room.
LEVEL = 0.1


@dataclass(frozen=True)
class Sender:
    """How something is sent. Lengths are in units of 1.2 / wpm seconds, `edge` is in seconds and inside the mark.

    `weight` is in per cent, 50 is the standard; `dash`, `gap`, `letter` and `word` are lengths before weighting.
    `jitter` is the standard deviation of each element's factor. `acceleration` is the speed at the end as a
    multiple of that at the beginning.
    """

    wpm: float = 20
    weight: float = 50
    dash: float = 3
    gap: float = 1
    letter: float = 3
    word: float = 7
    edge: float = 0.005
    shape: str = "cosine"
    jitter: float = 0
    acceleration: float = 1
    tone: float = 600
    drift: float = 0  # hertz a second
    level: float = LEVEL


#: How the level rises from 0 to 1, over the part of the edge that has passed.
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda part: part,
    "cosine": lambda part: 0.5 - 0.5 * math.cos(math.pi * part),
    "exponential": lambda part: (1 - math.exp(-5 * part)) / (1 - math.exp(-5)),
    "gaussian": lambda part: math.exp(-4.5 * (1 - part) ** 2) * (1 if part > 0 else 0),
}


def elements(text: str, sender: Sender, dice: random.Random) -> list[tuple[bool, float]]:
    """Marks and gaps in turn, with their lengths in seconds."""
    more = sender.weight / 50 - 1
    codes = wirecodes.get("morse").encode(text).decode()
    found: list[tuple[bool, float]] = []
    for word in codes.split(" / "):
        for code in word.split(" "):
            for element in code:
                found.append((True, (sender.dash if element == "-" else 1) + more))
                found.append((False, sender.gap - more))
            found[-1] = (False, sender.letter - more)
        found[-1] = (False, sender.word - more)
    found.pop()
    timed = []
    for number, (down, length) in enumerate(found):
        speed = sender.acceleration ** (number / len(found))
        factor = max(0.2, dice.gauss(1, sender.jitter)) if sender.jitter else 1
        timed.append((down, length * factor * 1.2 / (sender.wpm * speed)))
    return timed


def sound(text: str, sender: Sender, dice: random.Random, rate: int = RATE) -> list[float]:
    """What is sent, of full scale 1, without silence before and after."""
    out: list[float] = []
    end = 0.0
    shape = SHAPES[sender.shape]
    edge = [shape((k + 0.5) / (sender.edge * rate)) for k in range(round(sender.edge * rate))]
    for down, length in elements(text, sender, dice):
        end += length
        count = round(end * rate) - len(out)
        if not down:
            out.extend([0.0] * count)
            continue
        first = len(out)
        turn = 2 * math.pi / rate
        wave_of = [
            sender.level * math.sin(turn * (sender.tone + sender.drift * k / rate / 2) * k)
            for k in range(first, first + count)
        ]
        for k in range(min(len(edge), count // 2)):
            wave_of[k] *= edge[k]
            wave_of[-1 - k] *= edge[k]
        out.extend(wave_of)
    return out


def silence(seconds: float, rate: int = RATE) -> list[float]:
    return [0.0] * round(seconds * rate)


def noise(
    samples: Iterable[float], decibel: float, dice: random.Random, rate: int = RATE, level: float = LEVEL
) -> list[float]:
    """With white noise: the tone's power is `decibel` above that of the noise in 4 kHz."""
    deviation = level / math.sqrt(2) / 10 ** (decibel / 20) * math.sqrt(rate / 8000)
    gauss = dice.gauss
    return [sample + gauss(0, deviation) for sample in samples]


def faded(samples: list[float], decibel: float, period: float, rate: int = RATE) -> list[float]:
    """Down by `decibel` and up again, as a cosine in decibels."""
    turn = 2 * math.pi / period / rate
    return [
        sample * 10 ** (-decibel * (0.5 - 0.5 * math.cos(turn * k)) / 20) for k, sample in enumerate(samples)
    ]


def file_of(samples: Iterable[float], rate: int = RATE) -> bytes:
    """A WAV file of 16 bits, mono."""
    file = io.BytesIO()
    raw = array("h", [max(-32768, min(32767, round(32767 * sample))) for sample in samples])
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes(raw.tobytes())
    return file.getvalue()


def distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        above, row = row, [number]
        for place, right in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[place] + 1, above[place - 1] + (left != right)))
    return row[-1]
