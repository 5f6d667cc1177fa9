"""Sounds that are no Morse but have tones, syllables or a rhythm: generators for tests, everything random by a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence

from .keyer import LEVEL, RATE, silence

_TURN = 2 * math.pi / RATE
#: The two lowest resonances of some vowels, in hertz.
_VOWELS = [(730, 1090), (270, 2290), (300, 870), (530, 1840), (570, 840), (440, 1020), (660, 1720)]


def tones(
    parts: Iterable[tuple[Sequence[float], float]], edge: float = 0.005, decay: float = 0.0
) -> list[float]:
    """Each part: the tones that sound at once, in hertz (none: silence), and seconds; `decay` is in nats a second."""
    out: list[float] = []
    end = 0.0
    for hertz, seconds in parts:
        end += seconds
        first, count = len(out), round(end * RATE) - len(out)
        level = LEVEL / max(1, len(hertz))
        steps = [_TURN * each for each in hertz]
        rise = max(1, round(edge * RATE))
        for k in range(count):
            shape = min(1.0, (k + 1) / rise, (count - k) / rise) * math.exp(-decay * k / RATE)
            out.append(level * shape * sum(math.sin(step * (first + k)) for step in steps))
    return out


def shifted(parts: Iterable[tuple[float, float]], phase: float = 0.0) -> list[float]:
    """A tone without a gap: each part is its frequency in hertz and seconds."""
    out: list[float] = []
    end = 0.0
    for hertz, seconds in parts:
        end += seconds
        for _ in range(round(end * RATE) - len(out)):
            phase += _TURN * hertz
            out.append(LEVEL * math.sin(phase))
    return out


def swept(low: float, high: float, period: float, seconds: float = 10, rise: float = 0.5) -> list[float]:
    """A siren: up from `low` to `high` for a part `rise` of each period, and down again."""
    out, phase = [], 0.0
    for k in range(round(seconds * RATE)):
        place = k / RATE / period % 1
        part = place / rise if place < rise else (1 - place) / (1 - rise)
        phase += _TURN * low * (high / low) ** part
        out.append(LEVEL * math.sin(phase))
    return out


def speech(seed: int, seconds: float = 10, pitch: float = 120, syllables: float = 4) -> list[float]:
    """Syllables of a hiss and a vowel, whose pitch glides, in phrases with pauses; `syllables` a second."""
    dice = random.Random(seed)
    out: list[float] = []
    while len(out) < seconds * RATE:
        for _ in range(dice.randint(3, 9)):
            length = dice.gauss(1, 0.3) / syllables
            length = min(max(length, 0.3 / syllables), 2 / syllables)
            if dice.random() < 0.6:
                out += _hiss(dice, length * 0.3)
            out += _vowel(dice, length * dice.uniform(0.4, 0.7), pitch)
            out += silence(length * dice.uniform(0.0, 0.25))
        out += silence(dice.uniform(0.2, 0.6))
    return out[: round(seconds * RATE)]


def _hiss(dice: random.Random, seconds: float) -> list[float]:
    count = round(seconds * RATE)
    before = 0.0
    out = []
    for k in range(count):
        value = dice.gauss(0, 0.4 * LEVEL)
        out.append((value - 0.8 * before) * math.sin(math.pi * (k + 0.5) / count))
        before = value
    return out


def _vowel(dice: random.Random, seconds: float, pitch: float) -> list[float]:
    count = round(seconds * RATE)
    begin, end = (pitch * dice.uniform(0.8, 1.3) for _ in range(2))
    vowel, other = dice.choice(_VOWELS), dice.choice(_VOWELS)
    loud = LEVEL * dice.uniform(0.4, 1.2)
    harmonics = []
    for number in range(1, int(3000 / max(begin, end)) + 1):
        hertz = number * (begin + end) / 2
        levels = [
            sum(1 / (1 + ((hertz - peak) / 90) ** 2) / (1 + n) for n, peak in enumerate(peaks))
            for peaks in (vowel, other)
        ]
        if max(levels) > 0.01:
            harmonics.append((number, *levels))
    out = []
    phase = 0.0
    for k in range(count):
        part = k / count
        phase += _TURN * (begin + (end - begin) * part)
        shape = loud * min(1.0, part / 0.15, (1 - part) / 0.3)
        out.append(shape * sum((a + (b - a) * part) * math.sin(number * phase) for number, a, b in harmonics))
    return out


def melody(
    seed: int,
    bpm: float,
    decay: float = 3.0,
    chord: Sequence[int] = (0,),
    seconds: float = 10,
    legato: float = 1.0,
) -> list[float]:
    """Notes of a scale in a rhythm of quarters, eighths and halves, each with the tones of `chord` (in semitones)."""
    dice = random.Random(seed)
    scale = (0, 2, 4, 5, 7, 9, 11, 12, 14)
    place, parts, spent = 4, [], 0.0
    while spent < seconds:
        place = min(max(place + dice.choice((-2, -1, -1, 0, 1, 1, 2)), 0), len(scale) - 1)
        length = dice.choice((0.5, 0.5, 1, 1, 1, 2)) * 60 / bpm
        notes = [330 * 2 ** ((scale[place] + more) / 12) for more in chord]
        parts += [(notes, legato * length), ((), (1 - legato) * length)]
        spent += length
    return tones([part for part in parts if part[1] > 0], edge=0.01, decay=decay)


def cadence(
    hertz: Sequence[float], lengths: Sequence[float], seconds: float = 10, edge: float = 0.005
) -> list[float]:
    """A tone that is on and off in turn for `lengths`, again and again."""
    parts: list[tuple[Sequence[float], float]] = []
    while sum(length for _, length in parts) < seconds:
        parts += [((), length) if number % 2 else (hertz, length) for number, length in enumerate(lengths)]
    return tones(parts, edge)


_KEYS = {
    key: (low, high)
    for low, row in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for high, key in zip((1209, 1336, 1477, 1633), row, strict=True)
}


def dialled(number: str, on: float = 0.1, off: float = 0.1) -> list[float]:
    """DTMF."""
    return tones(part for key in number for part in ((_KEYS[key], on), ((), off)))


def teletype(seed: int, baud: float, shift: float, tone: float = 900, seconds: float = 10) -> list[float]:
    """RTTY: a start bit, five bits, and one and a half stop bits."""
    dice = random.Random(seed)
    parts: list[tuple[float, float]] = []
    for _ in range(int(seconds * baud / 7.5)):
        bits = [0, *(dice.randint(0, 1) for _ in range(5))]
        parts += [(tone + shift * bit, 1 / baud) for bit in bits]
        parts.append((tone + shift, 1.5 / baud))
    return shifted(parts)


def phase_shifted(
    seed: int, tone: float = 1000, baud: float = 31.25, seconds: float = 10, idle: float = 0.3
) -> list[float]:
    """PSK31: the phase turns at a zero, with the shape of a cosine; `idle` is the share of the time without data."""
    dice = random.Random(seed)
    count = int(seconds * baud)
    signs = [1.0]
    until = 0
    for k in range(count + 1):
        if k >= until and dice.random() < idle / 10:
            until = k + 10
        flip = k < until or dice.random() < 0.4
        signs.append(-signs[-1] if flip else signs[-1])
    out = []
    for k in range(round(seconds * RATE)):
        symbol, part = divmod(k / RATE * baud, 1)
        now, then = signs[int(symbol)], signs[int(symbol) + 1]
        level = now if now == then else now * math.cos(math.pi * part)
        out.append(LEVEL * level * math.sin(_TURN * tone * k))
    return out


def birds(seed: int, seconds: float = 10) -> list[float]:
    """Chirps that sweep, in runs."""
    dice = random.Random(seed)
    out: list[float] = []
    while len(out) < seconds * RATE:
        low, high, length = dice.uniform(1500, 2200), dice.uniform(2300, 3400), dice.uniform(0.05, 0.2)
        for _ in range(dice.randint(1, 6)):
            chirp = swept(low, high, length, length, rise=0.7)
            out += [value * math.sin(math.pi * k / len(chirp)) for k, value in enumerate(chirp)]
            out += silence(dice.uniform(0.03, 0.15))
        out += silence(dice.uniform(0.1, 0.8))
    return out


def knocks(seed: int, seconds: float = 10) -> list[float]:
    """Something wooden is struck."""
    dice = random.Random(seed)
    parts: list[tuple[Sequence[float], float]] = []
    for _ in range(int(seconds * 3)):
        parts.append(((dice.uniform(300, 330), dice.uniform(700, 900)), dice.choice((0.2, 0.2, 0.4, 0.6))))
    return tones(parts, edge=0.001, decay=25)


def drums(seed: int, bpm: float, seconds: float = 10) -> list[float]:
    """A bass drum on the beat, noise off the beat, and a bass."""
    dice = random.Random(seed)
    out = silence(seconds)
    for beat in range(int(seconds * bpm / 60)):
        first = round(beat * 60 / bpm * RATE)
        hertz = dice.choice((82, 98, 110, 165, 196))
        for k in range(min(RATE // 4, len(out) - first)):
            fall = math.exp(-18 * k / RATE)
            out[first + k] += LEVEL * fall * math.sin(_TURN * (60 + 100 * fall) * k)
            out[first + k] += LEVEL * math.exp(-6 * k / RATE) * math.sin(_TURN * hertz * k)
        half = first + round(30 / bpm * RATE)
        for k in range(min(RATE // 16, len(out) - half)):
            out[half + k] += dice.gauss(0, LEVEL / 2) * math.exp(-50 * k / RATE)
    return out


Sound = Callable[[], list[float]]

#: Kind by kind, some ten seconds each.
KINDS: dict[str, list[Sound]] = {
    "speech": [
        lambda: speech(1, pitch=110, syllables=4),
        lambda: speech(2, pitch=210, syllables=5),
        lambda: speech(3, pitch=150, syllables=3),
        lambda: speech(4, pitch=260, syllables=6),
        lambda: speech(5, pitch=95, syllables=3.5),
        lambda: speech(6, pitch=180, syllables=4.5),
    ],
    "siren": [
        lambda: swept(500, 1500, 4),
        lambda: swept(600, 1400, 0.35),
        lambda: swept(400, 1000, 2, rise=0.9),
        lambda: shifted([(440, 0.5), (585, 0.5)] * 10),
        lambda: shifted([(960, 0.75), (770, 0.75)] * 7),
        lambda: shifted([(800, 0.25), (1000, 0.25)] * 20),
    ],
    "music": [
        lambda: melody(1, 60, decay=2),
        lambda: melody(2, 90, decay=4),
        lambda: melody(3, 120, decay=3),
        lambda: melody(4, 180, decay=6),
        lambda: melody(5, 100, decay=0, legato=0.9),
        lambda: melody(6, 140, decay=0, legato=0.6),
        lambda: melody(7, 80, decay=2, chord=(0, 4, 7)),
        lambda: melody(8, 120, decay=4, chord=(0, 3, 7, 12)),
        lambda: melody(9, 110, decay=1, chord=(0, 12, 19, 24)),
        lambda: drums(1, 100),
        lambda: drums(2, 140),
    ],
    "telephone": [
        lambda: cadence([425], [0.5, 0.5]),
        lambda: cadence([480, 620], [0.5, 0.5]),
        lambda: cadence([425], [0.25, 0.25]),
        lambda: cadence([425], [1, 4], 16),
        lambda: cadence([440, 480], [2, 4], 18),
        lambda: cadence([400, 450], [0.4, 0.2, 0.4, 2], 12),
        lambda: dialled("0123456789"),
        lambda: dialled("5551234*987#", 0.07, 0.07),
        lambda: dialled("4930123555", 0.25, 0.15),
        lambda: tones([((950,), 0.33), ((1400,), 0.33), ((1800,), 0.33), ((), 1)] * 4),
        lambda: cadence([425], [0.2, 0.2, 0.2, 0.6]),
    ],
    "beeps": [
        lambda: cadence([1000], [0.5, 0.5]),
        lambda: cadence([1250], [0.6, 0.4]),
        lambda: cadence([2048], [0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.58]),
        lambda: cadence([2000], [0.1, 0.1]),
        lambda: cadence([3100], [0.1, 0.9]),
        lambda: cadence([950], [0.12, 0.75]),
        lambda: cadence([3100], [0.5, 0.5, 0.5, 0.5, 0.5, 1.5], 24),
        lambda: tones([((1000,), 0.1), ((), 0.9)] * 9 + [((1000,), 0.5), ((), 0.5)]),
    ],
    "data": [
        lambda: teletype(1, 45.45, 170),
        lambda: teletype(2, 50, 450),
        lambda: teletype(3, 75, 85),
        lambda: teletype(4, 110, 200, 1500),
        lambda: phase_shifted(1),
        lambda: phase_shifted(2, tone=700, idle=0.8),
        lambda: phase_shifted(3, baud=62.5),
    ],
    "nature": [
        lambda: birds(1),
        lambda: birds(2),
        lambda: knocks(1),
        lambda: knocks(2),
    ],
}
