"""The figures of codes, by the worked examples of the theory, and the trees drawn from them."""

from __future__ import annotations

import json
import random
import re
from itertools import combinations
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import wirecodes
from wirecodes import huffman, shannon_fano
from wirecodes.codes import code_words, fano_lengths, huffman_lengths

THIRDS = b"aaabbbcde"  # 1/3, 1/3, 1/9, 1/9, 1/9
TEXT = (
    'It is a truth universally acknowledged,\n\tthat a single man – in possession\x00 <of> a "good" & fortune\x7f.'.encode()
    * 3
)
CODES = [huffman, shannon_fano]


@pytest.mark.parametrize("code", CODES)
def test_four_equal_symbols(code: ModuleType) -> None:
    answer = code.analyse(b"abcd")
    assert [entry["code"] for entry in answer["symbols"]] == ["00", "01", "10", "11"]
    assert (answer["entropy"], answer["expected_length"], answer["efficiency"]) == (2, 2, 1)
    assert (answer["redundancy"], answer["kraft_sum"]) == (0, "1")


@pytest.mark.parametrize("code", CODES)
def test_two_thirds_and_three_ninths(code: ModuleType) -> None:
    answer = code.analyse(THIRDS)
    assert answer["entropy"] == pytest.approx(2.113, abs=0.0005)
    assert answer["expected_length"] == pytest.approx(2.222, abs=0.0005)
    assert answer["efficiency"] == pytest.approx(0.95, abs=0.002)
    assert answer["symbols"][0] == {
        "symbol": 97,
        "text": "a",
        "count": 3,
        "probability": 1 / 3,
        "code": answer["symbols"][0]["code"],
    }
    assert [entry["count"] for entry in answer["symbols"]] == [3, 3, 1, 1, 1]


def test_three_digits_make_words_of_one_digit_for_three_symbols() -> None:
    answer = huffman.analyse(b"abc", radix=3)
    assert [entry["code"] for entry in answer["symbols"]] == ["0", "1", "2"]
    assert answer["entropy"] == pytest.approx(1)
    assert answer["expected_length"] == 1


def test_dummy_symbols_keep_the_shortest_words_in_use() -> None:
    """Four symbols and three digits: joining three at once leaves two at the root, so one dummy comes
    first.
    """
    lengths = huffman_lengths({0: 8, 1: 4, 2: 2, 3: 1}, 3)
    assert lengths == {0: 1, 1: 1, 2: 2, 3: 2}


@pytest.mark.parametrize("radix", range(2, 11))
@pytest.mark.parametrize("construction", [huffman_lengths, fano_lengths])
def test_codes_of_every_radix_are_prefix_free_and_near_the_entropy(radix: int, construction: Any) -> None:
    dice = random.Random(radix)
    for symbols in (1, 2, 3, radix, radix + 1, 40, 256):
        counts = {symbol: int(dice.paretovariate(0.7)) for symbol in range(symbols)}
        words = code_words(construction(counts, radix), radix)
        assert set(words) == set(counts)
        if symbols <= 40:
            assert wirecodes.prefix_codes.check(list(words.values()))["prefix_free"]
        assert sum(radix ** -len(word) for word in words.values()) <= 1 + 1e-12
        total = sum(counts.values())
        entropy = wirecodes.analysis.entropy_of(counts, radix)
        expected = sum(counts[symbol] * len(word) for symbol, word in words.items()) / total
        assert entropy <= expected + 1e-9
        assert expected <= entropy + 1 or symbols == 1


@pytest.mark.parametrize("radix", [2, 3, 5])
def test_huffmans_code_is_the_best(radix: int) -> None:
    def best(counts: list[int]) -> int:
        """By trying every way to join."""
        if len(counts) <= radix:
            return sum(counts)
        least = 10**9
        first = -(len(counts) - 2) % (radix - 1) + 2 if radix > 2 else 2
        for group in combinations(range(len(counts)), first):
            joined = sum(counts[index] for index in group)
            rest = [count for index, count in enumerate(counts) if index not in group]
            least = min(least, joined + best_full([*rest, joined]))
        return least

    def best_full(counts: list[int]) -> int:
        if len(counts) == 1:
            return 0
        options = (
            (
                sum(counts[index] for index in group),
                [c for index, c in enumerate(counts) if index not in group],
            )
            for group in combinations(range(len(counts)), radix)
        )
        return min(joined + best_full([*rest, joined]) for joined, rest in options)

    for counts in ([5, 1, 1, 1, 3], [8, 7, 1, 1, 1, 1], [1, 2, 3]):
        lengths = huffman_lengths(dict(enumerate(counts)), radix)
        assert sum(count * lengths[symbol] for symbol, count in enumerate(counts)) == best(counts)


