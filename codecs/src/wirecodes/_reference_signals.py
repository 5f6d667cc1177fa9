"""The kernels of reading Morse from sound in Python, to be read; `_signals` gives the same, bit for bit.

`thinned` lowers the sampling rate, `spectra` is the short-time Fourier transform, `ridge` follows a tone through
it, `mixed` brings that tone to frequency zero, and `likeliest` is the Viterbi search for the signals in noise.
Arrays are of doubles ("d") or of 32-bit integers ("i") everywhere.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

__all__ = ["likeliest", "mixed", "ridge", "spectra", "thinned"]

_NEVER = -1e30


def thinned(samples: array[int], step: int) -> array[float]:
    """The mean of each `step` samples of 16 bits; what is left over at the end is left out."""
    count = len(samples) // step
    return array("d", [sum(samples[k * step : (k + 1) * step]) / step for k in range(count)])


def spectra(samples: array[float], points: int, hop: int, bins: int) -> array[float]:
    """The power in the first `bins` of `points` bins, for blocks that begin every `hop` samples, under Hann's window."""
    window = [0.5 - 0.5 * math.cos(2 * math.pi * k / points) for k in range(points)]
    turns = [(math.cos(2 * math.pi * k / points), -math.sin(2 * math.pi * k / points)) for k in range(points)]
    order = _reversed(points)
    out = array("d")
    for start in range(0, len(samples) - points + 1, hop):
        re = [samples[start + k] * window[k] for k in order]
        im = [0.0] * points
        _transform(re, im, turns)
        out.extend([re[k] * re[k] + im[k] * im[k] for k in range(bins)])
    return out


def _reversed(points: int) -> list[int]:
    """Each index with its bits in reverse order."""
    order = [0]
    while len(order) < points:
        order = [2 * index for index in order] + [2 * index + 1 for index in order]
    return order


def _transform(re: list[float], im: list[float], turns: list[tuple[float, float]]) -> None:
    """Fourier's, in place, by Cooley and Tukey."""
    points = len(re)
    half = 1
    while half < points:
        stride = points // (2 * half)
        for first in range(0, points, 2 * half):
            for k in range(half):
                c, s = turns[k * stride]
                a, b = first + k, first + k + half
                x = re[b] * c - im[b] * s
                y = re[b] * s + im[b] * c
                re[b] = re[a] - x
                im[b] = im[a] - y
                re[a] += x
                im[a] += y
        half *= 2


def ridge(scores: array[float], bins: int, step_cost: float, jump_cost: float) -> array[int]:
    """The bin of each block on the path with the highest sum of scores, less the costs of its moves.

    To a neighbouring bin a move costs `step_cost`, to any other `jump_cost`.
    """
    blocks = len(scores) // bins
    came = array("i", bytes(4 * blocks * bins))
    best = scores[:bins]
    for block in range(1, blocks):
        top = 0
        for k in range(1, bins):
            if best[k] > best[top]:
                top = k
        jump = best[top] - jump_cost
        now = array("d", bytes(8 * bins))
        for k in range(bins):
            value, source = best[k], k
            if k > 0 and best[k - 1] - step_cost > value:
                value, source = best[k - 1] - step_cost, k - 1
            if k < bins - 1 and best[k + 1] - step_cost > value:
                value, source = best[k + 1] - step_cost, k + 1
            if jump > value:
                value, source = jump, top
            now[k] = value + scores[block * bins + k]
            came[block * bins + k] = source
        best = now
    path = array("i", bytes(4 * blocks))
    if blocks:
        top = 0
        for k in range(1, bins):
            if best[k] > best[top]:
                top = k
        for block in range(blocks - 1, -1, -1):
            path[block] = top
            top = came[block * bins + top]
    return path


def mixed(
    samples: array[float], angles: array[float], length: int, phase: float
) -> tuple[array[float], array[float]]:
    """The mean of each `length` samples times the conjugate of a tone, whose angle a sample is given for each frame.

    `phase` is the tone's at the first sample.
    """
    re, im = array("d"), array("d")
    for frame, angle in enumerate(angles):
        c, s = math.cos(phase), math.sin(phase)
        turn_c, turn_s = math.cos(angle), math.sin(angle)
        x = y = 0.0
        for k in range(frame * length, (frame + 1) * length):
            x += samples[k] * c
            y -= samples[k] * s
            c, s = c * turn_c - s * turn_s, s * turn_c + c * turn_s
        re.append(x / length)
        im.append(y / length)
        phase = math.fmod(phase + angle * length, 2 * math.pi)
    return re, im


def likeliest(
    levels: tuple[array[float], array[float], array[float]],
    tree: tuple[array[int], array[int], array[float]],
    costs: tuple[Sequence[float], ...],
    firsts: tuple[int, ...],
) -> tuple[float, list[tuple[int, int, int, int]]]:
    """The likeliest signals: their score, and for each mark its first step, the step after it, its node and its gap.

    `levels` are, step by step, the two parts of the amplitude expected times the sound received, and the square of
    that amplitude, all by the noise. `tree` has for each node its parent, whether its mark is a dash, and the cost
    of a letter that ends there. `costs` are those of the lengths of a dot, a dash, and the gaps inside letters,
    between letters and between words, from the lengths `firsts` on. The gap before a mark is 0 inside a letter, 1
    between letters, 2 between words, 3 at the beginning.
    """
    search = _Search(levels, tree, costs, firsts)
    last = search.run()
    if search.complete[last] <= 0:
        return 0.0, []
    return search.complete[last], search.marks(last)


