"""The OpenAPI document: valid, complete, and true when it is tried against the server."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from proxy_tests.processes import ROOT, clean_environment
from schemathesis.core.result import Ok

from app.application import GROUPS, create_app
from heliograph.problems import catalogue
from heliograph.request.openapi import checked, operation
from heliograph.settings import load
from tests.serving import Server

CONFIG = Path(__file__).with_name("schemathesis.toml")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(load({}, GROUPS))


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return found


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    operations = list(schema.get_all_operations())
    assert len([found.ok() for found in operations if isinstance(found, Ok)]) == sum(
        len(methods) for methods in document["paths"].values()
    )


def test_every_route_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        path = document["paths"][re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert path[method.lower()]["summary"], rule


def test_each_operation_has_a_different_name(document: dict[str, Any]) -> None:
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(set(names)) == len(names)


def test_all_problem_types_are_listed(document: dict[str, Any]) -> None:
    text = document["info"]["description"]
    for kind in catalogue():
        assert f"| `/problems/{kind.name}` | {kind.status} |" in text


def test_every_response_announces_its_request_id(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for op in path.values():
            assert all("X-Request-Id" in response["headers"] for response in op["responses"].values())


def test_options_of_codecs_are_parameters(document: dict[str, Any]) -> None:
    encode = document["paths"]["/codecs/{name}/encode"]["post"]["parameters"]
    assert {"name", "to"} <= {parameter["name"] for parameter in encode}


def run_schemathesis(url: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Unforeseen requests, made from the document of the service at `url`."""
    command = [
        *(str(ROOT / ".venv/bin/schemathesis"), "--config-file", str(CONFIG)),
        *("run", f"{url}/openapi.json", "--checks", ",".join(CHECKS)),
        # It would read a stream without end for ever; tests/heliograph/channels/ does that.
        *("--exclude-path-regex", r"^/channels/\{name\}/events$"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", "1"),
        *("--generation-deterministic", "--no-color"),
        # One worker: Python 3.11 cannot parse source in two threads at once ("AST constructor recursion depth mismatch").
        *("--workers", "1"),
        *options,
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env=clean_environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_schemathesis_finds_nothing_undocumented(server: Server, tmp_path: Path) -> None:
    done = run_schemathesis(server.url, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_query_that_does_not_fit_names_its_parameter(app: Flask) -> None:
    answer = app.test_client().get("/echo/stream?count=none")
    assert (answer.status_code, answer.get_json()["option"]) == (400, "count")


def test_a_view_without_a_query_model_is_called_as_it_is() -> None:
    @operation("Nothing")
    def view(number: int) -> int:
        return number

    assert view(3) == 3
    assert callable(checked)


def test_the_document_is_json_of_a_bounded_size(app: Flask) -> None:
    body = app.test_client().get("/openapi.json").data
    assert json.loads(body)
    assert len(body) < 200_000
