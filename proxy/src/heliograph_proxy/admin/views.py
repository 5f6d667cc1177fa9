"""What the admin listener answers: a table of paths and methods, and one function for each.

Reading and guarding is admin's business; here a request has arrived whole and is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import gevent

from heliograph_proxy import settings, values
from heliograph_proxy.admin import exposition, process
from heliograph_proxy.admin.control import Control, describe
from heliograph_proxy.admin.live import LiveStream
from heliograph_proxy.balancing.backends import Backend, OperatorState
from heliograph_proxy.errors import BadRequest, MethodNotAllowed, NotFound, SettingsError
from heliograph_proxy.runtime import Runtime

#: How often /events tells the status.
EVENT_SECONDS = 1.0

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"

#: By their paths below the folder, such as lib/dom.js.
PARTS = tuple(str(file.relative_to(PAGE)) for file in PAGE.rglob("*.*") if file.is_file())


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """`body` is whole, or pieces that end with the connection."""

    body: bytes | Iterator[bytes]
    kind: str = "application/json"
    status: str = "200 OK"


View = Callable[["AdminViews", str, bytes], AdminAnswer]


class AdminViews:
    """The views. Each takes what the path's pattern caught and the request's body."""

    def __init__(
        self,
        runtime: Runtime,
        control: Control,
        live: LiveStream,
        older: Callable[[], list[dict[str, Any]]] = lambda: [],
    ) -> None:
        self._runtime = runtime
        self._control = control
        self._live = live
        #: The reports of generations before that still have clients.
        self._older = older
        self._started = monotonic()
        self._of_the_process = (
            *process.collectors(runtime.lag),
            exposition.Generations(lambda: [self._own(), *self._older()]),
        )
        # Read once: a view must not wait for a disk.
        self._page = {name: (PAGE / name).read_bytes() for name in PARTS}

    def status(self) -> dict[str, Any]:
        """Its backends are this generation's, then those that older ones still use."""
        runtime = self._runtime
        own = [self._describe(backend) for backend in runtime.balancer.backends]
        return {
            "strategy": runtime.settings.strategy,
            "uptime": round(monotonic() - self._started, 3),
            "connections": runtime.metrics.connections,
            "requests": runtime.metrics.requests,
            "backends": own + [row for one in self._older() for row in one["backends"]],
        }

    def _status_for_page(self) -> dict[str, Any]:
        older = [{key: one[key] for key in one if key != "backends"} for one in self._older()]
        return {**self.status(), "generation": self._runtime.generation, "older": older}

    def _own(self) -> dict[str, int]:
        """What this generation has."""
        runtime = self._runtime
        return {
            "generation": runtime.generation,
            "connections": runtime.metrics.connections,
            "tunnels": sum(backend.tunnels for backend in runtime.balancer.backends),
        }

    def _describe(self, backend: Backend) -> dict[str, Any]:
        return describe(backend, self._runtime.generation)

    def show_status(self, name: str, body: bytes) -> AdminAnswer:
        return _json(self.status())

    def show_metrics(self, name: str, body: bytes) -> AdminAnswer:
        text = exposition.text(self._runtime.metrics, self._runtime.balancer.backends, self._of_the_process)
        return AdminAnswer(text, "text/plain; version=0.0.4; charset=utf-8")

    def show_events(self, name: str, body: bytes) -> AdminAnswer:
        return AdminAnswer(self._statuses(), "text/event-stream")

    def _statuses(self) -> Iterator[bytes]:
        while not self._runtime.stopping:
            yield b"event: status\ndata: %b\n\n" % json.dumps(self.status()).encode()
            gevent.sleep(EVENT_SECONDS)

    def show_live(self, name: str, body: bytes) -> AdminAnswer:
        return AdminAnswer(self._live.events(self._status_for_page), "text/event-stream")

    def show_page(self, name: str, body: bytes) -> AdminAnswer:
        file = name or INDEX
        body = self._page[file]
        if file == INDEX and self._runtime.settings.admin_token:
            # So that it asks for the token first, and not after a refusal.
            body = body.replace(b"<body ", b'<body data-token="needed" ', 1)
        return AdminAnswer(body, _KINDS[file.rsplit(".")[-1]])

    def _changed(self, backend: Backend) -> dict[str, Any]:
        self._live.changed()
        return self._describe(backend)

    def set_state(self, name: str, body: bytes) -> AdminAnswer:
        wanted = _only(body, "state")
        try:
            state = OperatorState(wanted)
        except ValueError as exc:
            allowed = [one.value for one in OperatorState]
            raise BadRequest(f"state must be one of {', '.join(allowed)}", allowed=allowed) from exc
        return _json(self._changed(self._control.set_state(name, state)))

    def set_weight(self, name: str, body: bytes) -> AdminAnswer:
        try:
            weight = values.weight(_only(body, "weight"))
        except values.Wrong as exc:
            raise BadRequest(f"weight {exc}") from exc
        return _json(self._changed(self._control.set_weight(name, weight)))

    def add(self, name: str, body: bytes) -> AdminAnswer:
        try:
            wanted = settings.backend(_object(body), "request")
        except SettingsError as exc:
            raise BadRequest(str(exc)) from exc
        return _json(self._describe(self._control.add(wanted)), "201 Created")

    def remove(self, name: str, body: bytes) -> AdminAnswer:
        self._control.remove(name)
        return AdminAnswer(b"", status="204 No Content")

    def reload(self, name: str, body: bytes) -> AdminAnswer:
        try:
            self._control.reload()
        except SettingsError as exc:
            raise BadRequest(str(exc)) from exc
        return _json(self.status())


