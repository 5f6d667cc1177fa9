"""One application under `flask run` and on the stack: each answer is the same, but for what HTTP leaves to servers.

The stack is asked through all its layers by HTTPS, and at the proxy.
"""

from __future__ import annotations

import http.client
import re
import shutil
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, Process, free_port
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from tests.stack import certificates
from tests.stack.compared import PATIENCE, REQUESTS, Asked, Site
from tests.stack.running import Stack
from tests.stack.test_applications import APPLICATIONS

#: What belongs to a connection or to a server, and what layers add to any application's answers.
SERVERS = {"connection", "date", "server", "transfer-encoding", "keep-alive"}
OURS = {
    "x-request-id",
    "x-instance",
    "x-content-type-options",
    "strict-transport-security",
    "x-accel-buffering",
}

#: A signed value has the second it was signed in.
SIGNED = re.compile(r"^(session|remember_token)=[^;]+")
EXPIRES = re.compile(r"Expires=[^;]+ \d\d:\d\d:\d\d GMT")

#: Some fields of Flask's are written from sets of texts.
ONE_ORDER = {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Seen:
    """An answer without what may differ."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes


def seen(site: Site, answer: http.client.HTTPResponse, asked: Asked) -> Seen:
    """`asked`: the fields of ours that the application sets itself are to be its own."""
    scheme, _, host = site.url.partition("://")

    def same(name: str, value: str) -> str:
        if name == "expires" or (name == "content-length" and asked.method != "HEAD"):  # the port is in some
            return "<its>"
        value = value.replace(site.url, "<here>").replace(host, "<host>")
        return EXPIRES.sub("Expires=<then>", SIGNED.sub(r"\1=<signed>", value))

    left_out = SERVERS | (OURS - set(asked.own))
    fields = [(name.lower(), value) for name, value in answer.getheaders()]
    kept = sorted(
        (name, same(name, value)) for name, value in fields if name not in left_out and name != "vary"
    )
    varies = {one.strip().lower() for name, value in fields if name == "vary" for one in value.split(",")}
    body = answer.read().replace(site.url.encode(), b"<here>").replace(host.encode(), b"<host>")
    return Seen(
        answer.status,
        answer.reason,
        [*kept, ("vary", " ".join(sorted(varies | {"accept-encoding"})))],
        body.replace(b'"scheme":"%b"' % scheme.encode(), b'"scheme":"<its>"'),
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for file in ("tutorial.py", "accounts.py"):
        shutil.copy(APPLICATIONS / file, root)
    (root / "static").mkdir()
    (root / "static/style.css").write_text("p { margin: 0 }\n")
    (root / "static/a file.js").write_text("export const x = 1;\n")
    (root / "static/page.html").write_text("<p>static ü</p>\n")
    return root


@pytest.fixture(scope="module")
def flask_run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Site]:
    port, log = free_port(), tmp_path_factory.mktemp("flask") / "log"
    command = [PYTHON, "-m", "flask", "--app", "tutorial", "run", "--port", str(port)]
    with Process(command, log, ONE_ORDER, cwd=project).wait_for_port(port):
        yield Site(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[list[Site]]:
    """The stack's outermost layer, and its proxy."""
    folder = tmp_path_factory.mktemp("stack")
    made = certificates.make(folder)
    context = ssl.create_default_context(cafile=str(made.certificate))
    settings = {
        **ONE_ORDER,
        "HELIOGRAPH_TLS_CERT": str(made.certificate),
        "HELIOGRAPH_TLS_KEY": str(made.key),
        "HELIOGRAPH_TLS_PORT": str(free_port()),
        "HELIOGRAPH_INSTANCES": "1",  # which knows what happened
    }
    command = (PYTHON, "-m", "heliograph.cli", "run", "tutorial")
    with Stack(folder, settings, command=command, root=project).started() as running:
        yield [
            Site(f"https://127.0.0.1:{settings['HELIOGRAPH_TLS_PORT']}", context, str(made.certificate)),
            Site(running.proxy_url),
        ]


@pytest.fixture(scope="module", params=[0, 1], ids=["HTTPS", "proxy"])
def site(request: pytest.FixtureRequest, sites: list[Site]) -> Site:
    which: int = request.param
    return sites[which]


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda one: f"{one.method} {one.target[:30]}")
def test_an_answer_is_that_of_flask_run(flask_run: Site, site: Site, asked: Asked) -> None:
    found, expected = seen(site, asked.of(site), asked), seen(flask_run, asked.of(flask_run), asked)
    assert found == expected


def visit(site: Site) -> list[tuple[int, str]]:
    """What a visitor sees who logs in, comes back, loses the session but not the cookie that remembers, and logs out."""
    with requests.Session() as visitor:

        def at(path: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
            method = "POST" if form else "GET"
            trusted = site.certificate or None
            answer = visitor.request(method, f"{site.url}{path}", data=form, timeout=PATIENCE, verify=trusted)
            return answer.status_code, f"{answer.url.removeprefix(site.url)} {answer.text}"

        told = [at("/me"), at("/login?next=/me", {"name": "jana ü"}), at("/me")]
        assert {one.name for one in visitor.cookies} == {"session", "remember_token"}
        visitor.cookies.pop("session")
        return [*told, at("/me"), at("/logout"), at("/me")]


def test_a_login_a_session_and_what_is_flashed_hold_as_under_flask_run(flask_run: Site, site: Site) -> None:
    told = visit(site)
    assert told == visit(flask_run)
    assert told[1][1].startswith("/me jana ü 1 [(&#39;message&#39;, ")
    assert "&lt;second&gt;" in told[1][1]
    assert [status for status, _ in told] == [405, 200, 200, 200, 200, 405]  # /login takes forms only


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_stream_arrives_as_it_is_written(flask_run: Site, site: Site, coding: str) -> None:
    told = []
    for one in (flask_run, site):
        answer = one.ask("/stream/waits", fields={"Accept-Encoding": coding})
        unpacking = zlib.decompressobj(31) if answer.headers["Content-Encoding"] == "gzip" else None
        got = b""
        while not got.endswith(b"\n"):
            piece = answer.read1(65536)
            assert piece, got
            got += unpacking.decompress(piece) if unpacking else piece
        assert one.ask("/go-on", "POST").read() == b"gone on"
        rest = answer.read()
        told.append((got, unpacking.decompress(rest) if unpacking else rest))
    assert told == [(b"first of /stream/waits\n", b"last\n")] * 2


def test_flask_sock_speaks_through_all_layers(flask_run: Site, site: Site) -> None:
    for one in (flask_run, site):
        with connect(
            f"{one.url.replace('http', 'ws', 1)}/sock", ssl=one.context, open_timeout=PATIENCE
        ) as socket:
            for message in ("ü", b"\x00\xff", "x" * 100_000):
                socket.send(message)
                assert socket.recv(PATIENCE) == message
            socket.send("enough")
            with pytest.raises(ConnectionClosedOK):
                socket.recv(PATIENCE)
