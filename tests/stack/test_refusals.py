"""What keeps script/server from starting: wrong settings, taken ports, broken parts. One line, status 1, nothing left."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from proxy_tests.processes import (
    PYTHON,
    ROOT,
    Process,
    alive,
    answers,
    clean_environment,
    free_port,
    free_ports,
)

from heliograph.given import SettingError
from heliograph.stack import options, ports, reading, sources
from heliograph.stack.plan import Layout, Project, stages
from heliograph.stack.render import Listen, RenderError, at
from tests.stack.checkout import copy_checkout
from tests.stack.front import NGINX
from tests.stack.running import RUN, Stack, choose_ports

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def refused(settings: dict[str, str], root: Path = ROOT) -> str:
    """What a stack that does not start says; it must end with status 1."""
    environment = clean_environment({**choose_ports().settings(), **settings})
    ended = subprocess.run(
        RUN, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1, ended
    assert ended.stdout == ""
    return ended.stderr


def test_a_configuration_that_is_not_utf_8_is_named_and_not_shown(tmp_path: Path) -> None:
    for name in (sources.PROXY, sources.NGINX, "nginx/snippets/site.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b'admin_token = "secret"  # caf\xe9\n')
    found = sources.find(tmp_path, {})
    for read in (
        lambda: reading.proxy_host(found),
        lambda: reading.other_listens(Layout(options.load({}), "nginx"), found),
    ):
        with pytest.raises(reading.Refusal, match=r"^/.*: cannot be read: it is not UTF-8$"):
            read()


def one_port_twice(port: int) -> dict[str, str]:
    """Refused after the warnings, before anything runs."""
    return {"HELIOGRAPH_PROXY_PORT": str(port), "HELIOGRAPH_ADMIN_PORT": str(port)}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"HELIOGRAPH_PORT": "0"},
            "HELIOGRAPH_PORT='0': a whole number from 1 to 65535 is allowed",
        ),
        ({"HELIOGRAPH_PROXY_PORT": "http"}, "HELIOGRAPH_PROXY_PORT='http': a whole number from 1 to 65535"),
        ({"HELIOGRAPH_INSTANCES": "0"}, "HELIOGRAPH_INSTANCES='0': a whole number from 1 to 256 is allowed"),
        ({"HELIOGRAPH_PORT_BASE": "65535"}, "HELIOGRAPH_PORT_BASE='65535': a whole number from 1 to 65534"),
        ({"HELIOGRAPH_HOST": "example.org"}, "HELIOGRAPH_HOST='example.org': an IP address or localhost"),
        ({"HELIOGRAPH_HOST": "192.0.2.1"}, "this machine has no such address"),
        ({"HELIOGRAPH_PRIVATE": "/metrics,status"}, "HELIOGRAPH_PRIVATE='status': paths such as /metrics"),
        ({"HELIOGRAPH_NGINX": "maybe"}, "HELIOGRAPH_NGINX='maybe': one of auto, 0, 1 is allowed"),
        ({"HELIOGRAPH_MAX_BODY": "much"}, "HELIOGRAPH_MAX_BODY='much': a size"),
        ({"HELIOGRAPH_LOG": "xml"}, "HELIOGRAPH_LOG='xml': one of json, text is allowed"),
        (
            {"HELIOGRAPH_CHANNELS": "kafka://localhost"},
            "HELIOGRAPH_CHANNELS='kafka://localhost': kafka:// is not available",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(settings: dict[str, str], text: str) -> None:
    said = refused(settings)
    assert said.startswith("Heliograph does not start: ")
    assert text in said
    assert said.count("\n") == 1


def test_an_unknown_setting_is_a_warning_that_names_the_nearest() -> None:
    said = refused(
        {"HELIOGRAPH_INSTANCE_COUNT": "3", "HELIOGRAPH_PROXY_PROT": "1", "HELIOGRAPH_LOG": "text"}
        | one_port_twice(free_port()),
    )
    assert (
        "HELIOGRAPH_PROXY_PROT is not a setting of Heliograph and is ignored; did you mean HELIOGRAPH_PROXY_PORT?"
        in said
    )
    assert "HELIOGRAPH_INSTANCE_COUNT is not a setting" in said
    assert "HELIOGRAPH_LOG is not" not in said


def test_two_of_our_own_on_one_port_are_named() -> None:
    said = refused(one_port_twice(port := free_port()))
    assert f"port {port} is meant for both the proxy (HELIOGRAPH_PROXY_PORT)" in said
    assert "the proxy's admin listener (HELIOGRAPH_ADMIN_PORT)" in said


def project(folder: Path, proxy: tuple[str, str] = ("", ""), nginx: tuple[str, str] = ("", "")) -> Path:
    """The configurations of this checkout with another text in one of them."""
    for name, change in (("conf/proxy.toml", proxy), ("nginx/nginx.conf", nginx)):
        file = folder / name
        file.parent.mkdir(parents=True)
        file.write_text((ROOT / name).read_text().replace(*change))
    shutil.copytree(ROOT / "nginx/snippets", folder / "nginx/snippets")
    return folder


@pytest.mark.parametrize("listen", ['"0.0.0.0:8000"', '"[::]:8000"', '["127.0.0.1:8000", "192.0.2.1:8000"]'])
def test_the_proxys_listen_beyond_loopback_is_told_to_the_instances_too(tmp_path: Path, listen: str) -> None:
    root = project(tmp_path, proxy=('listen = "127.0.0.1:8000"', f"listen = {listen}"))
    host = reading.proxy_host(sources.find(root, {}))
    assert host in {"0.0.0.0", "::", "192.0.2.1"}
    layout = Layout(options.load({}), "nginx", host)
    assert layout.proxy_at == at(host, 8000)
    assert reading.exposed(layout, {}) == f"conf/proxy.toml: listen={at(host, 8000)}"


EXPOSED = {"HELIOGRAPH_EXPOSED": "HELIOGRAPH_HOST=0.0.0.0", "HELIOGRAPH_CHANNELS": "memory://"}


def test_the_first_address_that_others_reach_is_told_to_the_instances() -> None:
    layout = Layout(options.load({"HELIOGRAPH_HOST": "0.0.0.0"}), None)
    assert reading.exposed(layout, {}) == "HELIOGRAPH_HOST=0.0.0.0"
    assert reading.exposed(Layout(options.load({}), None), {}) == ""
    [instances, _] = stages(layout, "python", Project(ROOT, "wsgi:app", (), exposed="x=y"), ROOT / "var")
    assert {one.extra["HELIOGRAPH_EXPOSED"] for one in instances} == {"x=y"}


@pytest.mark.parametrize(
    ("text", "settings", "refused"),
    [
        ("app = Flask(__name__)", {}, False),
        ("app = Flask(__name__); Heliograph(app, endpoints=['channels'])", {}, True),
        ("app = Flask(__name__); Heliograph(app, endpoints=['channels'])", {"HELIOGRAPH_OPEN": "1"}, False),
    ],
)
def test_only_an_application_that_serves_channels_needs_a_secret_on_such_an_address(
    tmp_path: Path, text: str, settings: dict[str, str], refused: bool
) -> None:
    (tmp_path / "theirs.py").write_text(
        f"from flask import Flask\nfrom heliograph import Heliograph\n{text}\n"
    )
    port = free_port()
    command = [PYTHON, "-m", "gunicorn", "-c", "python:heliograph.server.config"]
    command += ["--bind", f"127.0.0.1:{port}", "theirs:app"]
    with Process(command, tmp_path / "output", {**EXPOSED, **settings}, cwd=tmp_path) as instance:
        if refused:
            assert instance.wait(120) == 3
            assert (
                instance.output.count("HELIOGRAPH_HOST='0.0.0.0': listens beyond loopback, which is all") == 1
            )
            assert "Traceback" not in instance.output
        else:
            instance.wait_for_port(port)
            assert instance.stop() == 0


def test_what_else_nginx_listens_on_is_checked_like_the_rest(tmp_path: Path) -> None:
    layout = Layout(options.load({}), "nginx")
    for number, (listen, found) in enumerate({"8443 ssl": "", "127.0.0.1:8443 ssl": "127.0.0.1"}.items()):
        root = project(
            tmp_path / str(number),
            nginx=("    # TLS: put", f"    server {{\n        listen {listen};\n    }}\n    # TLS: put"),
        )
        others = reading.other_listens(layout, sources.find(root, {}))
        assert [(one.host, one.port) for one in others] == [(found or "0.0.0.0", 8443)]
        told = reading.exposed(replace(layout, listens=others), {})
        assert told == ("" if found else "nginx/nginx.conf: listen=0.0.0.0:8443")


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("localhost:8443", ("127.0.0.1", 8443)),
        ("[::1]:8443 ssl", ("::1", 8443)),
        ("[::1]:8080", ("::1", 8080)),
        ("unix:/run/x.sock", None),
    ],
)
def test_forms_of_listen_that_nginx_reads_are_read(
    tmp_path: Path, listen: str, found: tuple[str, int] | None
) -> None:
    block = f"    server {{ listen {listen}; }} server {{ listen {listen}; }}\n    # TLS: put"
    root = project(tmp_path, nginx=("    # TLS: put", block))
    layout = Layout(options.load({}), "nginx")
    listens = reading.other_listens(layout, sources.find(root, {}))
    assert (found in [(one.host, one.port) for one in listens]) == bool(found)
    planned = stages(replace(layout, listens=listens), "python", Project(root, "wsgi:app", ()), root / "var")
    assert len(planned[2][0].questions) == 1 + len(listens)


#: A machine whose only address of IPv6 is loopback's, which its localhost names first.
_MACHINE = """
ip link set lo up && ip address add 192.0.2.1/32 dev lo && mount --bind hosts /etc/hosts && exec "$0" "$@"
"""


def test_a_name_stands_for_the_addresses_that_nginx_binds(tmp_path: Path) -> None:
    in_it = ("unshare", "--map-root-user", "--net", "--mount", "sh", "-c", _MACHINE)
    (tmp_path / "hosts").write_text("::1 localhost\n127.0.0.1 localhost\n")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*in_it, *command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
        )

    if not shutil.which("unshare") or run("true").returncode:
        pytest.skip("no network of its own can be made here")
    code = "from heliograph.stack import ports; print(*(ports.addresses(one, '', '') for one in ('localhost', '::1')))"
    assert run(sys.executable, "-c", code).stdout == "['127.0.0.1'] ['::1']\n"


def test_servers_of_nginx_share_a_port_and_hosts_do_not_clash() -> None:
    port = free_port()
    nginx = [ports.Wanted(host, port, "listen", "nginx") for host in ("0.0.0.0", "127.0.0.1", "::1")]
    ports.check(nginx)
    with pytest.raises(ports.PortError, match=r"is meant for both nginx .* and the proxy"):
        ports.check([nginx[0], ports.Wanted("127.0.0.1", port, "HELIOGRAPH_PROXY_PORT", "the proxy")])
    ports.check([nginx[2], ports.Wanted("127.0.0.1", port, "HELIOGRAPH_PROXY_PORT", "the proxy")])


@pytest.mark.parametrize("nginx", [None, "nginx"])
def test_the_proxys_address_for_all_is_taken_by_one_of_ipv4(nginx: str | None) -> None:
    """nginx opens `::` for IPv6 alone."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        settings = options.load({"HELIOGRAPH_HOST": "::", "HELIOGRAPH_OPEN": "1"})
        [front] = [one for one in reading.wanted(Layout(settings, nginx)) if one.host == "::"]
        front = replace(front, port=taken.getsockname()[1])
        if nginx:
            ports.check([front])
        else:
            with pytest.raises(ports.PortError, match="is taken"):
                ports.check([front])


