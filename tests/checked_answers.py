"""JSON answers are checked against the models that the OpenAPI document promises, in tests only."""

from __future__ import annotations

from flask import Flask, Response, current_app, request
from heliograph_proxy.problem_document import MEDIA_TYPE
from pydantic.config import ExtraValues

from heliograph.request.models import ProblemDocument
from heliograph.request.openapi import operation_of

#: Bytes of an answer that is checked: longer ones would hold the event loop.
MAX_CHECKED = 1 << 20


def check_answers(app: Flask) -> None:
    """From now on an answer of `app` with an unknown, missing or wrong member becomes an internal error with a traceback."""
    app.after_request(_checked)


def _checked(response: Response) -> Response:
    described = operation_of(current_app.view_functions.get(request.endpoint or ""))
    if response.mimetype == MEDIA_TYPE:
        ProblemDocument.model_validate_json(response.get_data(), strict=True)
    elif described is not None and response.mimetype == "application/json":
        # Answers that are another's JSON, such as that of /echo, have no model.
        data = response.get_data()
        model = described.answers[response.status_code].model
        if model is not None and len(data) <= MAX_CHECKED:
            open_ended = model.model_config.get("extra") == "allow"
            extra: ExtraValues = "allow" if open_ended else "forbid"
            model.model_validate_json(data, strict=True, extra=extra)
    return response