_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}

_FILES = "|".join(re.escape(name) for name in PARTS if name != INDEX)

_NAME = values.NAME.pattern

ROUTES: list[tuple[re.Pattern[str], dict[str, View]]] = [
    (re.compile(r"/()"), {"GET": AdminViews.show_page}),
    (re.compile(rf"/({_FILES})"), {"GET": AdminViews.show_page}),
    (re.compile(r"/status()"), {"GET": AdminViews.show_status}),
    (re.compile(r"/metrics()"), {"GET": AdminViews.show_metrics}),
    (re.compile(r"/events()"), {"GET": AdminViews.show_events}),
    (re.compile(r"/live()"), {"GET": AdminViews.show_live}),
    (re.compile(r"/backends()"), {"POST": AdminViews.add}),
    (re.compile(rf"/backends/({_NAME})"), {"DELETE": AdminViews.remove}),
    (re.compile(rf"/backends/({_NAME})/state"), {"PUT": AdminViews.set_state}),
    (re.compile(rf"/backends/({_NAME})/weight"), {"PUT": AdminViews.set_weight}),
    (re.compile(r"/reload()"), {"POST": AdminViews.reload}),
]

#: Without data, so that a browser can get them and ask for the token.
OPEN_VIEWS = (AdminViews.show_page,)


def find(method: str, path: str) -> tuple[View, str]:
    """The view for a request, and what its path caught."""
    for pattern, views in ROUTES:
        match = pattern.fullmatch(path)
        if match:
            view = views.get("GET" if method == "HEAD" else method)
            if view is None:
                allow = ", ".join([*views, "HEAD"] if "GET" in views else views)
                raise MethodNotAllowed(f"{path} takes {allow}", allow)
            return view, match[1]
    raise NotFound(f"there is nothing at {path}")


def _json(value: Any, status: str = "200 OK") -> AdminAnswer:
    return AdminAnswer(json.dumps(value).encode() + b"\n", status=status)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"the body is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value


def _only(body: bytes, key: str) -> Any:
    value = _object(body)
    if set(value) != {key}:
        raise BadRequest(f'the body must be {{"{key}": …}} and nothing else')
    return value[key]
