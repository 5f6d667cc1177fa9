"""What an application is asked to compare its answers at two places, and how."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import requests

PATIENCE = 30.0


@dataclass(frozen=True)
class Site:
    """Where the application is served."""

    url: str
    context: ssl.SSLContext | None = None
    certificate: str = ""

    def ask(
        self,
        target: str,
        method: str = "GET",
        fields: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
    ) -> http.client.HTTPResponse:
        """The beginning of an answer."""
        host = self.url.rpartition("//")[2]
        if self.context:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, timeout=PATIENCE, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        every = {"Accept-Encoding": "identity", "Connection": "close"}
        chunked = "Transfer-Encoding" in (fields or {})
        connection.request(method, target, body, {**every, **(fields or {})}, encode_chunked=chunked)
        return connection.getresponse()


@dataclass(frozen=True)
class Asked:
    target: str
    method: str = "GET"
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    chunked: bool = False
    own: tuple[str, ...] = ()

    def of(self, site: Site) -> http.client.HTTPResponse:
        if self.chunked:
            assert self.body is not None
            pieces = (self.body[at : at + 70_000] for at in range(0, len(self.body), 70_000))
            return site.ask(self.target, self.method, {**self.fields, "Transfer-Encoding": "chunked"}, pieces)
        return site.ask(self.target, self.method, self.fields, self.body)


def form(text: str, target: str = "/upload") -> Asked:
    return Asked(target, "POST", {"Content-Type": "application/x-www-form-urlencoded"}, text.encode())


def files(**kept: tuple[str, bytes, str]) -> Asked:
    made = requests.Request(
        "POST", "http://x/", files=kept, data={"note": "ünïcode", "two": ["1", "2"]}
    ).prepare()
    assert isinstance(made.body, bytes)
    return Asked("/upload", "POST", {"Content-Type": made.headers["Content-Type"]}, made.body)


LAST_MODIFIED = "Fri, 02 Jan 2026 03:04:05 GMT"
FRIEND, OTHER = {"Origin": "https://friend.example"}, {"Origin": "https://other.example"}
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-own, content-type"}

REQUESTS = [
    # Pages.
    *(Asked(path) for path in ("/", "/?word=%E2%98%83+a%26b&word=2", "/pages/folder/", "/pages/folder")),
    *(Asked(f"/{name}") for name in ("healthz", "readyz", "metrics", "docs", "push", "events", "channels")),
    Asked("/openapi.json"),
    *(Asked(f"/kinds/{kind}") for kind in ("dict", "list", "text", "latin", "bytes", "xml", "none", "empty")),
    *(Asked(f"/kinds/{kind}") for kind in ("tuple", "reason", "strange")),
    Asked("/", "HEAD"),
    Asked("/", "OPTIONS"),
    Asked("/file", "HEAD"),
    Asked("/stream/plain", "HEAD"),
    # Errors.
    *(Asked(f"/errors/{what}") for what in (400, 403, 404, 405, 410, 413, 418, 429, 500, 501, 502, 503, 504)),
    *(Asked(f"/errors/{what}") for what in ("raised", "form", "basic", "later")),
    Asked("/nowhere"),
    Asked("/", "POST", body=b"no such method"),
    Asked("/", "DELETE"),
    Asked("/", "PROPFIND"),
    Asked("/json", "POST", {"Content-Type": "application/json"}, b'{"a": '),
    Asked("/json", "POST", {"Content-Type": "text/plain"}, b"{}"),
    # Where clients are sent.
    *(Asked(f"/redirects/{where}") for where in ("near", "full", "away", "kept", "query")),
    Asked("/redirects/kept", "POST", body=b"again"),
    Asked("/pages/folder", "POST", body=b"x"),
    Asked("/urls"),
    Asked("/urls?a=1&b=%20"),
    # What a view sees of a request.
    *(
        Asked(f"/seen/{rest}")
        for rest in (
            "a%20b",
            "%C3%BC",
            "a%2Fb",
            "a//b",
            "a/./b",
            "a;v=1",
            "a%3Fb",
            "x?",
            "x?q",
            "x?a=1&a=2&b",
            "x?%zz",
        )
    ),
    Asked("/seen/x?y=" + "z" * 3000),
    Asked("//seen//x"),
    *(Asked("/seen/x", method) for method in ("DELETE", "PROPFIND", "OPTIONS")),
    Asked("/seen/x", "PUT", {"Content-Type": "a/b; c=d", "X-Own-One": "1", "X-OWN-two": "a, b"}, b"123"),
    Asked("/seen/x", fields={"Cookie": 'a=1; b="2 3"; a=4', "Accept-Language": "de;q=0.8, en"}),
    Asked("/seen/x", fields={"Authorization": "Basic YW5uYTpw"}),
    # Cookies and fields.
    Asked("/fields", own=("x-request-id", "strict-transport-security")),
    Asked("/cookies"),
    Asked("/me"),
    form("name=anna", "/login"),
    form("name=anna", "/login?next=%2Furls"),
    form("", "/login"),
    # Files.
    Asked("/file"),
    *(
        Asked("/file", fields={"Range": f"bytes={part}"})
        for part in ("0-0", "2-4", "990-", "-5", "5-2", "2000-", "0-1,5-6", "x")
    ),
    Asked("/file", fields={"Range": "lines=1-2"}),
    *(
        Asked("/file", fields={"Range": "bytes=2-4", "If-Range": tag})
        for tag in ('"the-tag"', '"other"', LAST_MODIFIED)
    ),
    *(Asked("/file", fields={"If-None-Match": tag}) for tag in ('"the-tag"', 'W/"the-tag"', "*", '"other"')),
    Asked("/file", fields={"If-Modified-Since": LAST_MODIFIED}),
    Asked("/file", fields={"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}),
    Asked("/file", fields={"If-Match": '"other"'}),
    *(
        Asked(f"/static/{name}")
        for name in (
            "style.css",
            "a%20file.js",
            "none.css",
            "../tutorial.py",
            "%2e%2e/tutorial.py",
            "",
            "page.html",
        )
    ),
    Asked("/static/style.css", "POST", body=b"x"),
    Asked("/static/style.css", fields={"Range": "bytes=0-3"}),
    # Bodies.
    form("a=1&b=%C3%BC&a=2+3"),
    files(file=("päper.txt", b"x" * 2_000_000, "text/plain"), empty=("", b"", "a/b")),
    files(one=('with "quotes".bin', bytes(range(256)), "application/octet-stream")),
    Asked("/upload", "POST", {"Content-Type": "multipart/form-data"}, b"without a boundary"),
    Asked("/upload", "POST", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\ncut"),
    *(Asked("/body", method, body=b"\x00\xff" * 500) for method in ("POST", "PUT", "PATCH", "DELETE")),
    Asked("/body", "POST", body=b""),
    Asked("/body", "POST", body=b"y" * 3_000_000),
    Asked("/body", "POST", body=b"y" * 3_000_000, chunked=True),
    Asked("/body", "POST", body=b"too long" * 600_000),
    Asked("/json", "POST", {"Content-Type": "application/json"}, '{"a": ["ü", 1]}'.encode()),
    Asked("/unread", "POST", body=b"z" * 100_000),
    # Other origins.
    *(Asked("/api/items", fields=origin) for origin in ({}, FRIEND, OTHER, {"Origin": "null"})),
    *(Asked("/api/items", "OPTIONS", {**origin, **PREFLIGHT}) for origin in (FRIEND, OTHER)),
    Asked("/api/items", "PUT", {**FRIEND, "Sec-Fetch-Site": "cross-site"}, b"x"),
    Asked("/body", "POST", {**OTHER, "Sec-Fetch-Site": "cross-site"}, b"of another origin"),
    # Compression of its own, and none.
    *(
        Asked(f"/large/{kind}", fields={"Accept-Encoding": coding})
        for kind in ("text", "image")
        for coding in ("identity", "br", "zstd", "deflate", "gzip;q=0", "gzip, br;q=0.5")
    ),
    Asked("/large/text", fields={"If-None-Match": '"large"'}),
    Asked("/large/text", fields={"If-None-Match": '"large:gzip"', "Accept-Encoding": "gzip"}),
    # Streams.
    *(Asked(f"/stream/{kind}") for kind in ("plain", "long")),
]