def test_a_range_of_ports_is_checked_whole_and_watched_by_its_first(tmp_path: Path) -> None:
    def listens(name: str, ports: str) -> tuple[Listen, ...]:
        block = f"    server {{ listen 127.0.0.1:{ports}; }}\n    # TLS: put"
        root = project(tmp_path / name, nginx=("    # TLS: put", block))
        return reading.other_listens(Layout(options.load({}), "nginx"), sources.find(root, {}))

    layout = Layout(options.load({}), "nginx", listens=listens("short", "20000-20999"))
    assert len([one for one in reading.wanted(layout) if one.port >= 20000]) == 1000
    [nginx] = stages(layout, "python", Project(tmp_path, "wsgi:app", ()), tmp_path)[2]
    assert [one.port for one in nginx.others] == [20000]
    with pytest.raises(RenderError, match=r"^nginx/nginx\.conf: listen 127\.0\.0\.1:10000-20000: at most "):
        listens("long", "10000-20000")


def test_a_listen_that_is_no_name_is_one_line(tmp_path: Path) -> None:
    root = project(tmp_path, nginx=("    # TLS: put", "    server { listen a..b:81; }\n    # TLS: put"))
    with pytest.raises(SettingError, match=r"^nginx/nginx\.conf: listen='a\.\.b:81': an address"):
        reading.other_listens(Layout(options.load({}), "nginx"), sources.find(root, {}))


