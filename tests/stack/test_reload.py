"""`heliograph reload`: changed settings and files reach a running stack, and no request fails; with an error nothing changes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, until

from heliograph.given import SettingError, from_file
from heliograph.stack import folder, reading, sources
from heliograph.stack.lines import LineForm, Style
from heliograph.stack.notify import ServiceManager
from heliograph.stack.relay import StackLog
from heliograph.stack.reloading import Reloading
from heliograph.stack.restarts import needs_restart
from tests.heliograph.cli.calling import called
from tests.stack.front import NGINX
from tests.stack.loops import in_a_loop_of_its_own
from tests.stack.running import Stack

PATIENCE = 30

OLD, NEW = "o" * 32, "n" * 32

#: Tells with which settings it runs.
APPLICATION = """\
import os
from flask import Flask

app = Flask(__name__)

@app.route("/", methods=["GET", "POST"])
def settings():
    return {name: value for name, value in os.environ.items() if name.startswith("HELIOGRAPH_")}

if os.environ.get("HELIOGRAPH_DEFAULT_CHANNEL") == "broken":
    raise RuntimeError("broken on purpose")
if os.path.exists("needs-a-rate") and "HELIOGRAPH_RATE" not in os.environ:
    raise RuntimeError("no rate")
"""

SETTINGS = f"""\
app = "shown:app"
auth_secret = "{OLD}"
"""

SITE = "location = /added {{ return 200 {}; }}\n"


class Project:
    """A project in a folder, and its running stack."""

    def __init__(self, root: Path, notify: str) -> None:
        self.settings, self.proxy, self.site = (
            root / one for one in ("heliograph.toml", "conf/proxy.toml", "nginx/site.d/added.conf")
        )
        for file in (self.proxy, self.site):
            file.parent.mkdir(parents=True)
        self.proxy.write_text((sources.TEMPLATES / "proxy.toml").read_text())
        self.site.write_text(SITE.format("first"))
        self.settings.write_text(SETTINGS)
        (root / "shown.py").write_text(APPLICATION)
        command = (PYTHON, "-m", "heliograph.cli", "run")
        self.stack = Stack(root, {"NOTIFY_SOCKET": notify}, command=command, root=root)
        self.state = root / "var"

    def reload(self, *options: str) -> subprocess.CompletedProcess[str]:
        return called("reload", *options, cwd=self.stack.root)

    def running_settings(self) -> list[dict[str, str]]:
        return [requests.get(url, timeout=PATIENCE).json() for url in self.stack.instance_urls]

    def rendered(self) -> str:
        return (self.state / "proxy.toml").read_text()


@pytest.fixture(scope="module")
def notified() -> Iterator[socket.socket]:
    with (
        tempfile.TemporaryDirectory() as place,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(os.path.join(place, "notify"))
        listener.settimeout(PATIENCE)
        yield listener


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, notified: socket.socket) -> Iterator[Project]:
    found = Project(tmp_path_factory.mktemp("reload"), notified.getsockname())
    with found.stack.started():
        assert notified.recv(4096) == b"READY=1"
        yield found
        assert found.stack.stop() == 0
    assert not (found.state / folder.CHANGING).exists()


@contextlib.contextmanager
def requests_all_along(stack: Stack) -> Iterator[Counter[int]]:
    """Counts the statuses of clients that ask one thing after another; a request that gets no answer is an error."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def ask(url: str) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            over.wait(0.01)  # an instance that starts needs some of the processor
            method, body = ("POST", b"x" * 1000) if number % 2 else ("GET", None)
            statuses[requests.request(method, url, data=body, timeout=PATIENCE).status_code] += 1

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask, url) for url in (stack.url, stack.proxy_url) for _ in range(2)]
        try:
            yield statuses
        finally:
            over.set()
    for client in clients:
        client.result()


def test_changes_of_each_file_take_effect_and_no_request_fails(project: Project) -> None:
    stack = project.stack
    before = stack.pids()
    with requests_all_along(stack) as statuses:
        ended = project.reload()
        assert (ended.returncode, ended.stdout) == (0, "Nothing has changed.\n"), ended.stderr

        project.proxy.write_text(project.proxy.read_text().replace("interval = 2.0", "interval = 1.5"))
        project.site.write_text(SITE.format("second"))
        ended = project.reload()
        assert ended.returncode == 0, ended.stderr
        assert "they have changed for proxy" in ended.stdout
        assert "interval = 1.5" in project.rendered()
        until(lambda: '"event": "reloaded"' in stack.output, "the line of the proxy")
        if stack.has_nginx:
            assert "nginx: reads its new configuration" in ended.stdout
            until(
                lambda: requests.get(f"{stack.url}/added", timeout=PATIENCE).text == "second",
                "nginx's workers",
            )
        assert stack.pids() == before

        secrets = f"{OLD},{NEW}"
        project.settings.write_text(SETTINGS.replace(OLD, secrets))
        ended = project.reload("--json")
        assert ended.returncode == 0, ended.stderr
        said = [json.loads(line)["message"] for line in ended.stdout.splitlines()]
        assert said[0] == "Settings and files are good; they have changed for web1, web2"
        assert said[-1] == "The stack runs with the new settings."
        assert {one["HELIOGRAPH_AUTH_SECRET"] for one in project.running_settings()} == {secrets}
    assert statuses.keys() == {200}
    assert statuses[200] > 50
    after = stack.pids()
    assert {name for name in before if before[name] != after[name]} == {"web1", "web2"}


