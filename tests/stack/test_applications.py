"""Applications of real frameworks on the stack, in a folder of their own: their answers reach the client as they gave them."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, ROOT, until
from websockets.sync.client import connect

from tests.stack.applications.plain import create_app
from tests.stack.running import Stack

PATIENCE = 30.0

APPLICATIONS = ROOT / "tests/stack/applications"

#: A layer of TLS in front, as the trusted peer next to the proxy tells of it.
BEHIND_TLS = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "example.org",
    "X-Forwarded-For": "203.0.113.9",
}

WITHOUT_NGINX = ("--nginx", "0", "--instances", "1")


def project(folder: Path, file: str, inside: str = ".") -> Path:
    """A project that has this file and nothing else."""
    root = folder / "project"
    (root / inside).mkdir(parents=True)
    shutil.copy(APPLICATIONS / file, root / inside / file)
    return root


def running(folder: Path, root: Path, *arguments: str) -> Stack:
    command = (PYTHON, "-m", "heliograph.cli", "run", *arguments)
    return Stack(folder, {"HELIOGRAPH_INSTANCES": ""}, command=command, root=root).started()


@pytest.fixture(scope="module")
def flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A plain Flask application with static files, with all layers that are there."""
    folder = tmp_path_factory.mktemp("flask")
    root = project(folder, "plain.py")
    (root / "static").mkdir()
    (root / "static/style.css").write_text("p { margin: 0 }\n")
    with running(folder, root, "plain:app", "--instances", "1") as stack:
        yield stack


def get(stack: Stack, path: str, **options: object) -> requests.Response:
    return requests.get(f"{stack.url}{path}", timeout=PATIENCE, allow_redirects=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/metrics", "/readyz", "/nowhere", "/broken", "/teapot", "/there", "/file", "/ended"],
)
def test_an_answer_is_the_one_that_the_application_gave(flask: Stack, path: str) -> None:
    app = create_app()
    app.testing = False
    expected, found = app.test_client().get(path), get(flask, path)
    assert found.status_code == expected.status_code
    assert found.content == expected.data
    ours = {"Connection", "Content-Length", "Date", "Last-Modified", "Server", "Vary"}
    for name, value in expected.headers.items():
        assert name in ours or found.headers.get(name) == value
    assert found.headers["X-Request-Id"]


def test_each_cookie_comes(flask: Stack) -> None:
    assert get(flask, "/cookies").raw.headers.getlist("Set-Cookie") == [
        "first=1; Path=/",
        "second=2; HttpOnly; Path=/",
    ]


def test_a_session_with_a_flash_holds(flask: Stack) -> None:
    with requests.Session() as session:
        answer = session.post(f"{flask.url}/login/jana", timeout=PATIENCE)
        assert (answer.status_code, answer.url, answer.text) == (200, f"{flask.url}/me", "jana welcome jana")
        assert session.get(f"{flask.url}/me", timeout=PATIENCE).text == "jana"


def test_external_urls_have_the_port_and_what_a_trusted_proxy_tells(flask: Stack) -> None:
    assert get(flask, "/url").text == f"{flask.url}/"
    told = requests.get(
        f"{flask.proxy_url}/url", headers={**BEHIND_TLS, "X-Forwarded-Prefix": "/shop"}, timeout=PATIENCE
    )
    assert told.text == "https://example.org/shop/"


def test_ranges_and_tags_of_a_file_hold(flask: Stack) -> None:
    part = get(flask, "/file", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.text, part.headers["Content-Range"]) == (206, "234", "bytes 2-4/10")
    assert get(flask, "/file", headers={"If-None-Match": '"the-tag"'}).status_code == 304


def test_static_files_are_the_applications(flask: Stack) -> None:
    found = get(flask, "/static/style.css")
    assert (found.status_code, found.text) == (200, "p { margin: 0 }\n")
    assert found.headers["Content-Type"].startswith("text/css")
    assert get(flask, "/static/none.css").text == "<h1>my own 404</h1>"


def test_an_upload_arrives(flask: Stack) -> None:
    sent = requests.post(
        f"{flask.url}/upload",
        files={"file": ("päper.txt", b"x" * 3_000_000)},
        data={"note": "ünïcode"},
        timeout=PATIENCE,
    )
    assert sent.json() == {"name": "päper.txt", "bytes": 3_000_000, "note": "ünïcode"}


def test_a_generator_is_closed_when_its_client_leaves(flask: Stack) -> None:
    port = flask.ports.nginx if flask.has_nginx else flask.ports.proxy
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    until(lambda: get(flask, "/ended").text == "stream", "the end of the generator")