@pytest.mark.parametrize("code", CODES)
def test_an_analysis_has_all_figures_and_is_json(code: ModuleType) -> None:
    name = code.__name__.removeprefix("wirecodes.").replace("_", "-")
    answer = json.loads(json.dumps(code.analyse(TEXT)))
    assert answer["input_bytes"] == len(TEXT)
    assert answer["encoded_bytes"] == len(wirecodes.get(name).encode(TEXT))
    other = "shannon-fano" if name == "huffman" else "huffman"
    assert list(answer["comparison"]) == [other, "fixed", "gzip", "zstd"]
    assert answer["comparison"]["gzip"]["encoded_bytes"] == len(wirecodes.get("gzip").encode(TEXT))
    assert answer["comparison"]["fixed"]["expected_length"] == 6
    assert answer["comparison"][other]["encoded_bytes"] == len(wirecodes.get(other).encode(TEXT))
    assert {entry["text"] for entry in answer["symbols"]} >= {"NUL", "LF", "HT", "SP", "DEL", "0xE2", "<"}


@pytest.mark.parametrize("code", CODES)
def test_nothing_and_one_symbol_have_figures_too(code: ModuleType) -> None:
    nothing = code.analyse(b"")
    assert (nothing["symbols"], nothing["entropy"], nothing["expected_length"], nothing["kraft_sum"]) == (
        [],
        0,
        0,
        "0",
    )
    one = code.analyse(b"aaaa")
    assert [entry["code"] for entry in one["symbols"]] == ["0"]
    assert (one["entropy"], one["expected_length"], one["efficiency"], one["kraft_sum"]) == (0, 1, 0, "1/2")


@pytest.mark.parametrize("code", CODES)
def test_pieces_give_what_the_whole_gives(code: ModuleType) -> None:
    pieces = [TEXT[start : start + 7] for start in range(0, len(TEXT), 7)]
    whole, parts = code.analyse(TEXT), code.analyse_stream(pieces)
    assert parts == whole
    assert code.tree_stream(pieces) == code.tree(TEXT)


@pytest.mark.parametrize("radix", [1, 11, 2.0, "2", None, True])
def test_a_radix_that_does_not_exist_is_refused(radix: Any) -> None:
    with pytest.raises(ValueError, match="radix"):
        huffman.analyse(b"a", radix=radix)
    with pytest.raises(ValueError, match="radix"):
        huffman.tree(b"a", radix=radix)


class TestTrees:
    @pytest.mark.parametrize("radix", [2, 3, 10])
    @pytest.mark.parametrize("code", CODES)
    def test_json_has_the_codes_of_the_analysis_as_paths(self, code: ModuleType, radix: int) -> None:
        tree = json.loads(code.tree(TEXT, radix=radix).to_json())
        leaves: dict[int, str] = {}

        def walk(node: dict[str, Any]) -> float:
            if "symbol" in node:
                leaves[node["symbol"]] = node["code"]
                return float(node["probability"])
            assert all(child["code"][:-1] == node["code"] for child in node["children"])
            assert sum(walk(child) for child in node["children"]) == pytest.approx(node["probability"])
            return float(node["probability"])

        assert walk(tree["root"]) == pytest.approx(1)
        assert leaves == {
            entry["symbol"]: entry["code"] for entry in code.analyse(TEXT, radix=radix)["symbols"]
        }

    def test_dot_quotes_what_it_must(self) -> None:
        dot = huffman.tree(b'""\\\n').to_dot()
        assert dot.startswith("digraph code {")
        assert r'label="\"\n50.00%\n0"' in dot
        assert r'label="\\\n25.00%' in dot
        assert 'label="LF\\n' in dot
        assert dot.count("->") == 4

    @pytest.mark.parametrize(
        "data", [b"", b"a", THIRDS, TEXT, bytes(range(256)), random.Random(3).randbytes(5000)]
    )
    @pytest.mark.parametrize("radix", [2, 10])
    def test_no_two_texts_of_a_drawing_touch(self, data: bytes, radix: int) -> None:
        root = ElementTree.fromstring(huffman.tree(data, radix=radix).to_svg())
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        boxes = []
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            size = 8.2 if text.get("class") != "digit" else 7
            extent = size * len(text.text or "")
            x, y = float(text.get("x", 0)), float(text.get("y", 0))
            left = x - extent if text.get("class") == "share" else x
            boxes.append((left, y - 11, left + extent, y + 3))
        assert all(
            left >= 0 and top >= 0 and right <= width and bottom <= height
            for left, top, right, bottom in boxes
        )
        boxes.sort(key=lambda box: box[1])
        for index, one in enumerate(boxes):
            for other in boxes[index + 1 :]:
                if other[1] >= one[3]:
                    break
                assert other[0] >= one[2] or other[2] <= one[0], (one, other)

    def test_a_drawing_shows_every_symbol_with_share_and_code(self) -> None:
        svg = huffman.tree(TEXT).to_svg()
        texts = re.findall(r'<text class="(\w+)"[^>]*>([^<]*)</text>', svg)
        analysis = huffman.analyse(TEXT)["symbols"]
        assert sorted(text for kind, text in texts if kind == "code") == sorted(
            entry["code"] for entry in analysis
        )
        shown = {text for kind, text in texts if kind == "symbol"}
        assert shown >= {"NUL", "LF", "SP", "&lt;", "&amp;", "&quot;", "0xE2"}
        assert {text for kind, text in texts if kind == "digit"} == {"0", "1"}
