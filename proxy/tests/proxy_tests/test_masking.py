"""What of a query stands in logs."""

from __future__ import annotations

import json

import pytest
from heliograph_proxy.masking import mask_secrets

from proxy_tests.backends import Backend
from proxy_tests.conftest import StartProxy, until


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/events?channel=a&ticket=abc.def-g", "/events?channel=a&ticket=***"),
        ("/x?token=a&b=1&access_token=c&ticket=d", "/x?token=***&b=1&access_token=***&ticket=***"),
        ("ticket=abc&x=1", "ticket=***&x=1"),
        ("/x?ticket=a=b", "/x?ticket=***"),
        ("/x?TICKET=a", "/x?TICKET=***"),
        ("/x?%74ic%6Bet=a", "/x?%74ic%6Bet=***"),
        ("/x?next=%2Fevents%3Fticket%3Dabc%26y=1", "/x?next=%2Fevents%3Fticket%3D***%26y=1"),
        ("https://a.example/?ticket=abc", "https://a.example/?ticket=***"),
        ("KeyError at /x?ticket=abc in line 5", "KeyError at /x?ticket=*** in line 5"),
        (
            '"GET /?ticket=abc HTTP/1.1" 200 "http://a/?token=abc" "x"',
            '"GET /?ticket=*** HTTP/1.1" 200 "http://a/?token=***" "x"',
        ),
        ("/tickets?name=ticket", "/tickets?name=ticket"),
        ("/x?csrf_token=a&no-ticket=b&tickets=c", "/x?csrf_token=a&no-ticket=b&tickets=c"),
        ("/x?ticket=", "/x?ticket="),
        ("", ""),
    ],
)
def test_secrets_are_masked_and_nothing_else_is(text: str, shown: str) -> None:
    assert mask_secrets(text) == shown


@pytest.mark.parametrize("format", ["json", "combined"])
def test_the_access_log_shows_no_secret(start_proxy: StartProxy, backend: Backend, format: str) -> None:
    proxy = start_proxy(backend, log={"format": format})
    log = proxy.log
    fields = b"Host: test\r\nReferer: http://test/?ticket=SECRET\r\nUser-Agent: x\r\n"
    with proxy.client() as client:
        assert client.ask(b"GET /a?ticket=SECRET&n=1 HTTP/1.1\r\n" + fields + b"\r\n").status == 200
    with proxy.client() as client:  # what cannot be parsed is logged, too
        client.send(b"GET /b?token=SECRET HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert client.response().status == 400
    until(lambda: log.read_text().count("\n") == 2, "two lines")
    lines = log.read_text().splitlines()
    assert "SECRET" not in log.read_text()
    assert "/a?ticket=***&n=1" in lines[0]
    if format == "json":
        assert [json.loads(line)["target"] for line in lines] == ["/a?ticket=***&n=1", "/b?token=***"]
