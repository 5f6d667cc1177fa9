"""`Heliograph(app)`: what a Flask application gets from this library. The only module that puts its parts together.

    live = Heliograph(app, endpoints=("channels", "events", "health"), prefix="/live")

    @live.websocket("/ws/chat/<room>")
    def chat(socket, room): ...

One object may serve several applications, as factories make them (`init_app`): each has its own services and channels, and
`live.channels` are those of the current application.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from flask import Flask, current_app, has_app_context
from heliograph_proxy.limits import raise_descriptor_limit

from heliograph.channels.api import Channels
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.service import ChannelService
from heliograph.installation import ENDPOINTS, OWN_CHECKS, Installation
from heliograph.options import LIBRARY
from heliograph.overriding import with_given
from heliograph.request.checks import ReadinessFunction, check_of
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.request.services import Services
from heliograph.server import gunicorn_options
from heliograph.settings import Settings, from_environment
from heliograph.websocket.endpoint import EndpointView, WebSocketEndpoint
from heliograph.websocket.options import WebSocketOptions
from heliograph.websocket.routing import SocketView, websocket

log = logging.getLogger("heliograph")


class Heliograph:
    """The parts of the library for a Flask application, or for several.

    `settings`: by default those of the environment and of heliograph.toml; a mapping has some of them by their names in
    heliograph.toml, and wins.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        endpoints: Iterable[str] = (),
        prefix: str = "",
        settings: Settings | Mapping[str, object] | None = None,
    ) -> None:
        self._endpoints = _checked(endpoints)
        self._prefix = prefix
        self._given = settings
        #: What was asked for by decorators, to be done for each application.
        self._wanted: list[Callable[[Flask, Installation], None]] = []
        self._installed: dict[Flask, Installation] = {}
        #: Publish, subscribe and read from the application's own code.
        self.channels = Channels.served_by(self._service)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        if "heliograph" in app.extensions:
            raise RuntimeError(f"the application {app.name} has a Heliograph already")
        gunicorn_options.refuse_other_workers()
        made = Installation(app, self._settings(), self._endpoints, self._prefix, self.channels.hook)
        self._installed[app] = made
        made.on_close(partial(self._installed.pop, app, None))
        for add in self._wanted:
            add(app, made)

    def websocket(
        self,
        rule: str,
        *,
        subprotocols: Sequence[str] = (),
        prepare: Callable[..., Any] | None = None,
        endpoint: str | None = None,
    ) -> Callable[[SocketView], SocketView]:
        """Route WebSockets at `rule` to a view `view(socket, **parts_of_the_path)`, see `websocket.routing.websocket`."""

        def decorate(view: SocketView) -> SocketView:
            def add(app: Flask, _made: Installation) -> None:
                route = websocket(app, rule, prepare=prepare, subprotocols=subprotocols, endpoint=endpoint)
                route(view)

            self._want(add)
            return view

        return decorate

    def add_websocket(
        self,
        rule: str,
        endpoint: type[WebSocketEndpoint],
        *,
        subprotocols: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        """Route WebSockets at `rule` to objects of a class, one for each connection. `name` is Flask's, by default the class's."""
        self.websocket(rule, subprotocols=subprotocols, endpoint=name)(EndpointView(endpoint))

    def check(self, name: str) -> Callable[[ReadinessFunction], ReadinessFunction]:
        """Have a function take part in readiness: it returns whether all is well, or a text that says what is wrong.

        It is called in the context of the application.
        """
        if name in OWN_CHECKS:
            raise ValueError(f"check({name!r}): the library has a check of this name")

        def decorate(function: ReadinessFunction) -> ReadinessFunction:
            def add(app: Flask, made: Installation) -> None:
                def in_context() -> bool | str:
                    with app.app_context():
                        return function()

                made.services.checks[name] = check_of(in_context)

            self._want(add)
            return function

        return decorate

    def job(self, *_args: object, **_options: object) -> NoReturn:
        raise NotImplementedError("jobs are not available in this version")

    @property
    def services(self) -> Services:
        """Those of the current application, as `channels` are."""
        return self._current().services

    def require_protection(self) -> None:
        """Raise SettingError where the application, which is complete now, listens beyond loopback and must not.

        Our worker asks for it; other servers are refused by it at the start instead of at the first request.
        """
        self._current().wrapper.require_protection()

    def on_close(self, release: Callable[[], None]) -> None:
        """Have `release` called by `close`, before what was registered earlier."""
        self._current().on_close(release)

    def close(self) -> None:
        """Stop, and release everything that belongs to the applications: they can answer no more requests after that."""
        for made in tuple(self._installed.values()):
            made.close()

    def _want(self, add: Callable[[Flask, Installation], None]) -> None:
        self._wanted.append(add)
        for app, made in self._installed.items():
            add(app, made)

    def _settings(self) -> Settings:
        if isinstance(self._given, Settings):
            return self._given
        return with_given(self._given, LIBRARY) if self._given else from_environment(LIBRARY)

    def _current(self) -> Installation:
        if has_app_context():
            found = self._installed.get(current_app._get_current_object())  # type: ignore[attr-defined]
            if found is not None:
                return found
        if len(self._installed) == 1:
            return next(iter(self._installed.values()))
        if not self._installed:
            raise RuntimeError("this Heliograph serves no application yet: call init_app(app) first")
        raise RuntimeError(
            "this Heliograph serves several applications: use it inside `with app.app_context():`"
        )

    def _service(self) -> ChannelService:
        return self._current().channels


def _checked(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise TypeError(f"endpoints={given!r}: a sequence of names, not one text")
    endpoints = tuple(given)
    for name in endpoints:
        if name not in ENDPOINTS:
            known = ", ".join(ENDPOINTS)
            raise ValueError(f"endpoints={name!r}: one of {known} is allowed in this version")
    return endpoints


def announce_limits(settings: Settings) -> None:
    """Raise the descriptor limit, log what bounds this process, and say who may use its channels."""
    request, channels = settings[RequestOptions], settings[ChannelsOptions]
    log.info(
        "limits: %d open descriptors, bodies of %d bytes, spool of %d bytes, WebSocket messages of %d bytes",
        raise_descriptor_limit(),
        request.max_body,
        request.spool_max,
        settings[WebSocketOptions].max_message,
    )
    log.info(
        "channels: %s, %d messages, %d bytes or %d s of history, %d bytes in all, %d channels, %s publishes a second "
        "and client",
        channels.channels.shown,
        channels.history_size,
        channels.history_bytes,
        channels.history_ttl,
        channels.log_bytes,
        channels.max_channels,
        channels.rate or "any number of",
    )
    if not settings[AccessOptions].auth_secret:
        log.info("channels are open to every client that can connect: HELIOGRAPH_AUTH_SECRET is not set")
