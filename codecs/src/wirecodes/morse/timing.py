"""How long signals and gaps are: speed in words a minute by the word PARIS, and Farnsworth's wider gaps."""

from __future__ import annotations

from dataclasses import dataclass

#: PARIS and the gap after it are 50 units: at one word a minute a unit takes 60 / 50 seconds.
_UNIT_AT_ONE_WPM = 1.2
#: Of these 50 the gaps between letters and words are 19 (four of 3 and one of 7); the rest is keyed at full
#: speed.
_GAP_UNITS = 19
_LETTER_GAP, _WORD_GAP = 3, 7


@dataclass(frozen=True)
class Timing:
    """Seconds: of a unit (a dot, or a gap inside a letter), of a gap between letters and of one between
    words.
    """

    unit: float
    letter_gap: float
    word_gap: float


def timing(wpm: float, farnsworth: float | None = None) -> Timing:
    """Characters at `wpm`; with `farnsworth` the gaps are so much longer that the text goes at that speed in all.

    The formula is the ARRL's (J. Bloom, A Standard for Morse Timing Using the Farnsworth Technique, 1990).
    """
    unit = _UNIT_AT_ONE_WPM / wpm
    share = unit
    if farnsworth is not None:
        added = (60 * wpm - 37.2 * farnsworth) / (farnsworth * wpm)
        share = added / _GAP_UNITS
    return Timing(unit, _LETTER_GAP * share, _WORD_GAP * share)
