"""The check of answers against their models, which runs in the servers of the other tests, finds what it is for."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response, jsonify
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.test import TestResponse

from heliograph.problems import BadOption
from heliograph.request.answers import response_of
from heliograph.request.openapi import Answer, document, operation
from tests.checked_answers import check_answers
from tests.serving import Server


class Inner(BaseModel):
    size: int


class Outer(BaseModel):
    name: str
    inner: list[Inner] = []


class OpenEnded(Outer):
    model_config = ConfigDict(extra="allow")


def answer(value: Any, model: type[Outer] = Outer) -> TestResponse:
    """That of a view that promises a `model`."""
    app = Flask(__name__)
    app.testing = True
    check_answers(app)

    @app.get("/outer")
    @operation("An example", answers={200: Answer("The example", model=model)})
    def outer() -> Response:
        return value if isinstance(value, Response) else jsonify(value)

    return app.test_client().get("/outer")


@pytest.mark.parametrize("value", [{"name": "a"}, {"name": "a", "inner": [{"size": 1}]}])
def test_an_answer_that_keeps_the_promise_passes(value: object) -> None:
    assert answer(value).json == value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"name": "a", "more": 1}, "more"),
        ({"name": "a", "inner": [{"size": 1, "more": 1}]}, "inner.0.more"),
        ({}, "name"),
        ({"name": "a", "inner": [{"size": "1"}]}, "inner.0.size"),
        ({"name": None}, "name"),
    ],
)
def test_a_member_that_is_unknown_missing_or_wrong_fails(value: object, where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        answer(value)
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [where]


def test_only_a_model_that_says_so_may_have_further_members() -> None:
    assert answer({"name": "a", "more": 1}, OpenEnded).json == {"name": "a", "more": 1}


def test_a_json_answer_with_an_undocumented_status_fails() -> None:
    with pytest.raises(KeyError):
        answer(Response('{"name": "a"}', 202, mimetype="application/json"))


def test_a_problem_that_is_none_fails() -> None:
    problem = response_of(BadOption("No.", option="a"))
    assert answer(problem).status_code == 400
    problem.set_data("{}")
    with pytest.raises(ValidationError):
        answer(problem)


def test_the_servers_of_the_tests_are_checked(server: Server) -> None:
    assert "tests.checked_wsgi:app" in server.command


def test_a_json_answer_needs_a_model() -> None:
    with pytest.raises(TypeError, match="has no model"):
        Answer("Anything")


def test_models_of_the_same_name_are_refused() -> None:
    app = Flask(__name__)
    other = type("Outer", (BaseModel,), {"__module__": "elsewhere"})

    @app.get("/one")
    @operation("One", answers={200: Answer("One", model=Outer)})
    def one() -> None: ...

    @app.get("/two")
    @operation("Two", answers={200: Answer("Two", model=other)})
    def two() -> None: ...

    with pytest.raises(TypeError, match="Outer"):
        document(app, "Title", "1", "")
