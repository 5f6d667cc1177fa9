"""A Flask application that has much of what tutorials show: its answers are compared with those under `flask run`."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from accounts import accounts, logins  # type: ignore[import-not-found]  # it lies beside this file, where that is run
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    render_template_string,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from flask_compress import Compress
from flask_cors import CORS
from flask_sock import Sock  # type: ignore[import-untyped]
from simple_websocket import Server  # type: ignore[import-untyped]
from werkzeug.wrappers import Response as Answer

PAGE = "<!doctype html><title>Grüße ☃</title><p>{{ word }} &amp; <b>more</b></p>\n"

#: Given to the stream that waits for it.
go_on = threading.Event()

app = Flask(__name__)
app.config.update(
    SECRET_KEY="a key for tests only",
    MAX_CONTENT_LENGTH=4_000_000,
    COMPRESS_MIN_SIZE=200,
    COMPRESS_STREAMS=False,
)
CORS(
    app,
    resources={r"/api/*": {"origins": ["https://friend.example"], "supports_credentials": True}},
    expose_headers=["X-Total"],
)
Compress(app)
sock = Sock(app)

pages = Blueprint("pages", __name__, url_prefix="/pages")


@app.after_request
def add(answer: Response) -> Response:
    answer.headers.add("X-Seen", request.method)
    return answer


# Pages, and paths that other layers have views or files for, too.


@app.get("/")
def home() -> str:
    return render_template_string(PAGE, word=request.args.get("word", "ünïcode"))


for _name in ("healthz", "readyz", "metrics", "docs", "push", "events", "channels", "openapi.json", "-/mine"):
    app.add_url_rule(f"/{_name}", _name.replace(".", "_"), lambda name=_name: f"<i>my own {name}</i>")


@pages.route("/folder/", methods=["GET", "POST"])
def folder() -> str:
    return f"{request.path} of {request.endpoint}"


@app.get("/kinds/<kind>")
def kinds(kind: str) -> Any:
    return {
        "dict": {"b": 1, "a": "ü", "list": [1.5, None, True]},
        "list": jsonify([1, 2]),
        "text": Response("plain ü", mimetype="text/plain"),
        "latin": Response("grün".encode("latin-1"), content_type="text/html; charset=iso-8859-1"),
        "bytes": Response(bytes(range(256)), mimetype="application/octet-stream"),
        "xml": Response("<a/>", mimetype="application/xml"),
        "none": Response(status=204),
        "empty": Response(""),
        "tuple": ("made", 201, {"Location": "/kinds/dict", "X-Two": "2"}),
        "reason": Response("what a reason", status="299 Quite Fine"),
        "strange": ("strange", 599),
    }[kind]


@app.get("/fields")
def fields() -> Response:
    answer = make_response("with fields")
    for link in ("</a>; rel=prev", "</b>; rel=next"):
        answer.headers.add("Link", link)
    answer.headers["Cache-Control"] = "private, max-age=60, stale-while-revalidate=30"
    answer.headers["Content-Language"] = "de"
    answer.headers["X-Latin"] = "grün"
    answer.headers["X-Empty"] = ""
    answer.headers["X-Request-Id"] = "my-own-id"
    answer.headers["X-Frame-Options"] = "DENY"
    answer.headers["Vary"] = "Cookie"
    answer.headers["Content-Security-Policy"] = "default-src 'self'"
    answer.headers["Strict-Transport-Security"] = "max-age=5"
    answer.headers["Refresh"] = "5; url=/"
    return answer


# Errors: its own and Werkzeug's.


@app.errorhandler(404)
def missing(error: Exception) -> tuple[str, int]:
    return f"<h1>my own 404</h1>{request.path}", 404


@app.errorhandler(500)
def broken(error: Exception) -> tuple[str, int]:
    return f"<h1>my own 500</h1>{error}", 500


@app.get("/errors/<int:status>")
def errors(status: int) -> str:
    abort(status)


@app.get("/errors/raised")
def raised() -> str:
    raise RuntimeError("on purpose")


@app.get("/errors/form")
def form_is_missing() -> str:
    return request.args["needed"]


@app.get("/errors/basic")
def basic() -> Response:
    return Response("who?", 401, {"WWW-Authenticate": 'Basic realm="here"'})


@app.get("/errors/later")
def later() -> tuple[str, int, dict[str, str]]:
    return "later", 503, {"Retry-After": "7"}


# Where clients are sent, and what URLs look like.


@app.route("/redirects/<where>", methods=["GET", "POST"])
def redirects(where: str) -> Answer:
    return {
        "near": lambda: redirect(url_for("home", word="a b&c")),
        "full": lambda: redirect(url_for("home", _external=True), 301),
        "away": lambda: redirect("https://elsewhere.example/ü?x=1"),
        "kept": lambda: redirect(url_for("seen", rest="there"), 308),
        "query": lambda: redirect("?again=1"),
    }[where]()


@app.get("/urls")
def urls() -> dict[str, str]:
    return {
        "external": url_for("pages.folder", _external=True),
        "host": request.host,
        "host_url": request.host_url,
        "url": request.url,
        "root": request.url_root,
        "static": url_for("static", filename="style.css", _external=True),
        "scheme": request.scheme,
        "address": str(request.remote_addr),
        "script": str(request.environ["SCRIPT_NAME"]),
    }


@app.route("/seen/<path:rest>", methods=["GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "OPTIONS"])
def seen(rest: str) -> dict[str, object]:
    own = [(name, value) for name, value in request.headers if name.startswith(("X-Own", "Content-T"))]
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("latin-1"),
        "args": list(request.args.items(multi=True)),
        "rest": rest,
        "length": request.content_length,
        "headers": sorted(own),
        "cookies": request.cookies,
        "accepts": str(request.accept_languages),
        "authorization": request.authorization and request.authorization.username,
    }


# Files, uploads, bodies.


@app.get("/file")
def file() -> Answer:
    return send_file(
        io.BytesIO(b"0123456789" * 100),
        "text/plain",
        as_attachment=True,
        download_name="zahlen für dich.txt",
        etag="the-tag",
        last_modified=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        max_age=3600,
        conditional=True,
    )


@app.post("/upload")
def upload() -> dict[str, object]:
    return {
        "files": [
            (key, one.filename, one.mimetype, hashlib.sha256(one.read()).hexdigest())
            for key, one in request.files.items(multi=True)
        ],
        "form": list(request.form.items(multi=True)),
    }


@app.route("/body", methods=["POST", "PUT", "PATCH", "DELETE"])
def body() -> dict[str, object]:
    data = request.get_data()
    return {"length": request.content_length, "bytes": len(data), "hash": hashlib.sha256(data).hexdigest()}


@app.post("/json")
def json() -> Any:
    return request.get_json()


@app.post("/unread")
def unread() -> str:
    return "not read"


# Other origins, compression, streams.


@app.route("/api/items", methods=["GET", "PUT"])
def items() -> Response:
    answer = jsonify(["a", "b"])
    answer.headers["X-Total"] = "2"
    return answer


@app.get("/large/<kind>")
def large(kind: str) -> Answer:
    answer = Response("all of it, " * 2000, mimetype={"text": "text/html", "image": "image/png"}[kind])
    answer.set_etag("large")
    return answer.make_conditional(request)


@app.get("/stream/<kind>")
def stream(kind: str) -> Response:
    def pieces() -> Iterator[str]:
        yield f"first of {request.path}\n"
        if kind == "waits":
            assert go_on.wait(30)
            go_on.clear()
        yield "last\n"

    answer = Response(stream_with_context(pieces()), mimetype="text/html")
    if kind == "long":
        answer.content_length = len(f"first of {request.path}\nlast\n")
    return answer


@sock.route("/sock")  # type: ignore[untyped-decorator]
def echo(socket: Server) -> None:
    while (message := socket.receive()) != "enough":
        socket.send(message)


@app.post("/go-on")
def let_it_go_on() -> str:
    go_on.set()
    return "gone on"


app.register_blueprint(pages)
app.register_blueprint(accounts)
logins.init_app(app)
