"""Heads of requests, without sockets. What must be refused is in test_hostile."""

from __future__ import annotations

import h11
import httptools
from heliograph_proxy.errors import Problem
from heliograph_proxy.http1.requests import CACHED_BYTES, RequestParser, check_unfinished
from heliograph_proxy.settings import ProxyLimits
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_tests.test_hostile import REFUSED

PARSER = RequestParser(ProxyLimits())


def status(head: bytes) -> int:
    """What a head is refused with, 0: not at all."""
    try:
        PARSER.parse(head)
    except Problem as problem:
        return problem.status
    return 0


def test_equal_heads_are_parsed_once() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n"
    assert PARSER.parse(head) is PARSER.parse(bytes(bytearray(head)))
    long = head + b"X: " + b"y" * CACHED_BYTES + b"\r\n"
    assert PARSER.parse(long) is not PARSER.parse(long)


@given(st.binary(max_size=300))
@example(b"GET / HTTP/1.1\r\nHost: \xff\r\n")
def test_any_bytes_are_a_head_or_a_problem_and_nothing_else(data: bytes) -> None:
    assert 0 <= status(data + b"\r\n") <= 505


@given(st.data())
def test_an_unfinished_head_is_refused_only_if_the_finished_one_is(data: st.DataObject) -> None:
    request, _ = REFUSED[data.draw(st.sampled_from(sorted(REFUSED)))]
    head = request.split(b"\r\n\r\n")[0] + b"\r\n"
    size = data.draw(st.integers(1, len(head)))
    early = 0
    try:
        check_unfinished(head[:size], 0, ProxyLimits())
    except Problem as problem:
        early = problem.status
    assert early in (0, status(head))


TOKEN = st.text("abcXYZ019-!#$%&'*+.^`|~", min_size=1, max_size=12)
VALUE = st.text("abc ,;=\"'()/\t~é", max_size=30).map(lambda text: text.strip(" \t"))


class Seen:
    """What httptools makes of a head."""

    def __init__(self, wire: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(wire)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.text("abc/?&=%20.-~", max_size=20),
    st.lists(st.tuples(TOKEN, VALUE), max_size=8),
)
def test_other_parsers_read_what_is_passed_on_as_we_do(
    method: str, path: str, fields: list[tuple[str, str]]
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")
    try:
        head = PARSER.parse(f"{method} /{path} HTTP/1.1\r\nHost: a\r\n".encode() + lines)
    except Problem:
        return
    seen = Seen(head.passed_on + b"\r\n")
    assert (seen.method, seen.url) == (head.method, head.target)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head.passed_on + b"\r\n")
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (head.method, head.target)
    assert [(name.lower(), value) for name, value in seen.headers] == list(event.headers)
