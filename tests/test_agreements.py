"""What the layers must agree on: they meet on the wire only."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import heliograph_proxy.balancing.health
import pytest
from heliograph_proxy import errors as proxy_errors
from heliograph_proxy import settings as proxy_settings
from heliograph_proxy.accesslog import Record, json_line
from heliograph_proxy.headers import Forwarding
from heliograph_proxy.http1.requests import RequestParser
from heliograph_proxy.server import LAST_REQUEST_SHORT
from heliograph_proxy.trust import read_trusted
from hypothesis import example, given
from hypothesis import strategies as st
from proxy_tests.processes import ROOT

from heliograph.problems import Stopping, catalogue
from heliograph.request.forwarding import resolve
from heliograph.stack.ending import STOPPING
from heliograph.stack.plan import PartKind

CATALOGUE = {(kind.name, kind.status, kind.title) for kind in catalogue()}


def proxy_problems() -> list[type[proxy_errors.Problem]]:
    pending: list[type[proxy_errors.Problem]] = [proxy_errors.Problem]
    found: set[type[proxy_errors.Problem]] = set()
    while pending:
        kind = pending.pop()
        found.add(kind)
        pending += kind.__subclasses__()
    return sorted(found, key=name_of)


def name_of(kind: type[proxy_errors.Problem]) -> str:
    return kind.name


@pytest.mark.parametrize("kind", proxy_problems(), ids=name_of)
def test_the_documentation_lists_every_problem_of_the_proxy(kind: type[proxy_errors.Problem]) -> None:
    assert (kind.name, kind.status, kind.title) in CATALOGUE


def test_the_documentation_lists_every_problem_of_nginx() -> None:
    text = (ROOT / "nginx" / "snippets" / "problems.conf").read_text()
    names, titles = nginx_map(text, "problem_name"), nginx_map(text, "problem_title")
    assert len(names) > 10
    assert {(names[status], int(status), titles[status]) for status in names} <= CATALOGUE


def nginx_map(text: str, variable: str) -> dict[str, str]:
    """What nginx maps each status to."""
    found = re.search(rf"map \$status \${variable} \{{(.*?)\}}", text, re.DOTALL)
    assert found
    return {status: words.strip('"') for status, words in re.findall(r"(\d{3}) (\S+|\"[^\"]*\");", found[1])}


def test_the_proxy_understands_an_instance_that_is_stopping() -> None:
    assert heliograph_proxy.balancing.health.STOPPING in Stopping().body()


def test_the_manager_lets_the_proxy_wait_for_the_last_requests_of_idle_connections() -> None:
    patience = max(step.patience for step in STOPPING if step.kind is PartKind.PROXY)
    assert patience / 2 >= LAST_REQUEST_SHORT


def test_the_configuration_of_the_proxy_in_this_checkout_has_every_default() -> None:
    settings = proxy_settings.load(str(ROOT / "conf" / "proxy.toml"))
    expected = proxy_settings.parse({"backend": [
        {"name": "web1", "address": "127.0.0.1:8100"},
        {"name": "web2", "address": "127.0.0.1:8101"},
    ]})  # fmt: skip
    # Where its state lies depends on the place of the file.
    assert replace(settings, state=expected.state) == expected


TRUSTED = read_trusted(["127.0.0.1", "10.0.0.0/8", "::ffff:192.168.0.0/112", "2001:db8::/32", "unix"])
PROXY = "127.0.0.1"

_addresses = st.one_of(
    st.sampled_from(
        ["10.0.0.7", "127.0.0.1", "192.168.3.4", "2001:DB8::1", "6.6.6.6", "2a00::1", "unix", ""]
    ),
    st.ip_addresses().map(str),
)
_entries = st.one_of(
    _addresses,
    st.builds("{}:{}".format, _addresses, st.integers(0, 70_000)),
    st.builds("[{}]".format, _addresses),
    st.builds("[{}]:{}".format, _addresses, st.integers(0, 70_000)),
    st.builds("::ffff:{}".format, _addresses),
    st.builds("{}%{}".format, _addresses, st.sampled_from(["x", 'a"b', "25"])),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=6),
)
_separators = st.sampled_from([",", ", ", " ,\t", ",,"])


@st.composite
def _lists(draw: st.DrawFn, entries: st.SearchStrategy[str]) -> str:
    return "".join(entry + draw(_separators) for entry in draw(st.lists(entries, max_size=4))) + draw(entries)


_fields = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["X-Forwarded-For", "x-forwarded-for"]), _lists(_entries)),
        st.tuples(
            st.just("X-Forwarded-Proto"),
            _lists(st.sampled_from(["http", "HTTPS", "wss", "", "gopher", " https\t"])),
        ),
        st.tuples(
            st.just("X-Forwarded-Host"),
            _lists(st.sampled_from(["a.example", "A.example:81", "[::1]:80", "a b", "", "x!y"])),
        ),
        st.tuples(st.just("X-Forwarded-Prefix"), st.sampled_from(["/a", "/a/", "//b", "", "/a, /b"])),
        st.tuples(st.just("Forwarded"), st.just("for=9.9.9.9;proto=https")),
    ),
    max_size=5,
)

_parser = RequestParser(proxy_settings.parse({"backend": [{"name": "a", "address": "127.0.0.1:1"}]}).limits)


def environ_of(block: bytes) -> dict[str, str]:
    """What a WSGI server makes of header fields."""
    environ: dict[str, str] = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        key, value = "HTTP_" + name.upper().replace("-", "_"), value.strip(" \t")
        if colon:
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


_peers = st.one_of(
    st.sampled_from(["", "127.0.0.1", "10.0.0.7", "::ffff:10.0.0.7", "6.6.6.6", "fe80::1%eth0"]),
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map("::ffff:{}".format),
)


@given(peer=_peers, fields=_fields)
@example(peer="127.0.0.1", fields=[("X-Forwarded-For", "203.0.113.1:50001")])
@example(peer="127.0.0.1", fields=[("X-Forwarded-For", "6.6.6.6, ::1%x")])
@example(peer="127.0.0.1", fields=[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "")])
@example(peer="::ffff:127.0.0.1", fields=[("X-Forwarded-Proto", "http, HTTPS")])
def test_proxy_and_application_name_the_same_client(peer: str, fields: list[tuple[str, str]]) -> None:
    block = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in fields)
    head = _parser.parse(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + block)
    forwarding = Forwarding(peer, TRUSTED)
    direct = resolve(peer, "http", {"HTTP_HOST": "localhost", **environ_of(block)}, TRUSTED)
    passed_on = environ_of(forwarding.lines(head, head.host))
    behind = resolve(PROXY, "http", {"HTTP_HOST": "localhost", **passed_on}, TRUSTED)
    assert direct.address == behind.address == forwarding.client(head)
    assert direct.scheme == behind.scheme == ("https" if forwarding.https(head) else "http")
    assert direct.host == behind.host
    assert direct.prefix == behind.prefix
    assert "HTTP_FORWARDED" not in passed_on
    record = Record("id", forwarding.client(head))
    assert json.loads(json_line(record, 0.0))["client"] == direct.address
