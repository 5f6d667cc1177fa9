"""The figures and trees of codes over HTTP, and the table of Morse signs."""

from __future__ import annotations

import json
import random
from typing import Any
from xml.etree import ElementTree

import pytest
import wirecodes
from wirecodes import huffman, shannon_fano

from tests.app.codec.test_limits import form
from tests.serving import CLOSE, Answer, Server, chunked, convert, problem

MIB = 1 << 20
CODES = {"huffman": huffman, "shannon-fano": shannon_fano}
TEXT = b"so it goes, so it goes\n"


def study(server: Server, code: str, what: str, body: bytes, query: str = "", accept: str = "") -> Answer:
    head = f"POST /codecs/{code}/{what}{f'?{query}' if query else ''} HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
    head += f"Accept: {accept}\r\n" if accept else ""
    return server.raw(head.encode() + CLOSE + b"\r\n" + body)


def analysis(server: Server, code: str, body: bytes, query: str = "") -> Any:
    answer = study(server, code, "analysis", body, query)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), answer
    assert answer.headers["content-security-policy"] == "sandbox"
    return answer.json()


@pytest.mark.parametrize("code", CODES)
def test_four_symbols_of_a_quarter_each_have_two_digits_and_nothing_is_lost(
    server: Server, code: str
) -> None:
    found = analysis(server, code, b"abcd" * 5)
    assert [len(symbol["code"]) for symbol in found["symbols"]] == [2, 2, 2, 2]
    assert [symbol["probability"] for symbol in found["symbols"]] == [0.25] * 4
    assert (found["entropy"], found["expected_length"], found["efficiency"], found["redundancy"]) == (
        2,
        2,
        1,
        0,
    )
    assert (found["kraft_sum"], found["input_bytes"]) == ("1", 20)


def test_two_thirds_in_two_symbols_and_three_ninths_have_the_figures_of_the_theory(server: Server) -> None:
    found = analysis(server, "huffman", b"aaabbbcde")
    assert round(found["entropy"], 3) == 2.113
    assert round(found["expected_length"], 3) == 2.222
    assert round(found["efficiency"], 2) == 0.95
    assert found["redundancy"] == pytest.approx(1 - found["efficiency"])
    assert [(symbol["symbol"], symbol["text"], symbol["count"]) for symbol in found["symbols"]] == [
        *((97, "a", 3), (98, "b", 3)),
        *((99, "c", 1), (100, "d", 1), (101, "e", 1)),
    ]


@pytest.mark.parametrize("radix", range(2, 11))
@pytest.mark.parametrize("code", CODES)
def test_any_radix_from_two_to_ten_gives_what_the_library_gives(
    server: Server, code: str, radix: int
) -> None:
    found = analysis(server, code, TEXT, f"radix={radix}")
    assert found == json.loads(json.dumps(CODES[code].analyse(TEXT, radix)))
    assert found["radix"] == radix
    digits = "".join(symbol["code"] for symbol in found["symbols"])
    assert set(digits) <= set("0123456789"[:radix])


@pytest.mark.parametrize("code", CODES)
def test_encoded_bytes_are_those_that_the_codec_writes(server: Server, code: str) -> None:
    found = analysis(server, code, TEXT * 100)
    for name, figures in {code: found, **found["comparison"]}.items():
        assert figures["input_bytes"] == len(TEXT) * 100
        if name in wirecodes.names():
            assert figures["encoded_bytes"] == len(convert(server, name, "encode", TEXT * 100).body), name


@pytest.mark.parametrize(("code", "other"), [("huffman", "shannon-fano"), ("shannon-fano", "huffman")])
def test_the_other_code_a_fixed_length_gzip_and_zstd_stand_beside_it(
    server: Server, code: str, other: str
) -> None:
    compared = analysis(server, code, TEXT)["comparison"]
    assert set(compared) == {other, "fixed", "gzip", "zstd"}
    reverse = analysis(server, other, TEXT)
    assert compared[other] == {
        name: value for name, value in reverse.items() if name not in ("symbols", "comparison")
    }
    assert compared["fixed"]["expected_length"] == 4


def test_nothing_can_be_analysed_too(server: Server) -> None:
    found = analysis(server, "huffman", b"")
    assert (found["symbols"], found["input_bytes"], found["entropy"]) == ([], 0, 0)


