"""A project with everything that the layer in front does for it: HTTPS, static files, additions of its own, streams.

By the packaged nginx, as on a machine that has none; the other tests of stacks take the system's where there is one.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import requests
from proxy_tests.processes import PYTHON, free_port

from heliograph.stack import nginx
from tests.stack import certificates
from tests.stack.running import Stack

PATIENCE = 20.0

#: An application that knows nothing of us: its stream stands still after the first piece until it is told to go on.
APPLICATION = """\
import threading

from flask import Flask, url_for

app = Flask(__name__)
GO_ON = threading.Event()


@app.get("/")
def home():
    return url_for("home", _external=True)


@app.get("/stream")
def stream():
    def pieces():
        yield "first"
        GO_ON.wait(20)
        yield "last"

    return pieces()


@app.get("/assets/made-by-the-application")
def made():
    return "made"
"""

RUN = (PYTHON, "-m", "heliograph.cli", "run", "hello:app")


def test_a_project_has_https_static_files_additions_and_streams(tmp_path: Path) -> None:
    root = tmp_path / "a project, ünïcode"
    for folder in ("public", "nginx/site.d", "bin"):
        (root / folder).mkdir(parents=True)
    (root / "hello.py").write_text(APPLICATION)
    (root / "public/style.css").write_text("p { margin: 0 }\n")
    (root / "nginx/site.d/added.conf").write_text("location = /added { return 204; }\n")
    made, tls = certificates.make(root), free_port()
    (root / "bin/nginx").symlink_to(str(nginx.packaged()))
    settings = {
        "HELIOGRAPH_TLS_CERT": made.certificate.name,
        "HELIOGRAPH_TLS_KEY": made.key.name,
        "HELIOGRAPH_TLS_PORT": str(tls),
        "HELIOGRAPH_STATIC": "/assets/=public",
        "PATH": f"{root}/bin:{os.environ['PATH']}",
    }
    url = f"https://127.0.0.1:{tls}"
    with Stack(tmp_path, settings, root=root, command=RUN).started() as stack, requests.Session() as client:
        client.verify, client.trust_env = str(made.certificate), False
        assert stack.announced()["service"] == url
        assert json.loads((stack.var / "stack.json").read_text())["url"] == url
        assert os.path.realpath(f"/proc/{stack.pids()['nginx']}/exe") == nginx.packaged()

        assert client.get(f"{url}/", timeout=PATIENCE).text == f"{url}/"
        redirected = client.get(f"http://127.0.0.1:{stack.ports.nginx}/", timeout=PATIENCE)
        assert (redirected.url, redirected.text) == (f"{url}/", f"{url}/")
        file = client.get(f"{url}/assets/style.css", timeout=PATIENCE)
        assert (file.text, file.headers["Cache-Control"]) == ("p { margin: 0 }\n", "public, max-age=300")
        assert "X-Instance" not in file.headers
        assert client.get(f"{url}/assets/made-by-the-application", timeout=PATIENCE).text == "made"
        assert client.get(f"{url}/added", timeout=PATIENCE).status_code == 204

        with client.get(f"{url}/stream", stream=True, timeout=PATIENCE) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            unpacking, got = zlib.decompressobj(31), b""
            while got != b"first":
                got += unpacking.decompress(answer.raw.read1(1))
        assert stack.stop() == 0
