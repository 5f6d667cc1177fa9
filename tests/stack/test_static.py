"""HELIOGRAPH_STATIC and nginx/site.d at a real nginx: files with cache headers, the application for all others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import ROOT, Process, free_port

from heliograph.given import SettingError, from_file
from heliograph.stack import files, options, reading, render
from heliograph.stack.front import Certificate, StaticFolder, Tls
from heliograph.stack.plan import Layout
from tests.stack.front import Nginx, configured
from tests.stack.test_nginx_binaries import BINARIES
from tests.stack.upstream import PATIENCE, Upstream

#: A name as people give them.
FOLDER = 'Bilder "für" alle'

STYLE = "p { margin: 0 }\n" * 100

KEPT, BRIEFLY = "public, max-age=31536000, immutable", "public, max-age=300"

ADDITION = """
location = /added { return 204; }
add_header X-Added yes always;
"""


@pytest.fixture(scope="module", params=BINARIES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("static")
    files_here = folder / FOLDER
    (files_here / "docs").mkdir(parents=True)
    (files_here / "docs/index.html").write_text("<p>not asked for</p>\n")
    for name in ("style.css", "style.0123456789ab.css", "ä b.css"):
        (files_here / name).write_text(STYLE)
    (folder / "secret.txt").write_text("secret\n")
    upstream, port = Upstream(), free_port()
    folders = StaticFolder("/assets/", str(files_here)), StaticFolder("/assets/more/", str(folder / "nginx"))
    command = configured(folder, port, upstream.port, binary=request.param, folders=folders, as_root=True)
    (folder / "nginx/site.d").mkdir(exist_ok=True)
    (folder / "nginx/site.d/added.conf").write_text(ADDITION)
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    with Process(command, folder / "output").wait_for_port(port):
        yield Nginx(port, upstream, folder)
    upstream.close()


@pytest.fixture
def nginx(served: Nginx) -> Nginx:
    served.upstream.reset()
    return served


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("style.css", BRIEFLY),
        ("style.css?v=2", KEPT),
        ("style.0123456789ab.css", KEPT),
        ("%C3%A4%20b.css", BRIEFLY),
        ("style.css?file=style.0123456789ab.css", BRIEFLY),
    ],
)
def test_a_file_is_served_with_cache_headers(nginx: Nginx, path: str, cache: str) -> None:
    answer = requests.get(f"{nginx.url}/assets/{path}", timeout=PATIENCE)
    assert (answer.status_code, answer.text) == (200, STYLE)
    assert answer.headers["Cache-Control"] == cache
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    fields = {"If-None-Match": answer.headers["ETag"]}
    again = requests.get(f"{nginx.url}/assets/{path}", headers=fields, timeout=PATIENCE)
    assert again.status_code == 304
    part = requests.get(
        f"{nginx.url}/assets/{path}",
        headers={"Range": "bytes=0-3", "Accept-Encoding": "identity"},
        timeout=PATIENCE,
    )
    assert (part.status_code, part.text) == (206, STYLE[:4])
    assert nginx.upstream.seen.empty()


def test_the_longest_url_wins(nginx: Nginx) -> None:
    answer = requests.get(f"{nginx.url}/assets/more/snippets/own.conf", timeout=PATIENCE)
    assert answer.text == (ROOT / "nginx/snippets/own.conf").read_text()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /assets/nothing%2Fhere.css?a=%20b HTTP/1.1",
        "POST /assets/new HTTP/1.1",
        "DELETE /assets/nothing HTTP/1.1",
        "GET /assets/ HTTP/1.1",
        "GET /assets HTTP/1.1",
        "GET /assets/docs HTTP/1.1",
        "GET /assets/docs/ HTTP/1.1",
        "GET /assetsx/style.css HTTP/1.1",
    ],
)
def test_what_is_no_file_is_asked_of_the_application_as_it_was_written(
    nginx: Nginx, request_line: str
) -> None:
    nginx.upstream.handler = lambda exchange: exchange.answer("404 Not Found", b"mine")
    request = f"{request_line}\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    status, fields, body = nginx.raw(request.encode())
    assert (status, body) == (404, b"mine")
    assert "cache-control" not in fields
    assert nginx.upstream.next().request_line == request_line


@pytest.mark.parametrize(
    "path", ["/assets/../secret.txt", "/assets/%2e%2e/secret.txt", "/assets../secret.txt"]
)
def test_nothing_outside_of_the_folder_is_served(nginx: Nginx, path: str) -> None:
    _, _, body = nginx.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert b"secret" not in body
    assert not nginx.upstream.seen.empty()


def test_a_websocket_below_such_a_url_is_the_applications(nginx: Nginx) -> None:
    requests.get(
        f"{nginx.url}/assets/socket",
        headers={"Connection": "Upgrade", "Upgrade": "websocket"},
        timeout=PATIENCE,
    )
    assert nginx.upstream.next().values("Upgrade") == ["websocket"]


def test_what_operators_add_holds(nginx: Nginx) -> None:
    assert requests.get(f"{nginx.url}/added", timeout=PATIENCE).status_code == 204
    assert requests.get(f"{nginx.url}/other", timeout=PATIENCE).headers["X-Added"] == "yes"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("/static/=app/static", [("/static/", "app/static")]),
        ("/static=/srv/my files , /a/b/ = ./x=y,", [("/static/", "/srv/my files"), ("/a/b/", "./x=y")]),
    ],
)
def test_the_setting_is_read(text: str, found: list[tuple[str, str]]) -> None:
    given = options.load({"HELIOGRAPH_STATIC": text})
    assert [(one.url, one.folder) for one in given.static] == found


@pytest.mark.parametrize("wrong", ["/=public", "static/=x", "/static/", "/a b/=x", "/a/../b/=x", "/a//=x"])
def test_a_wrong_setting_names_its_part(wrong: str) -> None:
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_STATIC='.+': /url/=folder is allowed") as refused:
        options.load({"HELIOGRAPH_STATIC": f"/fine/=app,{wrong}"})
    assert refused.value.value == wrong
    with pytest.raises(SettingError, match=r"HELIOGRAPH_STATIC='/fine=x': "):
        options.load({"HELIOGRAPH_STATIC": "/fine/=app,/fine=x"})


def test_folders_are_of_the_project_and_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    environ = from_file('static = ["/a/=public", "/b/=missing"]')
    given = options.load(environ)
    with pytest.raises(SettingError, match=r"^heliograph\.toml: static='missing': a folder that is there"):
        files.static_folders(given, tmp_path, environ)
    (tmp_path / "missing").mkdir()
    found = files.static_folders(given, tmp_path, environ)
    assert [one.folder for one in found] == [f"{tmp_path}/public", f"{tmp_path}/missing"]


def test_without_nginx_the_application_is_asked_and_a_line_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    reading.require_nginx(Layout(options.load({}), None, static=(StaticFolder("/a/", "/a"),)), {})
    assert "warning: HELIOGRAPH_STATIC has no effect without nginx" in capfd.readouterr().err


def test_a_configuration_that_was_exported_is_rendered_like_the_one_before() -> None:
    text = (ROOT / "nginx/nginx.conf").read_text()
    tls = Tls("127.0.0.1:8443", Certificate("/a.pem", "/a.key"), http2_directive=True)
    folders = StaticFolder("/a-b/", "/srv/a"), StaticFolder("/c/", "/srv/c")
    plain = render.Front(
        "127.0.0.1:8080", "127.0.0.1:8000", "var", False, 1 << 30, private=("/metrics", "/readyz")
    )
    full = replace(plain, tls=tls, static=folders)
    exported = render.nginx_conf(text, full)
    assert render.nginx_conf(exported, full) == exported
    assert render.nginx_conf(exported, plain) == render.nginx_conf(text, plain)


def test_a_folder_that_nginx_cannot_be_told_is_refused() -> None:
    text = (ROOT / "nginx/nginx.conf").read_text()
    static = (StaticFolder("/a/", "/srv/$files"),)
    front = render.Front("127.0.0.1:80", "127.0.0.1:8000", "var", False, 5000, static=static)
    with pytest.raises(render.RenderError, match="nginx cannot be told"):
        render.nginx_conf(text, front)