def test_instances_are_started_by_gunicorns_command() -> None:
    python, script = reading.gunicorn()
    assert (python, Path(script).name) == (sys.executable, "gunicorn")
    assert "http" not in {path.name for path in Path(script).parent.iterdir()}


@pytest.mark.parametrize(
    ("variable", "offset"),
    [
        ("HELIOGRAPH_PORT", 0),
        ("HELIOGRAPH_PROXY_PORT", 0),
        ("HELIOGRAPH_ADMIN_PORT", 0),
        ("HELIOGRAPH_PORT_BASE", 1),
    ],
)
def test_a_taken_port_is_named_with_its_owner_before_anything_starts(variable: str, offset: int) -> None:
    first, second = free_ports(2)
    port = second if offset else first
    with socket.create_server(("127.0.0.1", port)):
        said = refused({variable: str(port - offset)})
    assert f"port {port} of 127.0.0.1" in said
    assert f"({variable}), is taken by process {os.getpid()} (" in said
    assert "gunicorn" not in said


def test_a_broken_application_ends_the_start_with_status_1(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    (root / "wsgi.py").write_text("raise RuntimeError('broken on purpose')\n")
    with Stack(tmp_path, root=root) as stack:
        assert stack.wait() == 1
        assert "broken on purpose" in stack.output
        assert " cannot start: it ended with status " in stack.output
        assert not any(answers(port) for port in stack.ports.all)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Stack(tmp_path, {"HELIOGRAPH_COMMAND": "no-such-server {port}", "HELIOGRAPH_NGINX": "0"}) as stack:
        assert stack.wait() == 1
        assert "cannot be executed: [Errno 2] No such file or directory: 'no-such-server'" in stack.output


@needs_nginx
@pytest.mark.slow
def test_a_broken_nginx_configuration_ends_the_start_with_status_1(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    with (root / "nginx/snippets/site.conf").open("a") as site:
        site.write("no_such_directive on;\n")
    with Stack(tmp_path, root=root) as stack:
        pids = [stack.pid]
        stack.wait_for_output("no_such_directive")
        pids += stack.tree()
        assert stack.wait() == 1
        assert (
            "nginx cannot start: it ended with status 1, 2 times; its own lines above say why" in stack.output
        )
        assert not any(answers(port) for port in stack.ports.all)
        assert not [pid for pid in pids if alive(pid)]


def test_a_configuration_that_cannot_be_fitted_is_named(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    (root / "conf/proxy.toml").write_text("listen = 'elsewhere'\n")
    assert "conf/proxy.toml: no [[backend]]" in refused({}, root)
