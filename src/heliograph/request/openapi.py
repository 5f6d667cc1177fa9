"""The OpenAPI document, made from the code: each view carries an `Operation`, apispec assembles them.

    @bp.get("/codes/<name>")
    @operation("One code", query=CodeQuery, answers={200: Answer("The code", model=CodeEntry)})
    def code(name: str, query: CodeQuery) -> Response: ...

Models are classes of pydantic. That of a query both documents the parameters and checks them: the view gets a valid model or is
not called at all. That of an answer documents it; the tests check each JSON answer against it, the service does not, for speed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apispec import APISpec
from flask import Flask, request
from heliograph_proxy.problem_document import MEDIA_TYPE
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from werkzeug.routing import Rule

from heliograph.problems import (
    BadHost,
    BadOption,
    ForeignOrigin,
    InternalError,
    NotFound,
    Problem,
    UnknownHost,
    catalogue,
)
from heliograph.request.models import ProblemDocument

Schema = Mapping[str, Any]
Model = type[BaseModel]
View = Callable[..., Any]

BYTES: Schema = {"type": "string", "format": "binary"}
TEXT: Schema = {"type": "string"}

REFERENCE = "#/components/schemas/{model}"

#: What any request may be answered with, whatever its path.
EVERYWHERE = (BadHost, ForeignOrigin, UnknownHost, InternalError)


@dataclass(frozen=True)
class Answer:
    """One response: what it means, its media type, and its body: a `model` where it is JSON, else a schema. No media type: no body.

    `headers`: name to meaning. `others`: further media types that the same may have, with their schemas.
    """

    description: str
    media_type: str = "application/json"
    schema: Schema = field(default_factory=lambda: BYTES)
    model: Model | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Schema] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.media_type == "application/json" and self.model is None:
            raise TypeError(f"the JSON answer {self.description!r} has no model")


@dataclass(frozen=True)
class Operation:
    summary: str
    description: str = ""
    tag: str = ""
    query: Model | None = None
    #: Further parameters that the view reads by itself, as OpenAPI parameter objects.
    parameters: Callable[[], list[dict[str, Any]]] | None = None
    #: Schemas of parts of the path, by name.
    path: Mapping[str, Schema] = field(default_factory=dict)
    #: Media type to schema or model of the request's body.
    body: Mapping[str, Schema | Model] = field(default_factory=dict)
    answers: Mapping[int, Answer] = field(default_factory=dict)
    problems: tuple[type[Problem], ...] = ()

    def models(self) -> Iterator[Model]:
        """Those of the request's body and of the answers."""
        for part in self.body.values():
            if isinstance(part, type):
                yield part
        for answer in self.answers.values():
            if answer.model is not None:
                yield answer.model


def operation(summary: str, **members: Any) -> Callable[[View], View]:
    """Document a view; with `query`, call it with the checked model as argument `query`."""
    described = Operation(summary, **members)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def documented(*args: Any, **kwargs: Any) -> Any:
            if described.query is not None:
                kwargs["query"] = checked(described.query)
            return view(*args, **kwargs)

        documented.__dict__["operation"] = described
        return documented

    return decorate


def checked(model: type[BaseModel]) -> BaseModel:
    """The query of the current request as a `model`. Raises BadOption naming the parameter."""
    try:
        return model.model_validate(single_values())
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in error["loc"]) or "query"
        raise BadOption(f"{name}: {error['msg']}.", option=name) from exc