def test_what_is_no_answer_is_a_500_and_the_traceback_is_logged(flask: Stack) -> None:
    assert get(flask, "/wrong").status_code == 500
    until(lambda: "TypeError" in flask.output, "the traceback")
    assert get(flask, "/").status_code == 200


@pytest.mark.parametrize("name", ['plain:create_app("Hi ", size=2)', "plain"])
def test_a_factory_and_a_module_in_a_src_folder(tmp_path: Path, name: str) -> None:
    root = project(tmp_path, "plain.py", "src")
    with running(tmp_path, root, "--pythonpath", "src", *WITHOUT_NGINX, name) as stack:
        assert get(stack, "/").text == ("<p>Hi Hi </p>" if "size" in name else "<p>Hello</p>")


def test_the_application_may_be_named_in_pyproject_toml(tmp_path: Path) -> None:
    root = project(tmp_path, "bare.py")
    (root / "pyproject.toml").write_text(
        '[tool.heliograph]\napp = "bare"\nnginx = 0\ninstances = 7\nstate = ".cache/heliograph"\n'
    )
    with running(tmp_path, root, "--instances=1") as stack:
        answer = get(stack, "/any")
        assert (answer.text, answer.headers["X-Own"]) == ("<i>/any</i>", "yes")
        assert list(stack.pids()) == ["web1", "proxy"]
        for path in ("/nothing", "/text", "/number", "/header"):
            assert get(stack, path).status_code == 500, path
        assert get(stack, "/any").status_code == 200
    assert {path.name for path in root.iterdir()} == {"bare.py", "pyproject.toml", ".cache"}


def test_a_django_project(tmp_path: Path) -> None:
    root = project(tmp_path, "django_project.py")
    subprocess.run([PYTHON, "django_project.py"], cwd=root, check=True, timeout=120)
    with running(tmp_path, root, "django_project", *WITHOUT_NGINX) as stack, requests.Session() as session:
        counted = [session.get(f"{stack.url}/count", timeout=PATIENCE).text for _ in range(2)]
        assert counted == ["<b>1</b>", "<b>2</b>"]
        asked = requests.get(f"{stack.url}/scheme", headers=BEHIND_TLS, timeout=PATIENCE)
        assert asked.text == "https://example.org/here"
        assert "<h1>Not Found</h1>" in get(stack, "/nowhere").text
        login(session, stack.url)


def login(session: requests.Session, url: str) -> None:
    """As a browser behind HTTPS does at the admin's page, whose form has a token."""
    page = session.get(f"{url}/admin/login/", headers=BEHIND_TLS, timeout=PATIENCE)
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    form = {"username": "admin", "password": "a password", "csrfmiddlewaretoken": token, "next": "/admin/"}
    for origin, status in (("https://elsewhere.example", 403), ("https://example.org", 302)):
        headers = {**BEHIND_TLS, "Origin": origin}
        answer = session.post(
            f"{url}/admin/login/", form, headers=headers, timeout=PATIENCE, allow_redirects=False
        )
        assert answer.status_code == status, answer.text
    assert "Site administration" in session.get(f"{url}/admin/", headers=BEHIND_TLS, timeout=PATIENCE).text


def test_a_pyramid_application_from_its_function(tmp_path: Path) -> None:
    root = project(tmp_path, "pyramid_app.py")
    with running(tmp_path, root, *WITHOUT_NGINX, 'pyramid_app:make("a title", debug=False)') as stack:
        assert get(stack, "/").text == f"<p>{stack.url}/</p>"
        missing = get(stack, "/nowhere")
        assert (missing.status_code, missing.headers["Content-Type"].partition(";")[0]) == (404, "text/html")


def test_instances_of_another_server_with_its_websockets(tmp_path: Path) -> None:
    root = project(tmp_path, "fast.py")
    command = f"{PYTHON} -m uvicorn fast:api --port {{port}}"
    options: Sequence[str] = ("--nginx=0", "--instances=1", "--health", "/items/7")
    with running(tmp_path, root, "--command", command, *options) as stack:
        assert get(stack, "/items/3").json() == {"item": 3}
        assert get(stack, "/").json() == {"detail": "Not Found"}
        with connect(f"{stack.websocket_url}/ws", open_timeout=PATIENCE) as talk:
            talk.send("hello")
            assert talk.recv(PATIENCE) == "you said hello"
        status = requests.get(f"{stack.admin_url}/status", timeout=PATIENCE).json()
        assert [(one["name"], one["healthy"]) for one in status["backends"]] == [("web1", True)]
        assert {path.name for path in root.iterdir()} == {"fast.py", "var"}
        assert [one for one in stack.lines() if '"GET /items/7 HTTP/1.1" 200' in str(one.get("message"))]