def wrong(project: Project) -> Iterator[tuple[Path, str, str]]:
    """A file, its new text, and the beginning of the line that is told of it."""
    settings, proxy = project.settings.read_text(), project.proxy.read_text()
    yield project.settings, f"{settings}rate = 'much'\n", "heliograph.toml: rate='much': a whole number"
    yield project.settings, f"{settings}auth_secret_\n", "heliograph.toml: is no TOML"
    yield (
        project.settings,
        settings.replace(OLD, "short"),
        "heliograph.toml: auth_secret='…': secrets of at least",
    )
    yield (
        project.proxy,
        proxy.replace("interval = ", "interval = -"),
        "conf/proxy.toml: health.interval: must be",
    )
    yield project.proxy, f"{proxy}nothing\n", "conf/proxy.toml: "
    yield (
        project.proxy,
        re.sub("^listen = .*", 'listen = "0.0.0.0:1"', proxy, flags=re.MULTILINE),
        ("conf/proxy.toml: listen has changed, which takes a restart"),
    )
    if project.stack.has_nginx:
        yield (
            project.site,
            "location = /added { retur 200; }\n",
            'unknown directive "retur" in nginx/site.d/added.conf:1',
        )
    # What only an instance finds.
    changed = f"{settings}default_channel = 'broken'\n"
    yield project.settings, changed, "the new process of web1 ended with status 3; its own lines say why"


def test_a_setting_that_does_not_exist_is_told(project: Project) -> None:
    settings = project.stack.root / "heliograph.toml"
    before = settings.read_text()
    settings.write_text(f"auht_secret = 1\n{before}")
    told = project.reload().stdout.splitlines()
    settings.write_text(before)
    assert project.reload().returncode == 0
    assert told[0] == (
        "warning: heliograph.toml: auht_secret is not a setting of Heliograph and is ignored; did you mean auth_secret?"
    )


def test_with_an_error_nothing_changes(project: Project) -> None:
    before, settings, rendered = project.stack.pids(), project.running_settings(), project.rendered()
    for file, text, told in wrong(project):
        good = file.read_text()
        file.write_text(text)
        ended = project.reload()
        file.write_text(good)
        assert ended.returncode == 1, text
        assert told in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert "nothing was changed" in ended.stderr or "is no TOML" in told
    assert (project.stack.pids(), project.rendered()) == (before, rendered)
    assert project.running_settings() == settings
    assert not list(project.state.glob("*.new"))
    assert project.reload().stdout == "Nothing has changed.\n"


def test_an_instance_that_is_down_is_mended(project: Project) -> None:
    needs, good = project.stack.root / "needs-a-rate", project.settings.read_text()
    needs.touch()
    before = project.stack.pids()["web1"]
    os.killpg(before, signal.SIGKILL)
    until(lambda: "web1 ended with status 3" in project.stack.output, "the end of the next one")
    project.settings.write_text(f"{good}rate = 700\n")
    ended = project.reload()
    assert ended.returncode == 0, ended.stderr
    assert {one["HELIOGRAPH_RATE"] for one in project.running_settings()} == {"700"}
    needs.unlink()