def single_values() -> dict[str, Any]:
    """The query of the current request. Raises BadOption for a parameter that is there twice: either value would be a guess."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise BadOption(f"option {name[:60]!a}: given more than once.", option=name)
    return request.args.to_dict()


def document(app: Flask, title: str, version: str, description: str) -> dict[str, Any]:
    """The OpenAPI document of all views of `app` that have an operation."""
    spec = APISpec(
        title=title,
        version=version,
        openapi_version="3.1.0",
        info={"description": description + "\n\n" + problem_table()},
    )
    models: list[Model] = [ProblemDocument]
    for rule in app.url_map.iter_rules():
        described = operation_of(app.view_functions.get(rule.endpoint))
        if described is not None and not rule.websocket:
            spec.path(path=_template(rule), operations=dict(_operations(rule, described)))
            models += described.models()
    for name, schema in _schemas(models).items():
        spec.components.schema(name, dict(schema))
    return spec.to_dict()


def operation_of(view: View | None) -> Operation | None:
    """What `operation` said about this view."""
    described = getattr(view, "operation", None)
    return described if isinstance(described, Operation) else None


def problem_table() -> str:
    """All problem types as a table in Markdown."""
    rows = [f"| `/problems/{kind.name}` | {kind.status} | {kind.title} |" for kind in catalogue()]
    return "\n".join(["| problem type | status | meaning |", "|---|---|---|", *rows])


class _Untitled(GenerateJsonSchema):
    """Pydantic gives each field its own name as a title, too: a quarter of the document."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _schemas(models: Iterable[Model]) -> dict[str, Schema]:
    """The schemas of these models, and of those that they use, by name."""
    wanted = dict.fromkeys(models)
    _, found = models_json_schema(
        [(model, "validation") for model in wanted], ref_template=REFERENCE, schema_generator=_Untitled
    )
    schemas: dict[str, Schema] = found["$defs"]
    missing = [model.__name__ for model in wanted if model.__name__ not in schemas]
    if missing:  # pydantic gives longer names where one name stands for several models
        raise TypeError(f"several models have the same name: {', '.join(missing)}")
    return schemas


def _schema(part: Schema | Model) -> dict[str, Any]:
    return {"$ref": REFERENCE.format(model=part.__name__)} if isinstance(part, type) else dict(part)


def _template(rule: Rule) -> str:
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


#: Methods that OpenAPI can describe; HEAD and OPTIONS are Flask's and say nothing about the operation.
_DESCRIBED = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _operations(rule: Rule, described: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    for method in _DESCRIBED if rule.methods is None else sorted(rule.methods & set(_DESCRIBED)):
        yield method.lower(), _operation(rule, described, method)


def _operation(rule: Rule, described: Operation, method: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "operationId": f"{method.lower()}_{rule.endpoint.replace('.', '_')}",
        "summary": described.summary,
        "description": described.description,
        "parameters": [*_path_parameters(rule, described), *_query_parameters(described)],
        "responses": dict(_responses(rule, described)),
    }
    if described.tag:
        result["tags"] = [described.tag]
    if described.body and method != "GET":
        content = {media: {"schema": _schema(part)} for media, part in described.body.items()}
        result["requestBody"] = {"content": content}
    return result


def _path_parameters(rule: Rule, described: Operation) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"in": "path", "name": name, "required": True, "schema": dict(described.path.get(name, TEXT))}


def _query_parameters(described: Operation) -> Iterator[dict[str, Any]]:
    if described.parameters is not None:
        yield from described.parameters()
    if described.query is None:
        return
    schema = described.query.model_json_schema(schema_generator=_Untitled)
    for name, part in schema.get("properties", {}).items():
        yield {
            "in": "query",
            "name": name,
            "required": name in schema.get("required", ()),
            "description": part.pop("description", ""),
            "schema": part,
        }


def _responses(rule: Rule, described: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, given in described.answers.items():
        yield str(status), _response(given)
    needed = {NotFound} if rule.arguments else set()
    by_status: dict[int, list[type[Problem]]] = {}
    kinds: set[type[Problem]] = {*described.problems, *needed, *EVERYWHERE}
    for kind in sorted(kinds, key=lambda k: k.name):
        by_status.setdefault(kind.status, []).append(kind)
    for status, same in sorted(by_status.items()):
        text = "; ".join(f"{kind.title} (`/problems/{kind.name}`)" for kind in same)
        yield str(status), _response(Answer(text, MEDIA_TYPE, model=ProblemDocument))


def _response(given: Answer) -> dict[str, Any]:
    headers = {
        "X-Request-Id": {"description": "The id of this request in all logs", "schema": dict(TEXT)},
        "X-Instance": {"description": "The instance that answered", "schema": dict(TEXT)},
        **{name: {"description": text, "schema": dict(TEXT)} for name, text in given.headers.items()},
    }
    content = {
        media_type: {"schema": _schema(part)}
        for media_type, part in {given.media_type: given.model or given.schema, **given.others}.items()
        if media_type
    }
    return {"description": given.description, "headers": headers, **({"content": content} if content else {})}
