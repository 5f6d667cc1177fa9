"""Logins, sessions, cookies and flashed messages of the application beside, by flask-login."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    flash,
    get_flashed_messages,
    redirect,
    render_template_string,
    request,
    session,
    url_for,
)
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from werkzeug.wrappers import Response as Answer

accounts = Blueprint("accounts", __name__)
logins = LoginManager()
logins.login_view = "accounts.log_in"


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.id = name


@logins.user_loader  # type: ignore[untyped-decorator]
def load(name: str) -> User:
    return User(name)


@accounts.get("/cookies")
def cookies() -> Response:
    answer = Response("set")
    answer.set_cookie("first", "a; b, ü")
    answer.set_cookie("second", "2", httponly=True, samesite="Lax", path="/cookies", max_age=60)
    answer.delete_cookie("third")
    return answer


@accounts.post("/login")
def log_in() -> Answer:
    login_user(User(request.form["name"]), remember=True)
    flash(f"welcome {request.form['name']}")
    flash("and a <second> one", "warning")
    return redirect(request.args.get("next") or url_for("accounts.me"))


@accounts.get("/me")
@login_required  # type: ignore[untyped-decorator]
def me() -> str:
    session["count"] = session.get("count", 0) + 1
    return render_template_string(
        "{{ name }} {{ count }} {{ told }}",
        name=current_user.id,
        count=session["count"],
        told=get_flashed_messages(with_categories=True),
    )


@accounts.get("/logout")
def log_out() -> Answer:
    logout_user()
    return redirect(url_for("home"))