def test_instances_of_another_server_are_renewed_too(tmp_path: Path) -> None:
    serve = f"{PYTHON} -m http.server --protocol HTTP/1.1 --bind 127.0.0.1 {{port}}"
    settings, proxy = tmp_path / "heliograph.toml", tmp_path / "conf/proxy.toml"
    proxy.parent.mkdir()
    proxy.write_text(
        (sources.TEMPLATES / "proxy.toml").read_text().replace("interval = 2.0", "interval = 0.2")
    )
    settings.write_text(f"command = '{serve}'\nnginx = 0\n")
    run = (PYTHON, "-m", "heliograph.cli", "run")
    with Stack(tmp_path, command=run, root=tmp_path).started() as stack:
        before = stack.pids()
        settings.write_text(f"{settings.read_text()}rate = 700\n")
        ended = called("reload", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert {name for name, pid in stack.pids().items() if pid != before[name]} == {"web1", "web2"}
        settings.write_text("command = 'false {port}'\nnginx = 0\n")
        ended = called("reload", cwd=tmp_path)
        assert ended.returncode == 1
        assert "web1 does not come back" in ended.stderr
        assert "; web1 run with the new settings already" in ended.stderr


def test_what_takes_a_restart_is_refused(project: Project) -> None:
    good = project.settings.read_text()
    project.settings.write_text(f"{good}state = 'other'\n")
    ended = project.reload("--state", str(project.state))
    project.settings.write_text(good)
    told = "heliograph reload: heliograph.toml: state has changed, which takes a restart: `heliograph stop`, "
    assert ended.stderr.startswith(told)
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("port = 8090", "heliograph.toml: port"),
        ("proxy_port = 8090", "heliograph.toml: proxy_port"),
        ("admin_port = 8090", "heliograph.toml: admin_port"),
        ("port_base = 8200", "heliograph.toml: port_base"),
        ("instances = 7", "heliograph.toml: instances"),
        ("host = '0.0.0.0'", "heliograph.toml: host"),
        ("log = 'text'", "heliograph.toml: log"),
        ("reload = true", "heliograph.toml: reload"),
        ("command = 'serve {port}'", "heliograph.toml: command"),
        ("proxy_config = 'public.toml'", "conf/proxy.toml: listen"),
        ("settings = 'json'", "heliograph.toml: settings"),
        ("rate = 5", ""),
    ],
)
def test_each_setting_that_takes_a_restart_is_named(tmp_path: Path, line: str, name: str) -> None:
    (tmp_path / "public.toml").write_text(
        (sources.TEMPLATES / "proxy.toml").read_text().replace('"127.0.0.1:8000"', '"0.0.0.0:8000"')
    )
    running = reading.read(tmp_path, from_file("nginx = 0\ninstances = 2"), "json")
    others = "" if line.startswith("instances") else "instances = 2\n"
    new = reading.read(tmp_path, from_file(f"nginx = 0\n{others}{line}"), "json")
    told = needs_restart(running, new)
    assert told.partition(" has changed, which takes a restart")[0] == name
    assert needs_restart(running, running) == ""


def test_a_module_of_settings_that_exits_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exits_at_import.py").write_text("raise SystemExit(5)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingError, match=r"settings='exits_at_import': a module that can be imported"):
        reading.read(tmp_path, from_file("settings = 'exits_at_import'"), "json")


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_snippets_in_another_folder_take_a_restart(tmp_path: Path) -> None:
    """The check of nginx would read those of before."""
    running = reading.read(tmp_path, from_file("instances = 2"), "json")
    shutil.copytree(sources.TEMPLATES / "nginx", tmp_path / "nginx")
    new = reading.read(tmp_path, from_file("instances = 2"), "json")
    assert needs_restart(running, new).startswith("nginx/nginx.conf has changed, which takes a restart")


@pytest.mark.parametrize("name", ["reload", "rolling"])
def test_a_second_change_at_the_same_time_is_refused(project: Project, name: str) -> None:
    with folder.changing(project.state):
        ended = called(name, cwd=project.stack.root)
    assert ended.returncode == 1
    assert f"a reload or a rolling restart of the stack in {project.state} is going on" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_sighup_is_a_reload_of_which_systemd_is_told(project: Project, notified: socket.socket) -> None:
    notified.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            notified.recv(4096)
    notified.settimeout(PATIENCE)
    project.proxy.write_text(project.proxy.read_text().replace("rise = 2", "rise = 1"))
    project.stack.send(signal.SIGHUP)
    assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", notified.recv(4096))
    assert notified.recv(4096) == b"READY=1"
    assert "rise = 1" in project.rendered()
    until(lambda: "The stack runs with the new settings." in project.stack.output, "the log of the command")


def test_a_stop_during_a_reload_is_not_taken_back(tmp_path: Path) -> None:
    async def stopped_meanwhile(told: socket.socket) -> None:
        configured = reading.read(tmp_path, from_file("nginx = 0"), "json")
        claimed, log = folder.claim(tmp_path / "var"), StackLog(LineForm(Style.JSON, []))
        service = ServiceManager(told.getsockname().decode())
        reloading = Reloading(claimed, configured, lambda: configured, 1024, service, log)
        try:
            reloading.by_signal()
            await asyncio.sleep(0)  # it begins
            assert told.recv(4096).startswith(b"RELOADING=1")
            await reloading.stop()
            with pytest.raises(BlockingIOError):
                told.recv(4096)
        finally:
            log.finish()
            claimed.release()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind("")
        told.setblocking(False)
        in_a_loop_of_its_own(stopped_meanwhile(told))


def test_where_no_stack_runs_it_says_so(tmp_path: Path) -> None:
    ended = called("reload", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        3,
        f"heliograph: no stack runs in {tmp_path}/var; `heliograph run` starts one\n",
    )
