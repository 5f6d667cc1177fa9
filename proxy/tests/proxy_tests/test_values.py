"""One check for each kind of value: the value to use, or one line that says what is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from heliograph_proxy import values
from heliograph_proxy.values import Address, Wrong
from hypothesis import given
from hypothesis import strategies as st

CHECKS: dict[str, Callable[[Any], Any]] = {
    "address": values.address, "number": values.number(1, 10), "whole": values.number(0, whole=True),
    "positive": values.positive, "text": values.text, "boolean": values.boolean, "choice": values.choice("a", "b"),
    "name": values.name, "weight": values.weight, "path": values.path, "host": values.host, "ratio": values.ratio,
    "strategy": values.strategy, "cookie": values.cookie, "secrets": values.secrets, "trusted": values.trusted,
}  # fmt: skip

GOOD: list[tuple[str, Any, Any]] = [
    ("address", "127.0.0.1:1", Address("127.0.0.1", 1)),
    ("address", "[::1]:65535", Address("::1", 65535)),
    ("address", "web-1.internal:80", Address("web-1.internal", 80)),
    ("address", "my_service:80", Address("my_service", 80)),
    ("address", "unix:/run/a b.sock", Address(path="/run/a b.sock")),
    ("address", "unix:/" + "x" * 106, Address(path="/" + "x" * 106)),
    ("number", 1, 1.0),
    ("number", 10, 10.0),
    ("whole", 0, 0),
    ("whole", (1 << 53) - 1, (1 << 53) - 1),
    ("positive", 0.001, 0.001),
    ("name", "a" * 64, "a" * 64),
    ("weight", 1000, 1000),
    ("path", "/healthz?deep=1", "/healthz?deep=1"),
    ("host", "example.com:8080", "example.com:8080"),
    ("host", "[::1]", "[::1]"),
    ("ratio", 0, 0.0),
    ("ratio", 1, 1.0),
    ("strategy", "ip_hash", "ip_hash"),
    ("strategy", "my.package:Best", "my.package:Best"),
    ("cookie", "", ""),
    ("secrets", "", ()),
    ("secrets", "s" * 32, ("s" * 32,)),
    ("secrets", ["n" * 32, "o" * 32], ("n" * 32, "o" * 32)),
]

WRONG: list[tuple[str, Any]] = [
    ("address", "127.0.0.1"),
    ("address", "127.0.0.1:0"),
    ("address", "127.0.0.1:65536"),
    ("address", ":80"),
    ("address", "::1:80"),
    ("address", "127.0.0.1:80\n"),
    ("address", "unix:"),
    ("address", "unix:/" + "x" * 107),
    ("address", "unix:/" + "\u00e9" * 54),
    # What no system call takes, or no name resolver.
    ("address", "unix:/a\0b"),
    ("address", "unix:/\ud800"),
    ("address", "[::::]:80"),
    ("address", "a..b:80"),
    ("address", "x" * 64 + ":80"),
    ("number", 0.999),
    ("number", 10.001),
    ("number", True),
    ("number", math.nan),
    ("whole", 1.0),
    ("whole", 1 << 53),
    ("positive", 0),
    ("positive", math.inf),
    ("name", "a" * 65),
    ("name", "a\n"),
    ("name", "\u00e4"),
    ("weight", 1001),
    ("weight", False),
    ("path", "/a#b"),
    ("path", "/a\r\nHost: b"),
    ("host", "a b"),
    ("host", "a\n"),
    ("host", "a:0"),
    ("host", "a:65536"),
    ("ratio", 1.001),
    ("strategy", "my.package"),
    ("strategy", "my.package:Best()"),
    ("cookie", "a=b"),
    ("secrets", "s" * 31),
    ("secrets", ["s" * 32, "s" * 31]),
    ("secrets", ["s" * 32, 1]),
    ("trusted", ["127.0.0.1/33"]),
    ("trusted", [1]),
]


def shown(value: Any) -> str:
    return ascii(value)[:30]


@pytest.mark.parametrize(("kind", "given", "expected"), GOOD, ids=shown)
def test_what_is_allowed_is_taken(kind: str, given: Any, expected: Any) -> None:
    value = CHECKS[kind](given)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(("kind", "given"), WRONG, ids=shown)
def test_what_is_not_allowed_is_refused_in_one_line(kind: str, given: Any) -> None:
    with pytest.raises(Wrong) as error:
        CHECKS[kind](given)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("must ")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ADDRESSES = st.builds(
    str.__add__, st.sampled_from(["unix:/", "unix:", "[", ""]), st.text(st.characters(), max_size=20)
)


@given(ANYTHING | ADDRESSES | st.lists(st.text(st.characters())))
def test_anything_is_a_value_or_our_error_and_nothing_else(anything: Any) -> None:
    for check in CHECKS.values():
        try:
            check(anything)
        except Wrong:
            continue


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        (Address("127.0.0.1", 1), True),
        (Address("127.8.9.1", 1), True),
        (Address("::1", 1), True),
        (Address("localhost", 1), True),
        (Address(path="/run/a"), True),
        (Address("0.0.0.0", 1), False),
        (Address("::", 1), False),
        (Address("localhost.example.com", 1), False),
        (Address("10.0.0.1", 1), False),
    ],
)
def test_what_only_this_machine_can_reach_is_known(address: Address, loopback: bool) -> None:
    assert address.loopback is loopback


def test_trusted_peers_are_found_in_their_networks_only() -> None:
    peers = values.trusted(["10.0.0.0/8", "fd00::/8"])
    assert [peers.believes(one) for one in ("10.255.0.1", "11.0.0.1", "fd00::1", "fe80::1", "unix")] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert values.trusted(["unix"]).believes("unix")
    assert not values.trusted([]).believes("127.0.0.1")
