"""A Pyramid application, made by a function as its tutorial has it."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response


def home(request: Any) -> Response:
    return Response(f"<p>{request.route_url('home')}</p>")


def make(title: str, *, debug: bool) -> Any:
    with Configurator(settings={"title": title, "pyramid.debug_notfound": debug}) as config:
        config.add_route("home", "/")
        config.add_view(home, route_name="home")
        return config.make_wsgi_app()
