"""Is this instance alive, is it ready, and how is it doing?"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from heliograph.problems import Stopping, Unavailable
from heliograph.request.metrics import CONTENT_TYPE
from heliograph.request.models import Alive, Readiness
from heliograph.request.openapi import TEXT, Answer, operation
from heliograph.request.options import RequestOptions
from heliograph.request.services import services

bp = Blueprint("heliograph_health", __name__)


@bp.get("/healthz")
@operation(
    "Alive?",
    tag="Health",
    answers={200: Answer("Alive", model=Alive)},
    problems=(Stopping,),
)
def healthz() -> Response:
    own = services()
    if own.lifecycle.stopping:
        raise Stopping()
    return jsonify(status="ok", instance=own.settings[RequestOptions].instance, **own.facts)


@bp.get("/readyz")
@operation(
    "Ready for requests?",
    description="For load balancers; nginx does not pass it on.",
    tag="Health",
    answers={200: Answer("Ready", model=Readiness), 503: Answer("Not ready", model=Readiness)},
)
def readyz() -> tuple[Response, int]:
    own = services()
    checks = {
        "lifecycle": "stopping" if own.lifecycle.stopping else "ok",
        **own.readiness.get(),
    }
    ready = all(state == "ok" for state in checks.values())
    return jsonify(
        status="ready" if ready else "unready", checks=checks
    ), 200 if ready else Unavailable.status


@bp.get("/metrics")
@operation(
    "Metrics for Prometheus",
    description="nginx does not pass it on.",
    tag="Health",
    answers={200: Answer("Metrics", "text/plain", TEXT)},
)
def metrics() -> Response:
    return Response(services().metrics.render(), content_type=CONTENT_TYPE)
