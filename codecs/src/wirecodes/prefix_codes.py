"""Codes given as lists of code words in digits: are they prefix-free, can they be read, and in how many ways a message can.

Words and messages come from anywhere, so both are bounded; CodewordError tells which word, or which digit of
the message, cannot be taken.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from wirecodes.errors import CodewordError, quoted

#: Bounds that keep the search for an ambiguous string, which looks at each suffix of each word, within a
#: second.
MAX_CODEWORDS, MAX_CODEWORD, MAX_DIGITS = 1000, 500, 10_000
#: The number of readings of a message may have a third as many digits as the message.
MAX_MESSAGE = 100_000
#: Digits times different lengths of words: each step adds integers as long as the message, a microsecond at
#: most.
MAX_STEPS = 2_000_000
#: How many readings are listed.
MAX_PARSES = 10

_DIGITS = frozenset("0123456789")


def check(codewords: Sequence[str]) -> dict[str, Any]:
    """Whether the code is prefix-free and uniquely decodable, its Kraft sum as an exact fraction, and counterexamples.

    `conflict` is the first pair, in the order given, of which one is a prefix of the other; `ambiguous` a
    shortest string with two readings. The radix is one more than the highest digit, at least 2. Raises
    CodewordError for words that are no digits, or more or longer than the bounds above.
    """
    words = _checked(codewords)
    radix = max([2, *(int(max(word)) + 1 for word in words)])
    conflict = _conflict(words)
    ambiguous = _ambiguous(words) if conflict else None
    return {
        "prefix_free": conflict is None,
        "uniquely_decodable": ambiguous is None,
        "kraft_sum": kraft_sum(words, radix),
        "radix": radix,
        "conflict": conflict,
        "ambiguous": ambiguous,
    }


def split(codewords: Sequence[str], message: str) -> dict[str, Any]:
    """How many readings the message has, exactly and as a decimal string, and the first MAX_PARSES of them.

    Readings differ in their words: a word that the list has twice is two, which makes the code ambiguous. They
    are listed by the order of the words. Raises CodewordError for words or a message that are no digits or beyond the bounds above.
    """
    words = _checked(codewords)
    if not isinstance(message, str):
        raise CodewordError("the message must be a string of digits")
    if len(message) > MAX_MESSAGE:
        raise CodewordError(f"the message has more than {MAX_MESSAGE} digits", MAX_MESSAGE)
    invalid = next((index for index, character in enumerate(message) if character not in _DIGITS), None)
    if invalid is not None:
        raise CodewordError(f"the message has {quoted(message[invalid])}, which is no digit", invalid)
    if len(message) * len(_by_length(words)) > MAX_STEPS:
        raise CodewordError(f"the message has more than {MAX_STEPS} digits times lengths of code words")
    return {"count": _decimal(_count(words, message)), "parses": list(_parses(words, message))}


def kraft_sum(words: Iterable[str], radix: int) -> str:
    """The sum of radix^-length over the words, exactly, as text: "1", "2/9"."""
    return str(sum((Fraction(1, radix ** len(word)) for word in words), Fraction(0)))


def _checked(codewords: Sequence[str]) -> list[str]:
    if isinstance(codewords, str) or not isinstance(codewords, Sequence):
        raise CodewordError("the code words must be a list of strings")
    if len(codewords) > MAX_CODEWORDS:
        raise CodewordError(f"more than {MAX_CODEWORDS} code words", MAX_CODEWORDS)
    total = 0
    for index, word in enumerate(codewords):
        if not isinstance(word, str) or not word or not _DIGITS.issuperset(word):
            raise CodewordError(f"a code word must be a string of digits, not {quoted(word)}", index)
        total += len(word)
        if len(word) > MAX_CODEWORD or total > MAX_DIGITS:
            raise CodewordError(f"more than {MAX_CODEWORD} digits in a word, or {MAX_DIGITS} in all", index)
    return list(codewords)


def _conflict(words: list[str]) -> list[str] | None:
    """In sorted order a word stands before those that it begins, with nothing but such words between."""
    ordered = sorted(words)
    if not any(after.startswith(word) for word, after in itertools.pairwise(ordered)):
        return None
    for index, word in enumerate(words):
        for other in words[index + 1 :]:
            if word.startswith(other) or other.startswith(word):
                return [word, other]
    return None


def _ambiguous(words: list[str]) -> str | None:
    """Sardinas and Patterson's dangling suffixes, shortest string first (Dijkstra), so that the first that is found is a shortest.

    A state is what the longer of two readings is ahead by; with nothing ahead both read the same, an
    ambiguous string.
    """
    codewords = set(words)
    begun_by: dict[str, list[str]] = {}
    for word in words:
        for end in range(1, len(word) + 1):
            begun_by.setdefault(word[:end], []).append(word)
    # How a state was reached: from which other one, and by which digits the longer reading grew.
    reached: dict[str, tuple[str, str]] = {}
    waiting = [
        (len(longer), longer[len(word) :], "", longer)
        for word in words
        for longer in begun_by[word]
        if longer != word
    ]
    waiting += [(len(word), "", "", word) for word in codewords if words.count(word) > 1]
    heapq.heapify(waiting)
    while waiting:
        length, ahead, before, grown = heapq.heappop(waiting)
        if ahead in reached:
            continue
        reached[ahead] = (before, grown)
        if not ahead:
            return _string(reached)
        for word in begun_by.get(ahead, ()):
            more = word[len(ahead) :]
            heapq.heappush(waiting, (length + len(more), more, ahead, more))
        for end in range(1, len(ahead)):
            if ahead[:end] in codewords:
                heapq.heappush(waiting, (length, ahead[end:], ahead, ""))
    return None


def _string(reached: dict[str, tuple[str, str]]) -> str:
    """The longer reading, from the last state back to the first."""
    state, grown = reached[""]
    parts = [grown]
    while state:
        state, grown = reached[state]
        parts.append(grown)
    return "".join(reversed(parts))


def _count(words: list[str], message: str) -> int:
    """Dynamic programming over the beginnings of the message, of which only as many as a word is long are
    kept.
    """
    by_length = _by_length(words)
    longest = max(by_length, default=1)
    ways = deque([1], maxlen=longest)  # ways[-n]: readings of what comes before the last n digits
    unread = 0  # beginnings in a row without a reading
    for end in range(1, len(message) + 1):
        readings = 0
        for length, of_length in by_length.items():
            if length <= end and message[end - length : end] in of_length:
                readings += ways[-length] * of_length[message[end - length : end]]
        ways.append(readings)
        unread = 0 if readings else unread + 1
        if unread >= longest:
            return 0
    return ways[-1]


def _parses(words: list[str], message: str) -> Iterator[list[str]]:
    """The first MAX_PARSES readings, depth first; only positions from which the end can be reached are
    entered.
    """
    ends = _finishable(words, message)
    taken: list[int] = []  # the numbers of the words of the reading so far
    position = number = found = 0
    while found < MAX_PARSES:
        if position == len(message):
            yield [words[index] for index in taken]
            found += 1
            number = len(words)
        number = _next_word(words, message, position, number, ends)
        if number < len(words):
            taken.append(number)
            position += len(words[number])
            number = 0
        elif taken:
            number = taken.pop()
            position -= len(words[number])
            number += 1
        else:
            return


def _next_word(words: list[str], message: str, position: int, number: int, ends: bytearray) -> int:
    """The first word from `number` on that stands at `position` and leaves a rest that can be read."""
    for index in range(number, len(words)):
        word = words[index]
        if message.startswith(word, position) and ends[position + len(word)]:
            return index
    return len(words)


def _finishable(words: list[str], message: str) -> bytearray:
    """For each position whether the rest of the message can be read from there."""
    by_length = _by_length(words)
    ends = bytearray(len(message) + 1)
    ends[-1] = 1
    for position in range(len(message) - 1, -1, -1):
        for length, of_length in by_length.items():
            if message[position : position + length] in of_length and ends[position + length]:
                ends[position] = 1
                break
    return ends


def _by_length(words: list[str]) -> dict[int, Counter[str]]:
    """The words of each length, with how often the list has each."""
    lengths: dict[int, Counter[str]] = {}
    for word in words:
        lengths.setdefault(len(word), Counter())[word] += 1
    return lengths


def _decimal(count: int) -> str:
    """str() refuses integers of more than 4300 digits, for its time grows with their square; Decimal's does
    not.
    """
    return str(Decimal(count))
