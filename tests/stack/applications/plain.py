"""A plain Flask application as any tutorial writes it, with a factory for it."""

from __future__ import annotations

import io
from collections.abc import Iterator

from flask import (
    Flask,
    Response,
    abort,
    flash,
    get_flashed_messages,
    redirect,
    request,
    send_file,
    session,
    url_for,
)
from werkzeug.wrappers import Response as Answer

#: Notes what happened to streams.
ended: list[str] = []


def create_app(greeting: str = "Hello", size: int = 1) -> Flask:
    app = Flask(__name__)
    app.secret_key = "a key for tests only"
    app.add_url_rule("/", "home", lambda: f"<p>{greeting * size}</p>")
    app.add_url_rule("/healthz", "healthz", lambda: "my own health")
    app.add_url_rule("/metrics", "metrics", lambda: "my own metrics")
    app.add_url_rule("/readyz", "readyz", lambda: ("not yet", 503))
    app.add_url_rule("/there", "there", lambda: redirect(url_for("home")))
    app.add_url_rule("/url", "url", lambda: url_for("home", _external=True))
    app.add_url_rule("/cookies", "cookies", cookies)
    app.add_url_rule("/login/<name>", "login", login, methods=["POST"])
    app.add_url_rule(
        "/me", "me", lambda: session.get("name", "nobody") + ",".join(map(str, get_flashed_messages()))
    )
    app.add_url_rule("/file", "file", file)
    app.add_url_rule("/upload", "upload", upload, methods=["POST"])
    app.add_url_rule("/stream", "stream", stream)
    app.add_url_rule("/ended", "ended", lambda: ",".join(ended))
    app.add_url_rule("/broken", "broken", broken)
    app.add_url_rule("/teapot", "teapot", lambda: abort(418))
    app.add_url_rule("/wrong", "wrong", lambda: Response(7))  # type: ignore[arg-type]
    app.register_error_handler(404, lambda _error: ("<h1>my own 404</h1>", 404))
    return app


def cookies() -> Response:
    answer = Response("set")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2", httponly=True)
    return answer


def login(name: str) -> Answer:
    session["name"] = name
    flash(f" welcome {name}")
    return redirect(url_for("me"))


def file() -> Answer:
    return send_file(
        io.BytesIO(b"0123456789"), "text/plain", download_name="digits.txt", etag="the-tag", conditional=True
    )


def upload() -> dict[str, object]:
    sent = request.files["file"]
    return {"name": sent.filename, "bytes": len(sent.read()), "note": request.form["note"]}


def stream() -> Response:
    def pieces() -> Iterator[str]:
        try:
            while True:
                yield "piece\n" * 1000
        finally:
            ended.append("stream")

    return Response(pieces(), mimetype="text/plain")


def broken() -> str:
    raise RuntimeError("broken on purpose")


app = create_app()
