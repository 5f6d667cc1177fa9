"""An application with the library, mounted below another one."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from heliograph import Heliograph

inner = Flask(__name__)
live = Heliograph(inner)


@inner.get("/hello")
def hello() -> str:
    return f"hello {request.remote_addr}"


app = DispatcherMiddleware(Flask("outer"), {"/inside": inner})