def test_a_body_in_the_spool_is_analysed_as_a_whole(server: Server) -> None:
    body = random.Random(8).randbytes(2 * MIB) + b"a" * MIB
    found = analysis(server, "huffman", body)
    assert (found["input_bytes"], found["symbols"][0]["text"]) == (3 * MIB, "a")


def test_of_a_form_the_first_file_is_analysed(server: Server) -> None:
    body, kind = form(('name="note"', b"not this"), ('name="a"; filename="a.bin"', b"aab"))
    head = f"POST /codecs/huffman/analysis HTTP/1.1\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n"
    answer = server.raw(head.encode() + CLOSE + b"\r\n" + chunked(body))
    assert answer.json()["input_bytes"] == 3


@pytest.mark.parametrize("what", ["analysis", "tree"])
@pytest.mark.parametrize("radix", ["1", "11", "x", "", "2.5", "-2", "2&radix=3"])
def test_another_radix_is_refused(server: Server, what: str, radix: str) -> None:
    found = problem(study(server, "huffman", what, b"ab", f"radix={radix}"), 400, "bad-option")
    assert found["option"] == "radix"


@pytest.mark.parametrize("what", ["analysis", "tree"])
def test_an_unknown_parameter_is_refused(server: Server, what: str) -> None:
    found = problem(study(server, "huffman", what, b"ab", "colour=red"), 400, "bad-option")
    assert found["option"] == "colour"


@pytest.mark.parametrize("what", ["analysis", "tree"])
@pytest.mark.parametrize("code", ["gzip", "morse", "huffman+base64", "nothing"])
def test_other_codecs_have_no_tree(server: Server, code: str, what: str) -> None:
    assert problem(study(server, code, what, b"ab"), 404, "unknown-codec")["known"] == list(CODES)


@pytest.mark.parametrize("what", ["analysis", "tree"])
def test_bodies_are_bounded_as_anywhere(small: Server, what: str) -> None:
    problem(study(small, "huffman", what, b"x" * (3 * MIB + 1)), 413, "body-too-large")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    ("query", "accept", "media_type", "form"),
    [
        ("", "", "application/json", "json"),
        ("", "*/*", "application/json", "json"),
        ("", "image/svg+xml", "image/svg+xml", "svg"),
        ("", "text/html, image/*;q=0.8, application/json;q=0.5", "image/svg+xml", "svg"),
        ("", "text/vnd.graphviz", "text/vnd.graphviz", "dot"),
        ("", "text/html", "application/json", "json"),
        ("format=json", "image/svg+xml", "application/json", "json"),
        ("format=svg", "", "image/svg+xml", "svg"),
        ("format=dot", "application/json", "text/vnd.graphviz", "dot"),
    ],
)
def test_a_tree_has_the_form_that_is_asked_for(
    server: Server, code: str, query: str, accept: str, media_type: str, form: str
) -> None:
    answer = study(server, code, "tree", TEXT, query, accept)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, media_type)
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "accept" in answer.headers["vary"].lower()
    assert answer.body.decode() == getattr(CODES[code].tree(TEXT), f"to_{form}")()


def test_an_unknown_form_of_a_tree_is_refused(server: Server) -> None:
    found = problem(study(server, "huffman", "tree", b"ab", "format=png"), 400, "bad-option")
    assert found["option"] == "format"


@pytest.mark.parametrize("body", [b"", b"a", bytes(range(256))])
def test_trees_of_nothing_one_and_all_symbols_are_drawn(server: Server, body: bytes) -> None:
    picture = ElementTree.fromstring(study(server, "huffman", "tree", body, "format=svg&radix=3").body)
    assert picture.tag.endswith("svg")
    assert json.loads(study(server, "huffman", "tree", body).body)["radix"] == 2


def test_the_table_of_morse_signs_has_codes_lengths_and_frequencies(server: Server) -> None:
    answer = server.get("/codecs/morse/table")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    table = {row["symbol"]: row for row in answer.json()}
    assert list(answer.json()[0]) == ["symbol", "code", "units", "frequency"]
    assert (table["E"]["code"], table["E"]["units"]) == (".", 1)
    assert (table["0"]["code"], table["0"]["units"], table["0"]["frequency"]) == ("-----", 19, None)
    assert "É" in table
    assert "<SK>" in table
    assert sum(row["frequency"] or 0 for row in table.values()) == pytest.approx(1, abs=0.01)
