"""nginx/nginx.conf under a real nginx: bodies that stream, what is compressed, static files, the access log."""

from __future__ import annotations

import gzip
import json
import re

import pytest
import requests
from proxy_tests.processes import until

from tests.stack.front import NGINX, STYLE_SHEET, Nginx
from tests.stack.upstream import PATIENCE, Exchange

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def test_a_request_body_streams_through_before_it_is_complete(nginx: Nginx) -> None:
    def read(exchange: Exchange) -> None:
        arrived.append(exchange.read(5))
        exchange.read(6)
        exchange.answer()

    arrived: list[bytes] = []
    nginx.upstream.handler = read
    with nginx.connect() as client:
        client.sendall(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nConnection: close\r\n\r\nfirst"
        )
        until(lambda: arrived, "the first half behind nginx")
        client.sendall(b"second")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param(
            "/channels/lebowski/events", {"Content_Type": "text/event-stream"}, id="server-sent events"
        ),
        pytest.param("/echo/stream", {"X_Accel_Buffering": "no"}, id="where the answer asks for it"),
    ],
)
def test_these_answers_are_not_buffered(nginx: Nginx, path: str, fields: dict[str, str]) -> None:
    def stream(exchange: Exchange) -> None:
        named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        # Ended by the connection's end: where it buffers, nginx holds such an answer back until a buffer is full.
        exchange.send(f"HTTP/1.1 200 OK\r\n{named}Connection: close\r\n\r\none\n\n\n".encode())
        exchange.connection.recv(1)  # until the test is over

    nginx.upstream.handler = stream
    with requests.get(f"{nginx.url}{path}", stream=True, timeout=PATIENCE) as answer:
        assert next(answer.iter_content(6)) == b"one\n\n\n"


DOCUMENT = json.dumps({"text": "to be or not to be " * 200}).encode()


@pytest.mark.parametrize(
    ("path", "media_type", "compressed"),
    [
        ("/openapi.json", "application/json", True),
        ("/docs", "text/html; charset=utf-8", True),
        ("/nowhere", "application/problem+json", True),
        ("/picture", "image/png", False),
        ("/echo", "application/json", False),
        ("/echo/request", "application/json", False),
        ("/codecs/huffman+base64/decode", "text/plain", False),
        ("/channels/lebowski/events", "text/event-stream", False),
    ],
)
def test_our_documents_are_compressed_and_bytes_of_users_are_not(
    nginx: Nginx, path: str, media_type: str, compressed: bool
) -> None:
    nginx.upstream.handler = lambda exchange: exchange.answer(
        body=DOCUMENT, Content_Type=media_type, ETag='"1"'
    )
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    status, fields, body = nginx.raw(request.encode())
    assert status == 200
    assert fields["content-type"] == media_type
    if compressed:
        assert fields["content-encoding"] == "gzip"
        assert fields["vary"] == "accept-encoding"
        assert fields["etag"] == 'w/"1"'
    else:
        assert "content-encoding" not in fields
        assert fields["content-length"] == str(len(DOCUMENT))
        assert body == DOCUMENT


def test_what_is_encoded_already_is_left_alone(nginx: Nginx) -> None:
    body = gzip.compress(b"x" * 100_000, mtime=0) + b"-" * 2000
    nginx.upstream.handler = lambda exchange: exchange.answer(
        body=body, Content_Type="application/json", Content_Encoding="gzip"
    )
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    assert nginx.raw(request)[2] == body


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/static/style.css", "public, max-age=300"),
        ("/static/style.css?v=1f3a", "public, max-age=31536000, immutable"),
        ("/static/vendor/library.js", "public, max-age=31536000, immutable"),
    ],
)
def test_static_files_are_served_here_with_cache_headers(nginx: Nginx, path: str, cache: str) -> None:
    answer = requests.get(f"{nginx.url}{path}", timeout=PATIENCE)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == cache
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert answer.headers["Content-Type"].startswith(("text/css; charset", "text/javascript; charset"))
    assert nginx.upstream.seen.empty()
    again = requests.get(
        f"{nginx.url}{path}", headers={"If-None-Match": answer.headers["ETag"]}, timeout=PATIENCE
    )
    assert again.status_code == 304


def test_static_text_is_compressed(nginx: Nginx) -> None:
    answer = requests.get(f"{nginx.url}/static/style.css", timeout=PATIENCE)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.text == STYLE_SHEET


def test_the_access_log_is_json_with_the_ids_that_the_proxy_got(nginx: Nginx) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    given = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    requests.get(f'{nginx.url}/echo?log="quoted"', headers=given, timeout=PATIENCE)
    seen = nginx.upstream.next()
    [request_id] = seen.values("X-Request-Id")
    assert seen.values("traceparent") == [given["traceparent"]]
    log = nginx.folder / "var/nginx-access.log"
    line = until(lambda: next((x for x in log.read_text().splitlines() if request_id in x), ""), "its line")
    entry = json.loads(line)
    assert (entry["request_id"], entry["trace_id"]) == (request_id, trace)
    assert entry["status"] == 200
    assert entry["method"] == "GET"


@pytest.mark.parametrize(
    "target",
    [
        "/metrics",
        "/metrics/",
        "/metrics/below?x=1",
        "/METRICS",
        "//metrics",
        "/%6detrics",
        "/%2fmetrics",
        "/a/../metrics",
        "/a/%2e%2e/metrics",
        "/./metrics",
        "/inner/part",
        "/inner//Part/more",
        "/-/health",
        "/-",
        "/-/problem",
        "/-/stack",
    ],
)
def test_private_paths_are_answered_with_a_problem_in_any_spelling(nginx: Nginx, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, fields, body = nginx.raw(request.encode())
    assert (status, fields["content-type"]) == (404, "application/problem+json"), body
    assert nginx.upstream.seen.empty()


@pytest.mark.parametrize("target", ["/metricsx", "/inner", "/inner/parts", "/a/metrics", "/-x", "/ready"])
def test_other_paths_are_passed_on(nginx: Nginx, target: str) -> None:
    assert requests.get(f"{nginx.url}{target}", timeout=PATIENCE).status_code == 200


def test_the_question_of_the_manager_is_not_logged(nginx: Nginx) -> None:
    log = nginx.folder / "var/nginx-access.log"
    for target in ("/-/stack", "/-/stack?seen", "/-/last"):
        requests.get(f"{nginx.url}{target}", timeout=PATIENCE)
    until(lambda: "/-/last" in log.read_text(), "the last line in the log")
    assert [json.loads(line)["uri"] for line in log.read_text().splitlines()][-2:] == [
        "/-/stack?seen",
        "/-/last",
    ]
