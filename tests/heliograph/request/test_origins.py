"""Which pages may write: Origin, Sec-Fetch-Site, and the headers of CORS."""

from __future__ import annotations

import pytest
from flask import Flask, Response
from werkzeug.datastructures import Headers

from heliograph.request.options import RequestOptions
from heliograph.request.origins import guard, is_allowed, may_write
from tests.serving import CLOSE, Answer, Server, problem

OWN = "http://localhost:8080"
ALLOWED = frozenset({"https://pages.example"})


def send(server: Server, method: str, *headers: str, path: str = "/echo") -> Answer:
    fields = "".join(f"{header}\r\n" for header in headers)
    return server.raw(
        f"{method} {path} HTTP/1.1\r\n{fields}Content-Length: 2\r\n".encode() + CLOSE + b"\r\nhi"
    )


@pytest.mark.parametrize(
    ("origin", "site", "expected"),
    [
        ("", "", True),
        (OWN, "", True),
        (OWN, "same-origin", True),
        ("HTTP://LOCALHOST:8080", "", True),
        ("https://pages.example", "cross-site", True),
        ("https://pages.example:443", "cross-site", True),
        ("https://localhost:8080", "", False),
        ("http://localhost", "", False),
        ("http://localhost:8080.evil.example", "", False),
        ("null", "", False),
        ("", "cross-site", False),
        ("", "Cross-Site", False),
        (OWN, "cross-site", False),
        ("", "same-site", True),
        ("", "none", True),
        ("https://pages.example.evil.example", "", False),
        ("garbage", "", False),
    ],
)
def test_who_may_write(origin: str, site: str, expected: bool) -> None:
    given = {"Origin": origin, "Sec-Fetch-Site": site}
    headers = Headers([(name, value) for name, value in given.items() if value])
    assert may_write(headers, OWN, ALLOWED) is expected


APPS = RequestOptions.read({
    "HELIOGRAPH_ALLOWED_ORIGINS": "capacitor://localhost chrome-extension://abcdefghijklmnop https://*.example.org "
    "https://*.port.example:8443 http://plain.example:80 null"
}).allowed_origins  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("capacitor://localhost", True),
        ("Capacitor://LocalHost", True),
        ("ionic://localhost", False),
        ("http://localhost", False),
        ("chrome-extension://abcdefghijklmnop", True),
        ("chrome-extension://bcdefghijklmnopa", False),
        ("null", True),
        ("https://shop.example.org", True),
        ("https://a.b.example.org:443", True),
        ("HTTPS://SHOP.EXAMPLE.ORG", True),
        ("https://example.org", False),
        ("https://.example.org", False),
        ("https://shopexample.org", False),
        ("http://shop.example.org", False),
        ("https://shop.example.org:8443", False),
        ("https://shop.example.org.evil.example", False),
        ("https://evil.example/.example.org", False),
        ("https://evil.example:1.example.org", False),
        ("https://user@shop.example.org", False),
        ("https://*.example.org", False),
        ("https://a.port.example:8443", True),
        ("https://a.port.example", False),
        ("http://plain.example", True),
        ("http://plain.example:80", True),
        ("https://plain.example", False),
        ("https://a.example.org, https://b.example.org", False),
        ("", False),
    ],
)
def test_which_origins_the_settings_allow(origin: str, expected: bool) -> None:
    assert is_allowed(origin, APPS) is expected
    assert may_write(Headers({"Origin": origin, "Sec-Fetch-Site": "cross-site"}), OWN, APPS) is expected


def test_default_ports_are_none_in_the_own_origin_too() -> None:
    for own, origin in (("https://localhost", "https://localhost:443"), ("http://a", "HTTP://A:80")):
        assert may_write(Headers({"Origin": origin}), own, frozenset())
    assert not may_write(Headers({"Origin": "http://localhost:443"}), "http://localhost", frozenset())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_a_foreign_page_may_not_write(server: Server, method: str) -> None:
    path = "/echo/request" if method in ("DELETE", "BREW") else "/echo"
    answer = send(server, method, "Origin: https://evil.example", path=path)
    assert problem(answer, 403, "foreign-origin")["origin"] == "https://evil.example"
    assert "access-control-allow-origin" not in answer.headers
    problem(send(server, method, "Sec-Fetch-Site: cross-site", path=path), 403, "foreign-origin")


def test_a_foreign_page_may_read_nothing_but_is_answered(server: Server) -> None:
    answer = send(server, "GET", "Origin: https://evil.example", path="/healthz")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_our_own_page_may_write(server: Server) -> None:
    assert send(server, "POST", "Origin: http://localhost", "Sec-Fetch-Site: same-origin").body == b"hi"
    behind = (
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: 127.0.0.1:8443",
        "Origin: https://127.0.0.1:8443",
    )
    assert send(server, "POST", *behind).status == 200


@pytest.mark.parametrize("origin", ["https://pages.example", "https://port.example"])
def test_an_allowed_page_may_write_and_read(small: Server, origin: str) -> None:
    answer = send(small, "POST", f"Origin: {origin}", "Sec-Fetch-Site: cross-site")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert (
        answer.headers["access-control-expose-headers"] == "Location, Retry-After, X-Instance, X-Request-Id"
    )
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "Origin"


def test_an_allowed_page_can_read_problems_too(small: Server) -> None:
    answer = send(small, "GET", "Origin: https://pages.example", path="/nowhere")
    assert answer.headers["access-control-allow-origin"] == "https://pages.example"


@pytest.mark.parametrize("path", ["/echo", "/codecs/base64/encode", "/echo/request"])
def test_a_preflight_of_an_allowed_page_is_answered(small: Server, path: str) -> None:
    wanted = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type, x-a")
    answer = send(small, "OPTIONS", "Origin: https://pages.example", *wanted, path=path)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://pages.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type, x-a"
    assert int(answer.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://pages.example"])
def test_a_preflight_of_another_page_gets_no_permission(small: Server, origin: str) -> None:
    answer = send(small, "OPTIONS", f"Origin: {origin}", "Access-Control-Request-Method: POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origin", "credentials"),
    [
        ("https://shop.example.org", "true"),
        ("https://shop.example.org:443", "true"),
        ("capacitor://localhost", "true"),
        ("null", None),
    ],
)
def test_event_sources_may_send_cookies_but_not_those_of_any_site(
    origin: str, credentials: str | None
) -> None:
    app = Flask("app")
    guard(app, lambda: APPS)
    app.get("/events")(lambda: Response("data: x\n\n", mimetype="text/event-stream"))
    answer = app.test_client().get("/events", headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers.get("Access-Control-Allow-Credentials") == credentials
    other = app.test_client().get("/events", headers={"Origin": "https://example.org"})
    assert not [name for name, _ in other.headers if name.startswith("Access-Control")]
