"""The errors: one status and one name each, documents that say what is wrong, and how safe a retry is."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import pytest
from heliograph_proxy import errors
from heliograph_proxy.errors import (
    AttemptFailed,
    BadGateway,
    BodyTooLarge,
    MethodNotAllowed,
    NothingSent,
    Problem,
    ProxyError,
    SettingsError,
    SomethingSent,
    StaleConnection,
)

#: Every answer of the proxy's own; ours end in 503 alone with a hint when to come back.
STATUSES = {
    400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed",
    408: "request-timeout", 409: "conflict", 413: "body-too-large", 414: "uri-too-long", 415: "unsupported-media-type",
    417: "expectation-failed", 421: "unknown-host", 429: "too-many-requests", 431: "headers-too-large", 500: "internal-error",
    501: "not-implemented", 502: "bad-gateway", 503: "unavailable", 504: "gateway-timeout", 505: "http-version-not-supported",
}  # fmt: skip


def below(kind: type[ProxyError]) -> list[type[ProxyError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in below(child))]


def test_each_status_has_one_name() -> None:
    problems = [one for one in below(Problem) if issubclass(one, Problem)]
    assert {one.status: one.name for one in problems} == STATUSES
    assert all(HTTPStatus(one.status) and one.title for one in problems)


def test_the_tree_in_the_documentation_is_the_tree() -> None:
    told = set(re.findall(r"^(?:│   )*(?:[├└]── )?([A-Z]\w+)(?=  |$)", str(errors.__doc__), re.MULTILINE))
    written = {one.__name__ for one in below(ProxyError) if one.__module__ == errors.__name__}
    assert told == written - {one.__name__ for one in below(Problem)[1:]}


def test_only_an_attempt_of_which_nothing_was_sent_is_safe_for_every_method() -> None:
    for kind in (NothingSent, StaleConnection, SomethingSent):
        assert issubclass(kind, AttemptFailed)
    assert not issubclass(StaleConnection, NothingSent)
    assert not issubclass(SomethingSent, NothingSent)
    failure = SomethingSent(BadGateway("it closed"))
    assert (str(failure), failure.problem.status) == ("it closed", 502)


@pytest.mark.parametrize(
    ("problem", "document"),
    [
        (BadGateway(), {"type": "/problems/bad-gateway", "status": 502, "detail": BadGateway.title}),
        (BodyTooLarge("too long", limit=5), {"status": 413, "detail": "too long", "limit": 5}),
        (MethodNotAllowed("no", "GET, HEAD"), {"status": 405, "allow": "GET, HEAD"}),
        (BadGateway('a "quoted"\nreason'), {"detail": 'a "quoted"\nreason', "title": BadGateway.title}),
    ],
)
def test_a_document_says_what_is_wrong(problem: Problem, document: dict[str, object]) -> None:
    written = problem.document()
    assert written.endswith(b"\n")
    assert document.items() <= json.loads(written).items()


def test_a_configuration_error_is_one_line_with_its_place() -> None:
    assert str(SettingsError("a.toml", "pool.max", "must be less")) == "a.toml: pool.max: must be less"
    assert str(SettingsError("a.toml", "", "is no TOML")) == "a.toml: is no TOML"