class _Search:
    """The tables of the search: what is best, for each step and node, and how it came to be."""

    def __init__(
        self,
        levels: tuple[array[float], array[float], array[float]],
        tree: tuple[array[int], array[int], array[float]],
        costs: tuple[Sequence[float], ...],
        firsts: tuple[int, ...],
    ) -> None:
        self._real, self._imaginary, self._square = map(_sums, levels)
        self._parents, self._dashes, self._letters = tree
        self._costs, self._firsts = costs, firsts
        self._nodes = len(self._parents)
        self._steps = len(levels[0])
        cells = (self._steps + 1) * self._nodes
        self._ended = array("d", [_NEVER]) * cells  # a mark ends here, at that node
        self._begun = array("d", [_NEVER]) * cells  # a gap inside a letter ends here
        self._mark_lengths, self._gap_lengths = array("i", bytes(4 * cells)), array("i", bytes(4 * cells))
        self.complete = array("d", [_NEVER]) * (self._steps + 1)  # a letter ends here
        self._complete_nodes = array("i", bytes(4 * (self._steps + 1)))
        self._root = array("d", [_NEVER]) * (self._steps + 1)  # a letter begins here
        self._root_lengths, self._root_kinds = (
            array("i", self._complete_nodes),
            array("i", self._complete_nodes),
        )

    def run(self) -> int:
        """Fill the tables; the step at which the likeliest text ends."""
        longest = self._firsts[4] + len(self._costs[4]) - 1
        idle, idle_since, last = _NEVER, 0, 0
        for now in range(self._steps + 1):
            values = [self._mark_values(now, kind) for kind in (0, 1)]
            for node in range(1, self._nodes):
                self._end_mark(now, node, values[self._dashes[node]])
                self._end_gap(now, node)
            if now >= longest and self.complete[now - longest] - self._costs[4][-1] > idle:
                idle, idle_since = self.complete[now - longest] - self._costs[4][-1], now - longest
            self._begin_letter(now, idle, idle_since)
            if self.complete[now] > self.complete[last]:
                last = now
        return last

    def _mark_values(self, now: int, kind: int) -> list[float]:
        """What a mark that ends now is worth, by its length."""
        values = []
        for index, cost in enumerate(self._costs[kind]):
            start = now - self._firsts[kind] - index
            if start < 0:
                break
            x, y = self._real[now] - self._real[start], self._imaginary[now] - self._imaginary[start]
            level = self._square[now] - self._square[start]
            values.append(_log_bessel(2 * math.sqrt(x * x + y * y)) - level - cost)
        return values

    def _end_mark(self, now: int, node: int, values: Sequence[float]) -> None:
        parent, first = self._parents[node], self._firsts[self._dashes[node]]
        best, best_length = _NEVER, 0
        for length, worth in enumerate(values, first):
            start = now - length
            before = self._root[start] if parent == 0 else self._begun[start * self._nodes + parent]
            if before + worth > best:
                best, best_length = before + worth, length
        self._ended[now * self._nodes + node] = best
        self._mark_lengths[now * self._nodes + node] = best_length
        if best - self._letters[node] > self.complete[now]:
            self.complete[now] = best - self._letters[node]
            self._complete_nodes[now] = node

    def _end_gap(self, now: int, node: int) -> None:
        best, best_length = _NEVER, 0
        for length, cost in enumerate(self._costs[2], self._firsts[2]):
            if length > now:
                break
            value = self._ended[(now - length) * self._nodes + node] - cost
            if value > best:
                best, best_length = value, length
        self._begun[now * self._nodes + node] = best
        self._gap_lengths[now * self._nodes + node] = best_length

    def _begin_letter(self, now: int, idle: float, idle_since: int) -> None:
        best, best_length, best_kind = 0.0, now, 3  # nothing was sent before
        for kind in (3, 4):
            for length, cost in enumerate(self._costs[kind], self._firsts[kind]):
                if length > now:
                    break
                if self.complete[now - length] - cost > best:
                    best, best_length, best_kind = self.complete[now - length] - cost, length, kind - 2
        if idle > best:
            best, best_length, best_kind = idle, now - idle_since, 2
        self._root[now], self._root_lengths[now], self._root_kinds[now] = best, best_length, best_kind

    def marks(self, now: int) -> list[tuple[int, int, int, int]]:
        """Back along the choices that were the best."""
        found = []
        node = self._complete_nodes[now]
        while True:
            start = now - self._mark_lengths[now * self._nodes + node]
            parent = self._parents[node]
            if parent:
                found.append((start, now, node, 0))
                now, node = start - self._gap_lengths[start * self._nodes + parent], parent
                continue
            found.append((start, now, node, self._root_kinds[start]))
            if self._root_kinds[start] == 3:
                break
            now = start - self._root_lengths[start]
            node = self._complete_nodes[now]
        found.reverse()
        return found


def _sums(values: array[float]) -> array[float]:
    out = array("d", [0.0])
    total = 0.0
    for value in values:
        total += value
        out.append(total)
    return out


def _log_bessel(x: float) -> float:
    """The logarithm of the modified Bessel function of order zero, within 2 %."""
    if x < 2:
        return math.log(1 + x * x / 4 * (1 + x * x / 16))
    return x - 0.5 * math.log(6.283185307179586 * x) + math.log(1 + 0.125 / x + 0.0703125 / (x * x))
