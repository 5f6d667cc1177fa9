"""The Morse alphabet of ITU-R M.1677-1, and how written characters fold into it.

Three things fold, nothing else: case, Unicode's NFKC (`é` of two code points, full-width letters, `½` as 1/2)
and FOLDS. Signals without a character are prosigns in angle brackets; those that share a code with a
character are that character when read back (`<AR>` is `+`, `×` is X).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

#: Letters, figures, punctuation: what reading gives.
CHARACTERS = {
    **{
        "A": ".-",
        "B": "-...",
        "C": "-.-.",
        "D": "-..",
        "E": ".",
        "É": "..-..",
        "F": "..-.",
        "G": "--.",
        "H": "....",
    },
    **{
        "I": "..",
        "J": ".---",
        "K": "-.-",
        "L": ".-..",
        "M": "--",
        "N": "-.",
        "O": "---",
        "P": ".--.",
        "Q": "--.-",
    },
    **{
        "R": ".-.",
        "S": "...",
        "T": "-",
        "U": "..-",
        "V": "...-",
        "W": ".--",
        "X": "-..-",
        "Y": "-.--",
        "Z": "--..",
    },
    **{
        "1": ".----",
        "2": "..---",
        "3": "...--",
        "4": "....-",
        "5": ".....",
        "6": "-....",
        "7": "--...",
        "8": "---..",
    },
    **{"9": "----.", "0": "-----", ".": ".-.-.-", ",": "--..--", ":": "---...", "?": "..--..", "'": ".----."},
    **{"-": "-....-", "/": "-..-.", "(": "-.--.", ")": "-.--.-", '"': ".-..-.", "=": "-...-", "+": ".-.-."},
    **{"@": ".--.-."},
}

#: Signals that have no character: understood, error, wait, end of work, starting signal; and the distress
#: signal.
PROSIGNS = {
    "<SN>": "...-.",
    "<HH>": "........",
    "<AS>": ".-...",
    "<SK>": "...-.-",
    "<KA>": "-.-.-",
    "<SOS>": "...---...",
}

#: Other names of signals: of the prosigns above, and of those that a character stands for.
ALIASES = {
    "<VE>": PROSIGNS["<SN>"],
    "<VA>": PROSIGNS["<SK>"],
    "<CT>": PROSIGNS["<KA>"],
    "<AR>": CHARACTERS["+"],
    "<BT>": CHARACTERS["="],
    "<KN>": CHARACTERS["("],
    "<K>": CHARACTERS["K"],
}

#: Characters that the recommendation sends as another, and typographic forms of its punctuation.
FOLDS = {
    **dict.fromkeys("’‘‛′ʹʼ", "'"),
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("⁄∕", "/"),
    "×": "X",
    "÷": ":",
    "ẞ": "SS",
}

#: Reading: what is a dot, a dash, or a gap between words. Keyboards and text programs make `…` of three dots and `—` of two
#: hyphens that were typed, so these are read as that. The middle dots, the hyphens, the minus and the en dash are how dots and
#: dashes are printed. What is in no row here, such as the longer bars, is refused.
SIGNAL_FOLDS = {
    **dict.fromkeys("·•∙⋅․‧･・．﹒◦●", "."),
    **dict.fromkeys("‐‑‒–−_－﹣˗⁃ー", "-"),
    **dict.fromkeys("\n\x85\u2028\u2029|／｜", "/"),
    "…": "...",
    "⋯": "...",
    "‥": "..",
    "—": "--",
}

#: What is sent for a character that the alphabet lacks when it is to be replaced.
REPLACEMENT = "?"

CODES = {**CHARACTERS, **PROSIGNS, **ALIASES}
SYMBOLS = {code: symbol for symbol, code in {**PROSIGNS, **CHARACTERS}.items()}

#: Relative frequency in English text (R. E. Lewand, Cryptological Mathematics, 2000), in per cent.
_FREQUENCIES = {
    **{
        "E": 12.702,
        "T": 9.056,
        "A": 8.167,
        "O": 7.507,
        "I": 6.966,
        "N": 6.749,
        "S": 6.327,
        "H": 6.094,
        "R": 5.987,
    },
    **{
        "D": 4.253,
        "L": 4.025,
        "C": 2.782,
        "U": 2.758,
        "M": 2.406,
        "W": 2.360,
        "F": 2.228,
        "G": 2.015,
        "Y": 1.974,
    },
    **{"P": 1.929, "B": 1.492, "V": 0.978, "K": 0.772, "J": 0.153, "X": 0.150, "Q": 0.095, "Z": 0.074},
}

#: Distinct characters of one text rarely are more; the cache only saves time.
_FOLDED_CHARACTERS = 4096


@lru_cache(_FOLDED_CHARACTERS)
def codes_of(cluster: str) -> tuple[str, ...] | None:
    """The codes for a character with its combining marks, or for a prosign; None where there is none."""
    if cluster.upper() in CODES:
        return (CODES[cluster.upper()],)
    folded = (FOLDS.get(character, character) for character in unicodedata.normalize("NFKC", _fold(cluster)))
    codes = [CODES.get(character) for character in "".join(folded).upper()]
    known = tuple(code for code in codes if code is not None)
    return known if known and len(known) == len(codes) else None


def _fold(cluster: str) -> str:
    """FOLDS come first: NFKC would take some of them apart."""
    return FOLDS.get(cluster, cluster)


def length(code: str) -> int:
    """Units from the start of the first element to the end of the last: a dash has three, a gap between two
    has one.
    """
    return sum(3 if element == "-" else 1 for element in code) + len(code) - 1


def table() -> list[dict[str, Any]]:
    """Every symbol with its code, its length in units and, for letters, its share of English text (0 to
    1).
    """
    return [
        {
            "symbol": symbol,
            "code": code,
            "units": length(code),
            "frequency": round(_FREQUENCIES[symbol] / 100, 5) if symbol in _FREQUENCIES else None,
        }
        for symbol, code in {**CHARACTERS, **PROSIGNS}.items()
    ]
