"""Errors are problems, whatever raised them."""

from __future__ import annotations

import json

import pytest
import requests
from flask import Flask, abort, redirect
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response

from app.problems import DecodeProblem
from heliograph import problems as errors
from heliograph.problems import Problem, catalogue, problems
from heliograph.request import answers
from tests.serving import CLOSE, Server, problem


@pytest.mark.parametrize(
    "path", ["/nowhere", "/codecs/", "/static/nothing.js", "/static/../wsgi.py", "/%2e%2e/"]
)
def test_an_unknown_path_is_a_problem(server: Server, path: str) -> None:
    problem(server.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/echo", ["GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]),
        ("POST", "/healthz", ["GET", "HEAD", "OPTIONS"]),
        ("GET", "/codecs/base64/encode", ["OPTIONS", "POST"]),
        ("POST", "/ws/echo", ["GET", "HEAD", "OPTIONS"]),
        ("PATCH", "/openapi.json", ["GET", "HEAD", "OPTIONS"]),
    ],
)
def test_a_wrong_method_is_told_which_there_are(
    server: Server, method: str, path: str, allowed: list[str]
) -> None:
    answer = server.raw(f"{method} {path} HTTP/1.1\r\nContent-Length: 0\r\n".encode() + CLOSE + b"\r\n")
    assert problem(answer, 405, "method-not-allowed")["allowed"] == allowed
    assert answer.headers["allow"].split(", ") == allowed


def test_head_of_a_problem_has_no_body(server: Server) -> None:
    answer = server.raw(b"HEAD /nowhere HTTP/1.1\r\n" + CLOSE + b"\r\n", "HEAD")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        404,
        b"",
        "application/problem+json",
    )


@pytest.mark.parametrize("method", ["OPTIONS"])
@pytest.mark.parametrize("path", ["/echo", "/codecs", "/ws/echo", "/"])
def test_options_says_what_is_allowed_without_html(server: Server, method: str, path: str) -> None:
    answer = server.raw(f"{method} {path} HTTP/1.1\r\n".encode() + CLOSE + b"\r\n")
    assert answer.status == 200
    assert "GET" in answer.headers["allow"]
    assert "html" not in answer.headers["content-type"]


def test_every_problem_type_has_a_page_of_its_own(server: Server) -> None:
    for kind in catalogue():
        answer = server.get(f"/problems/{kind.name}")
        assert answer.status == 200, kind
        assert answer.json()["type"] == f"/problems/{kind.name}"
    problem(server.get("/problems/nothing"), 404, "not-found")


def test_names_of_problem_types_are_unique_and_fit_into_a_path() -> None:
    names = [kind.name for kind in problems()]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalpha() and name.islower() for name in names)


def test_a_problem_has_its_members_and_leaves_out_what_is_unknown() -> None:
    found = json.loads(DecodeProblem("bad", position=3, stage=None).body())
    assert found == {
        "type": "/problems/decode-error",
        "title": "The input cannot be decoded",
        "status": 400,
        "detail": "bad",
        "position": 3,
    }


@pytest.fixture
def app() -> Flask:
    """An application as a user would write it, with our errors."""
    app = Flask(__name__)
    answers.init_app(app)

    @app.get("/abort/<int:status>")
    def aborted(status: int) -> str:
        abort(status)

    @app.get("/bug")
    def bug() -> str:
        raise ZeroDivisionError("secret detail")

    @app.get("/redirect")
    def elsewhere() -> Response:
        abort(redirect("/there"))

    @app.get("/folder/")
    def folder() -> str:
        return "in"

    return app


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 408, 409, 413, 415, 418, 422, 429, 500, 503])
def test_what_a_view_aborts_with_becomes_a_problem_of_that_status(app: Flask, status: int) -> None:
    answer = app.test_client().get(f"/abort/{status}")
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.get_json()["status"] == status


def test_a_bug_tells_the_client_nothing_and_the_log_everything(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answers.log.propagate = True  # another test's application may have sent it elsewhere
    answer = app.test_client().get("/bug")
    assert (answer.status_code, answer.get_json()["type"]) == (500, "/problems/internal-error")
    assert "secret" not in answer.text
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_redirects_stay_redirects(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/redirect").headers["Location"] == "/there"
    assert client.get("/folder").headers["Location"].endswith("/folder/")


def test_an_abort_keeps_its_words_its_headers_and_its_whole_response(app: Flask) -> None:
    @app.get("/words")
    def words() -> str:
        abort(409, "There is one already")

    @app.get("/private")
    def private() -> str:
        raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "here"}))

    @app.get("/teapot")
    def teapot() -> str:
        abort(Response("short and stout", 418))

    client = app.test_client()
    assert client.get("/words").get_json()["detail"] == "There is one already"
    assert client.get("/private").headers["WWW-Authenticate"] == "Basic realm=here"
    assert client.get("/teapot").text == "short and stout"


def test_a_websocket_to_an_ordinary_path_is_told_so(server: Server) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/echo", "/healthz"):
        answer = requests.get(server.url + path, headers=upgrade, timeout=10)
        assert (answer.status_code, answer.json()["detail"]) == (400, "This path does not speak WebSocket.")


def test_a_problem_raised_in_a_view_keeps_its_headers(app: Flask) -> None:
    @app.get("/full")
    def full() -> str:
        raise errors.SpoolFull(limit=1)

    answer = app.test_client().get("/full")
    assert (answer.status_code, answer.headers["Retry-After"], answer.get_json()["limit"]) == (503, "1", 1)


def test_every_problem_class_says_what_it_is() -> None:
    def below(kind: type[Problem]) -> list[type[Problem]]:
        return [kind, *(k for child in kind.__subclasses__() for k in below(child))]

    assert all(kind.title and 400 <= kind.status < 600 for kind in below(Problem))
