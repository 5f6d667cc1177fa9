"""Morse read from sound, class by class, beside multimon-ng and morse2ascii where they are installed.

Every sound is keyed by the same code as the tests' (codecs/tests/wirecodes_tests/keyer.py) and by a seed, so that two runs
compare the same files. A figure is the edit distance by the length of the text, the mean over a class; over 1 means that
more was made up than was sent. Foreign keyers (ebook2cw) and fldigi, which has no mode without a window, are not run.
ggmorse is in no package registry that is used here.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import wirecodes

from bench.harness import ROOT, folder

sys.path.insert(0, str(ROOT / "codecs" / "tests"))
from wirecodes_tests.keyer import Sender, distance, faded, file_of, noise, silence, sound

TEXT = "CQ CQ DE Q4ABC UR RST 599 NAME JOE = QTH IS 28 MILES WEST, RIG 100 WATTS. PSE K"
ANSWER = "Q4ABC DE Q9XYZ R UR 579 579 NAME BOB BK"
SEED = 1912

#: A class: its name, and its recordings with what was sent.
Recording = tuple[str, list[float]]
#: What a peer says of a file.
Decoder = Callable[[Path], str]


def main() -> None:
    decoders = {"wirecodes": ours, **peers()}
    print(f"{'class':<28}" + "".join(f"{name:>14}" for name in decoders), flush=True)
    spent = heard = 0.0
    with folder() as work:
        for name, recordings in classes().items():
            errors = dict.fromkeys(decoders, 0.0)
            for number, (text, samples) in enumerate(recordings):
                path = work / f"{number}.wav"
                path.write_bytes(file_of(samples))
                for decoder, decode in decoders.items():
                    began = time.process_time()
                    read = decode(path)
                    if decoder == "wirecodes":
                        spent += time.process_time() - began
                        heard += len(samples) / 8000
                    errors[decoder] += distance(text, read) / len(text)
            print(
                f"{name:<28}" + "".join(f"{total / len(recordings):>14.3f}" for total in errors.values()),
                flush=True,
            )
    print(f"wirecodes ({wirecodes.KERNEL}) took {spent / heard:.4f} of the time that the sound lasts")


def ours(path: Path) -> str:
    try:
        return wirecodes.get("morse").decode(path.read_bytes(), from_="wav").decode()
    except wirecodes.DecodeError:
        return ""


def peers() -> dict[str, Decoder]:
    """Those that are installed; prints their versions, or how to install them."""
    known: dict[str, tuple[Decoder, tuple[str, ...]]] = {
        "multimon-ng": (multimon, ("multimon-ng", "sox")),
        "morse2ascii": (morse2ascii, ("morse2ascii",)),
    }
    found = {}
    for name, (decoder, programs) in known.items():
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            print(f"{name} is left out (on Debian and Ubuntu: apt-get install {' '.join(missing)})")
            continue
        version = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=False
        ).stdout
        print(f"{name} {version or 'of an unknown version'}")
        found[name] = decoder
    return found


def multimon(path: Path) -> str:
    raw = subprocess.run(
        ["sox", path, "-t", "raw", "-r", "22050", "-e", "signed", "-b", "16", "-c", "1", "-"],
        capture_output=True,
        check=True,
    ).stdout
    command = ["multimon-ng", "-q", "-a", "MORSE_CW", "-t", "raw", "-"]
    return tidy(subprocess.run(command, input=raw, capture_output=True, check=False).stdout)


def morse2ascii(path: Path) -> str:
    out = subprocess.run(["morse2ascii", path], capture_output=True, check=False).stdout
    return tidy(out.split(b"decoded morse data:")[-1])


def tidy(out: bytes) -> str:
    return re.sub(r"\s+", " ", out.decode(errors="replace")).strip().upper()


def classes() -> dict[str, list[Recording]]:
    keyings = {
        "weighting 30 to 70 %": [
            Sender(weight=weight, wpm=wpm) for weight in (30, 40, 60, 70) for wpm in (16, 28)
        ],
        "gaps 0.4 to 1.6 dots": [
            Sender(gap=gap, letter=letter) for gap, letter in ((0.4, 1), (0.6, 3), (1.6, 3))
        ],
        "dash 2 to 5 dots": [Sender(dash=dash) for dash in (2, 2.5, 4, 5)],
        "edges of 40 % of a dot": [
            Sender(wpm=wpm, edge=0.48 / wpm, shape=shape)
            for shape in ("linear", "cosine", "exponential", "gaussian")
            for wpm in (15, 30, 60)
        ],
        "5 to 60 wpm": [Sender(wpm=wpm, edge=0.003) for wpm in (5, 12, 25, 40, 60)],
        "jitter 10 %": [Sender(jitter=0.1, wpm=wpm) for wpm in (15, 20, 25)],
        "jitter 15 %": [Sender(jitter=0.15, wpm=wpm) for wpm in (15, 20, 25)],
        "jitter 25 %": [Sender(jitter=0.25, wpm=wpm) for wpm in (15, 20, 25)],
        "speed drifts -50 to +100 %": [Sender(acceleration=factor) for factor in (0.5, 0.7, 1.5, 2)],
        "tone drifts 5 to 10 Hz/s": [Sender(tone=1000, drift=drift) for drift in (5, 10, -10)],
    }
    found = {name: [keyed(TEXT, sender) for sender in senders] for name, senders in keyings.items()}
    found["only dots, only dashes"] = [keyed(text, Sender()) for text in ("HI HI", "EISH5", "TTT OOO", "MOM")]
    for decibel, periods in ((20, (10, 20)), (14, (0.5, 1, 4))):
        found[f"fading {decibel} dB"] = [
            (TEXT, faded(keyed(TEXT, Sender())[1], decibel, period)) for period in periods
        ]
    found["two senders"] = list(pairs())
    for level in (10, 0, -5, -7, -9):
        found[f"noise {level} dB, jitter 10 %"] = [noisy(level, seed) for seed in range(3)]
    return found


def keyed(text: str, sender: Sender, seed: int = SEED) -> Recording:
    return text, silence(0.5) + sound(text, sender, random.Random(seed)) + silence(0.5)


def noisy(decibel: float, seed: int) -> Recording:
    text, samples = keyed(TEXT, Sender(jitter=0.1), SEED + seed)
    return text, noise(samples, decibel, random.Random(seed))


def pairs() -> Iterator[Recording]:
    first = keyed(TEXT, Sender())[1]
    for other in (
        Sender(tone=700),
        Sender(tone=2000),
        Sender(level=0.01),
        Sender(level=0.9),
        Sender(wpm=38),
        Sender(wpm=13, tone=850, level=0.02),
    ):
        yield f"{TEXT} {ANSWER}", first + keyed(ANSWER, other)[1]
