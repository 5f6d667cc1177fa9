"""Codes that clients bring along: are they prefix-free, can they be read, and how many readings a message has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wirecodes import prefix_codes

from app.codec.codes import MAX_DOCUMENT
from tests.serving import CLOSE, Answer, Server, chunked, problem


def ask(server: Server, what: str, document: object, kind: str = "application/json") -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = f"POST /codes/{what} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return server.raw(head.encode() + CLOSE + b"\r\n" + body)


def found(server: Server, what: str, **document: object) -> Any:
    answer = ask(server, what, document)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), answer
    assert answer.headers["content-security-policy"] == "sandbox"
    return answer.json()


def test_a_code_of_three_digits_is_checked(server: Server) -> None:
    assert found(server, "check", codewords=["01", "102", "111", "202"]) == {
        "prefix_free": True,
        "uniquely_decodable": True,
        "kraft_sum": "2/9",
        "radix": 3,
        "conflict": None,
        "ambiguous": None,
    }


@pytest.mark.parametrize(
    ("codewords", "conflict", "ambiguous", "kraft_sum"),
    [
        (["0", "01", "11"], ["0", "01"], None, "1"),
        (["0", "01", "10"], ["0", "01"], "010", "1"),
        (["1", "1"], ["1", "1"], "1", "1"),
        ([], None, None, "0"),
    ],
)
def test_conflicts_and_ambiguous_strings_are_shown(
    server: Server, codewords: list[str], conflict: list[str] | None, ambiguous: str | None, kraft_sum: str
) -> None:
    answer = found(server, "check", codewords=codewords)
    assert (answer["conflict"], answer["ambiguous"], answer["kraft_sum"]) == (conflict, ambiguous, kraft_sum)
    assert (answer["prefix_free"], answer["uniquely_decodable"]) == (conflict is None, ambiguous is None)


def test_a_message_is_split(server: Server) -> None:
    message = "1111022020101111102"
    assert found(server, "split", codewords=["01", "102", "111", "202"], message=message) == {
        "count": "1",
        "parses": [["111", "102", "202", "01", "01", "111", "102"]],
    }


def test_no_reading_is_an_answer(server: Server) -> None:
    assert found(server, "split", codewords=["01"], message="011") == {"count": "0", "parses": []}


def test_exponentially_many_readings_are_counted_exactly(server: Server) -> None:
    answer = found(server, "split", codewords=["1", "11"], message="1" * prefix_codes.MAX_MESSAGE)
    assert (len(answer["count"]), answer["count"][:10]) == (20899, "4202692702")  # Fibonacci's number 100,001
    assert len(answer["parses"]) == prefix_codes.MAX_PARSES
    assert {"".join(parse) for parse in answer["parses"]} == {"1" * prefix_codes.MAX_MESSAGE}


WORDS = {"codewords": ["0"]}
MESSAGE = {"codewords": ["0"], "message": "0"}


@pytest.mark.parametrize(
    ("what", "document"),
    [
        ("check", b""),
        ("check", b"not json"),
        ("check", b"\xff\xfe{}"),
        ("check", b'{"codewords": ["0"]'),
        ("check", b"[" * 100_000),
        ("check", []),
        ("check", None),
        ("check", {}),
        ("check", {"codewords": "01"}),
        ("check", {"codewords": None}),
        ("check", {"codewords": [1, 2]}),
        ("check", {"codewords": [["0"]]}),
        ("check", {"codewords": [True]}),
        ("check", {**WORDS, "radix": 2}),
        ("check", MESSAGE),
        ("split", WORDS),
        ("split", {**MESSAGE, "message": 1}),
        ("split", {**MESSAGE, "message": ["0"]}),
        ("split", {**MESSAGE, "more": "0"}),
        ("split", {"codewords": ["0"] * (prefix_codes.MAX_CODEWORDS + 1), "message": "0"}),
        ("split", {**MESSAGE, "message": "0" * (prefix_codes.MAX_MESSAGE + 1)}),
        ("check", {"codewords": ["0"] * (prefix_codes.MAX_CODEWORDS + 1)}),
    ],
)
def test_another_document_is_refused(server: Server, what: str, document: object) -> None:
    detail = problem(ask(server, what, document), 400, "bad-document")["detail"]
    assert len(detail) < 300


@pytest.mark.parametrize(
    ("what", "document", "position"),
    [
        ("check", {"codewords": ["0", "1x"]}, 1),
        ("check", {"codewords": ["0", "1", ""]}, 2),
        ("check", {"codewords": ["0", "\u0661"]}, 1),
        ("check", {"codewords": ["0" * (prefix_codes.MAX_CODEWORD + 1)]}, 0),
        ("split", {"codewords": ["0", "-1"], "message": "0"}, 1),
        ("split", {**MESSAGE, "message": "00a0"}, 2),
        ("split", {**MESSAGE, "message": "0\u00b2"}, 1),
    ],
)
def test_what_is_wrong_with_words_or_message_has_a_position(
    server: Server, what: str, document: object, position: int
) -> None:
    assert problem(ask(server, what, document), 400, "bad-document")["position"] == position


@pytest.mark.parametrize("what", ["check", "split"])
def test_documents_are_bounded(server: Server, what: str) -> None:
    padded = json.dumps(MESSAGE if what == "split" else WORDS).encode()
    assert ask(server, what, padded.ljust(MAX_DOCUMENT)).status == 200
    found = problem(ask(server, what, padded.ljust(MAX_DOCUMENT + 1)), 413, "body-too-large")
    assert found["limit"] == MAX_DOCUMENT
    head = f"POST /codes/{what} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n".encode()
    problem(
        server.raw(head + CLOSE + b"\r\n" + chunked(padded.ljust(MAX_DOCUMENT + 1))), 413, "body-too-large"
    )


@pytest.mark.parametrize("what", ["check", "split"])
def test_only_post_asks(server: Server, what: str) -> None:
    answer = server.get(f"/codes/{what}")
    problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["allow"]
