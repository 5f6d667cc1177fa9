"""The pure parts of heliograph.stack: which processes there are, their configurations, what people are told."""

from __future__ import annotations

import fcntl
import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from proxy_tests.processes import ROOT

from app.application import GROUPS
from heliograph.given import Given, SettingError, from_file
from heliograph.settings import names
from heliograph.stack import folder, render
from heliograph.stack.front import StaticFolder
from heliograph.stack.options import StackSettings, load, unknown_names
from heliograph.stack.plan import Layout, PartKind, Project, reachable, stages
from heliograph.stack.terminal import nginx_hint

PROXY = (ROOT / "conf/proxy.toml").read_text()
NGINX = (ROOT / "nginx/nginx.conf").read_text()
GUNICORN = ("python", "/bin/gunicorn")
BACKENDS = {"web1": "127.0.0.1:9100", "web2": "127.0.0.1:9101", "web3": "127.0.0.1:9102"}
FRONT = render.Front(
    "127.0.0.1:9080", "127.0.0.1:9000", "var/2", False, 5000, private=("/metrics", "/readyz")
)


def settings(**given: str) -> StackSettings:
    return load({f"HELIOGRAPH_{name}": value for name, value in given.items()})


def test_without_settings_the_defaults_of_the_contract_hold() -> None:
    assert settings() == StackSettings("127.0.0.1", 8080, 8000, 8001, 8100, 2, "auto")
    assert load({}, cores=8).instances == 8
    assert load({}, cores=1).instances == 2


def test_instances_are_numbered_from_one_on_ports_in_a_row() -> None:
    assert settings(PORT_BASE="9100", INSTANCES="3").instance_ports == {
        "web1": 9100,
        "web2": 9101,
        "web3": 9102,
    }


@pytest.mark.parametrize(
    ("given", "host"), [("localhost", "127.0.0.1"), ("[::1]", "::1"), ("127.0.0.2", "127.0.0.2")]
)
def test_loopback_can_be_written_in_several_ways(given: str, host: str) -> None:
    assert settings(HOST=given).host == host


def test_the_manager_itself_lets_any_application_listen_beyond_loopback() -> None:
    assert settings(HOST="192.0.2.1").host == "192.0.2.1"


def test_a_state_folder_that_nginx_cannot_be_told_of_is_refused_in_one_line() -> None:
    with pytest.raises(render.RenderError, match=r"^'a \$x/nginx.*: nginx cannot be told of a path with \$"):
        render.nginx_conf(NGINX, replace(FRONT, var="a $x"))
    assert '"a \\" ü/nginx-body"' in render.nginx_conf(NGINX, replace(FRONT, var='a " ü'))


def test_every_variable_that_is_read_is_a_known_one() -> None:
    known = dict.fromkeys(names(GROUPS), "")
    assert len(known) > 10
    known["HELIOGRAPH_SETTINGS"] = "app.options"
    assert unknown_names({**known, "HELIOGRAPH_HOST": "", "HELIOGRAPH_PORT": "", "PATH": "x"}) == []
    [warning] = unknown_names({"HELIOGRAPH_HOSTS": "x"})
    assert (
        warning
        == "HELIOGRAPH_HOSTS is not a setting of Heliograph and is ignored; did you mean HELIOGRAPH_HOST?"
    )


def test_an_unknown_key_of_the_file_is_named_as_it_stands_there() -> None:
    assert unknown_names(from_file("proxy_prot = 1")) == [
        "heliograph.toml: proxy_prot is not a setting of Heliograph and is ignored; did you mean proxy_port?"
    ]


@pytest.mark.parametrize(
    ("file", "variables", "port"),
    [
        ("", {"NGINX_PORT": "9000"}, 9000),
        ("", {"NGINX_PORT": "9000", "PORT": "9001"}, 9001),
        ("nginx_port = 9000", {}, 9000),
        ("nginx_port = 9000\nport = 9001", {}, 9001),
        ("port = 9001", {"NGINX_PORT": "9000"}, 9000),
        ("nginx_port = 9000", {"PORT": "9001"}, 9001),
    ],
)
def test_the_port_in_front_is_read_by_its_old_name_with_a_warning(
    file: str, variables: dict[str, str], port: int
) -> None:
    below = from_file(file)
    set_here = {f"HELIOGRAPH_{name}": value for name, value in variables.items()}
    environ = Given({**below, **set_here}, {k: v for k, v in below.origins.items() if k not in set_here})
    assert load(environ).port == port
    shown = "HELIOGRAPH_NGINX_PORT is called HELIOGRAPH_PORT now; the old name is read until 0.3"
    if "NGINX_PORT" not in variables:
        shown = "heliograph.toml: nginx_port is called port now; the old name is read until 0.3"
    assert unknown_names(environ) == [shown]


def test_a_wrong_value_is_named_by_the_old_name_where_that_is_set() -> None:
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_NGINX_PORT='x': a whole number"):
        settings(NGINX_PORT="x")
    with pytest.raises(SettingError, match=r"^heliograph\.toml: nginx_port='0': a whole number"):
        load(from_file("nginx_port = 0"))


@pytest.mark.parametrize(
    ("nginx", "host", "front_at", "proxy", "url"),
    [
        ("/usr/sbin/nginx", "0.0.0.0", "0.0.0.0:8080", ["127.0.0.1:8000"], "http://127.0.0.1:8080"),
        (None, "0.0.0.0", "0.0.0.0:8080", ["127.0.0.1:8000", "0.0.0.0:8080"], "http://127.0.0.1:8080"),
        ("/usr/sbin/nginx", "::", "[::]:8080", ["127.0.0.1:8000"], "http://[::1]:8080"),
    ],
)
def test_only_the_layer_in_front_is_reachable_from_outside(
    nginx: str | None, host: str, front_at: str, proxy: list[str], url: str
) -> None:
    layout = Layout(settings(HOST=host, OPEN="1"), nginx)
    assert (layout.front_at, layout.proxy_listens, layout.front_url) == (front_at, proxy, url)
    assert layout.admin_at == "127.0.0.1:8001"
    assert set(layout.backends.values()) == {"127.0.0.1:8100", "127.0.0.1:8101"}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_without_nginx_one_port_may_be_for_the_front_and_the_proxy(host: str) -> None:
    layout = Layout(settings(HOST=host, PORT="8000", OPEN="1"), None)
    assert layout.proxy_listens == [render.at(host, 8000)]
    assert layout.proxy_url == layout.front_url
    [_, [proxy]] = stages(layout, "python", Project(ROOT, "wsgi:app", GUNICORN), ROOT / "var")
    assert [question.port for question in proxy.questions] == [8000, 8001]


def test_the_listener_in_nginxs_place_is_watched_too() -> None:
    layout = Layout(settings(), None)
    [_, [proxy]] = stages(layout, "python", Project(ROOT, "wsgi:app", GUNICORN), ROOT / "var")
    assert [question.port for question in proxy.questions] == [8000, 8001, 8080]


def test_layers_start_from_the_back() -> None:
    planned = stages(
        Layout(settings(), "/usr/sbin/nginx"), "python", Project(ROOT, "wsgi:app", GUNICORN), ROOT / "var"
    )
    assert [[part.name for part in stage] for stage in planned] == [["web1", "web2"], ["proxy"], ["nginx"]]
    assert planned[0][1].extra == {
        "HELIOGRAPH_INSTANCE": "web2",
        "HELIOGRAPH_TRUSTED_PROXIES": "127.0.0.1 ::1 unix",
        "HELIOGRAPH_STATE": str(ROOT / "var"),
    }
    without = stages(Layout(settings(), None), "python", Project(ROOT, "wsgi:app", GUNICORN), ROOT / "var")
    assert [stage[0].kind for stage in without] == [PartKind.INSTANCE, PartKind.PROXY]


def test_addresses_are_written_and_reached() -> None:
    assert render.at("::1", 80) == "[::1]:80"
    assert reachable("::") == "::1"
    assert reachable("192.0.2.1") == "192.0.2.1"


def test_the_proxys_configuration_changes_in_addresses_and_backends_only() -> None:
    text = render.proxy_toml(PROXY, ["[::1]:9000"], "127.0.0.1:9001", BACKENDS)
    before, after = tomllib.loads(PROXY), tomllib.loads(text)
    assert after.pop("listen") == "[::1]:9000"
    assert after.pop("admin") == "127.0.0.1:9001"
    backends = after.pop("backend")
    pattern = before.pop("backend")[0]
    assert backends == [{**pattern, "name": name, "address": address} for name, address in BACKENDS.items()]
    assert after == {name: value for name, value in before.items() if name not in ("listen", "admin")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PROXY.replace("[[backend]]", "[[server]]"), r"no \[\[backend\]\]"),
        (PROXY + "\n= broken\n", r"conf/proxy\.toml: "),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(text: str, problem: str) -> None:
    with pytest.raises(render.RenderError, match=problem):
        render.proxy_toml(text, ["127.0.0.1:9000"], "127.0.0.1:9001", BACKENDS)


def test_nginxs_configuration_changes_in_addresses_paths_and_limits_only() -> None:
    changed = [
        (old, new)
        for old, new in zip(NGINX.splitlines(), render.nginx_conf(NGINX, FRONT).splitlines(), strict=True)
        if old != new
    ]
    assert [new.strip() for _, new in changed] == [
        "pid var/2/nginx.pid;",
        "error_log stderr warn;",
        "worker_rlimit_nofile 5000;",
        "worker_connections 4744;",
        "access_log var/2/nginx-access.log json if=$logged;",
        *(
            f"{name}_temp_path var/2/nginx-{name.removesuffix('_body').replace('client', 'body')};"
            for name in TEMPORARY
        ),
        "server 127.0.0.1:9000 max_fails=0;",
        "listen 127.0.0.1:9080 default_server backlog=4096;",
    ]


def test_balancers_that_are_set_are_believed_by_every_layer() -> None:
    given = settings(TRUSTED_PROXIES="10.0.0.0/8, ::ffff:192.0.2.1 unix")
    assert given.trusted == ("10.0.0.0/8", "192.0.2.1/32")
    proxy = tomllib.loads(render.proxy_toml(PROXY, ["[::1]:9000"], "127.0.0.1:9001", BACKENDS, given.trusted))
    assert proxy["trusted"] == ["127.0.0.1", "::1", "unix", "10.0.0.0/8", "192.0.2.1/32"]
    front = render.Front("127.0.0.1:9080", "127.0.0.1:9000", "var", False, 5000, given.trusted)
    assert "\n        10.0.0.0/8 1; 192.0.2.1/32 1;\n" in render.nginx_conf(NGINX, front)
    planned = stages(Layout(given, None), "python", Project(ROOT, "wsgi:app", GUNICORN), ROOT / "var")
    assert planned[0][0].extra["HELIOGRAPH_TRUSTED_PROXIES"] == "127.0.0.1 ::1 unix 10.0.0.0/8 192.0.2.1/32"


def test_the_default_of_trusted_proxies_is_not_for_nginx() -> None:
    assert settings().trusted == ()


@pytest.mark.parametrize("private", [(), ("/a.b/c",), ("/x", "/y+z")])
def test_private_paths_are_written_for_nginx(private: tuple[str, ...]) -> None:
    front = render.Front("127.0.0.1:9080", "127.0.0.1:9000", "var", False, 5000, private=private)
    entries = re.findall(r'"~\*\^(.*?)\(\?:/\|\$\)" yes;', render.nginx_conf(NGINX, front))
    assert entries == [re.escape(path) for path in private]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("listen 127.0.0.1:80;", ("127.0.0.1", 80, False)),
        ("  listen   8443 ssl http2;", ("", 8443, True)),
        ("listen *:80 default_server;", ("", 80, False)),
        ("listen [::]:443 ssl;", ("::", 443, True)),
        ("listen [::1];", ("::1", 80, False)),
        ("listen localhost;", ("localhost", 80, False)),
        ("listen 0.0.0.0:81;", ("0.0.0.0", 81, False)),
        ("listen localhost:8080;", ("localhost", 8080, False)),
        ('listen "127.0.0.1:81";', ("127.0.0.1", 81, False)),
        ("server { listen 81 default_server; } # listen 3;", ("", 81, False)),
        ("listen 82-82; listen 82; listen 443 quic; listen 53 udp;", ("", 82, False)),
    ],
)
def test_where_nginx_listens_is_read_from_its_configuration(given: str, found: tuple[str, int, bool]) -> None:
    text = f"# listen 1;\n{given}\n    #     listen 2 ssl;\nlisten unix:/run/x.sock;\n"
    assert render.listens(text) == [render.Listen(*found)]


EDITS = {
    "listen 127.0.0.1:8080 default_server backlog=4096;": {
        "listen 127.0.0.1:8080;": [("127.0.0.1", 9080)],
        "listen 80 default_server;": [("127.0.0.1", 9080), ("", 80)],
        "listen [::]:80;": [("127.0.0.1", 9080), ("::", 80)],
        "listen unix:/run/x.sock;": [("127.0.0.1", 9080)],
        "listen 127.0.0.1:9080;": [("127.0.0.1", 9080)],
        "listen localhost:9080;": [("localhost", 9080)],
    },
    "server 127.0.0.1:8000 max_fails=0;": {"server 127.0.0.1:8000;": [("127.0.0.1", 9080)]},
    "pid var/nginx.pid;\n": {"": [("127.0.0.1", 9080)]},
    "worker_rlimit_nofile 65536;\n": {"": [("127.0.0.1", 9080)]},
}


@pytest.mark.parametrize(
    ("old", "new", "found"), [(old, new, found) for old, to in EDITS.items() for new, found in to.items()]
)
def test_an_edited_configuration_of_nginx_is_fitted(old: str, new: str, found: list[tuple[str, int]]) -> None:
    assert old in NGINX
    text = render.nginx_conf(NGINX.replace(old, new), FRONT)
    assert [(one.host, one.port) for one in render.listens(text)] == found
    assert "\n        server 127.0.0.1:9000" in text
    assert len(re.findall(r"^pid var/2/nginx\.pid;", text, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("listen 8443 ssl;", [("127.0.0.1", 9080), ("", 8443)]),
        ("listen 127.0.0.1:8080; listen 127.0.0.1:8080;", [("127.0.0.1", 9080)]),
    ],
)
@pytest.mark.parametrize("comment", ["# server { listen 80; return 301 /; }", "#{ listen 127.0.0.1:8080; }"])
def test_a_listen_in_a_comment_is_left_there(server: str, found: list[tuple[str, int]], comment: str) -> None:
    own = "listen 127.0.0.1:8080 default_server backlog=4096;"
    text = render.nginx_conf(NGINX.replace(own, f"{comment}\n        {server}"), FRONT)
    assert f"{comment}\n" in text
    assert [(one.host, one.port) for one in render.listens(text)] == found


def test_what_else_was_edited_in_nginxs_configuration_stays() -> None:
    edits = {
        "error_log var/nginx-error.log warn;": (
            "error_log var/nginx-error.log debug;",
            "error_log stderr debug;",
        ),
        "worker_connections 32768;": ("worker_connections 512;", "worker_connections 512;"),
        "access_log var/nginx-access.log json if=$logged;": ("access_log off;", "access_log off;"),
        '        "~*^/readyz(?:/|$)" yes;': ('        "~*^/own(?:/|$)" yes;',) * 2,
        "        # 10.0.0.0/8 1;": ("        10.2.0.0/16 1;",) * 2,
    }
    text = NGINX
    for old, (new, _) in edits.items():
        assert old in text
        text = text.replace(old, new)
    front = render.Front(
        "127.0.0.1:9080", "127.0.0.1:9000", "var/2", True, 5000, ("10.3.0.0/16",), ("/x",), "text"
    )
    text = render.nginx_conf(text.replace("pid var", "user www-data;\npid var"), front)
    for _, kept in edits.values():
        assert kept in text
    assert "        10.3.0.0/16 1;\n" in text
    assert text.count('"~*^/x(?:/|$)" yes;') == 1
    assert re.findall(r"^user .*", text, re.MULTILINE) == ["user root;"]


def test_an_edited_configuration_of_the_proxy_is_fitted() -> None:
    text = """
    trusted = [
        "::1",   # ours
    ]
    private = [
        "/own",
    ]
    [[ backend ]]   # the first
    name = "web1"
    address = "127.0.0.1:1"
    extra.nested = {a = 1, "b c" = [true, 1.5]}

    [[backend]]
    name = 'web2'
    address = '127.0.0.1:2'
    weight = 3
    [log]
    access = "a\\"b\\\\c\\u007f"
    format='json'
    """
    rendered = render.proxy_toml(text, ["127.0.0.1:9000"], "127.0.0.1:9001", BACKENDS)
    first = {"extra": {"nested": {"a": 1, "b c": [True, 1.5]}}}
    assert tomllib.loads(render.for_stack(rendered, ["/-"], "text")) == {
        "listen": "127.0.0.1:9000",
        "admin": "127.0.0.1:9001",
        "trusted": ["::1"],
        "private": ["/own", "/-"],
        "backend": [
            {"name": "web1", "address": "127.0.0.1:9100", **first},
            {"name": "web2", "address": "127.0.0.1:9101", "weight": 3},
            {"name": "web3", "address": "127.0.0.1:9102", **first},
        ],
        "log": {"access": 'a"b\\c\u007f', "format": "combined"},
        "sticky": render.STICKY,
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('backend = ["127.0.0.1:8100"]', "backend"),
        ("[[backend]]\nname = [1]", "backend"),
        ('log = "x"', "log"),
        ('health = "/x"', "health"),
        ('private = "/x"', "private"),
        ("private = [1]", "private"),
        ("listen = 8000", "listen"),
        ("sticky = 3", "sticky"),
    ],
)
def test_a_wrong_type_in_the_proxys_configuration_is_one_line(text: str, name: str) -> None:
    with pytest.raises(render.RenderError, match=rf"^conf/proxy\.toml: {name} must be .*\Z"):
        render.proxy_listen(text)


def test_the_block_for_tls_listens_beside_the_plain_one() -> None:
    used = re.sub(r"^    # (    listen .*)$", r"    \1", NGINX, flags=re.MULTILINE)
    front = render.Front("192.0.2.1:9080", "127.0.0.1:9000", "var", False, 5000)
    for text, host in ((NGINX, []), (used, [render.Listen("192.0.2.1", 8443, True)])):
        assert render.listens(render.nginx_conf(text, front)) == [
            render.Listen("192.0.2.1", 9080, False),
            *host,
        ]


@pytest.mark.parametrize(
    ("given", "rendered"),
    [
        ("", render.STICKY),
        ('[sticky]\ncookie = ""\nttl = 7\npath = "/"\n', {**render.STICKY, "ttl": 7}),
        ('[sticky]\ncookie = "own"\n', {"cookie": "own"}),
    ],
)
def test_sessions_stick_for_socketio_unless_the_file_says_where(
    given: str, rendered: dict[str, object]
) -> None:
    text = render.for_stack(f'listen = "127.0.0.1:1"\n{given}', [], "")
    assert tomllib.loads(text)["sticky"] == rendered


def test_the_proxy_in_front_gets_the_private_paths_and_the_format_of_the_log() -> None:
    front, behind = Layout(settings(PRIVATE="/metrics"), None), Layout(settings(PRIVATE="/metrics"), "nginx")
    assert (front.private, behind.private) == (("/-", "/metrics"), ("/-/stack",))
    text = render.for_stack(PROXY.replace("private = []", 'private = ["/own"]'), front.private, "text")
    assert text.count("private =") == 1
    found = tomllib.loads(text)
    assert (found["private"], found["log"]["format"]) == (["/own", "/-", "/metrics"], "combined")


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_nginx_gets_its_user_where_its_own_may_not_read() -> None:
    front = render.Front("127.0.0.1:9080", "127.0.0.1:9000", "var", True, 5000)
    assert "\nuser root;\n" in render.nginx_conf(NGINX, front)
    assert "\nuser " not in render.nginx_conf(NGINX, FRONT)


def test_a_folder_that_was_open_to_others_is_closed_when_a_stack_takes_it(tmp_path: Path) -> None:
    var = tmp_path / "var"
    (var / "spool").mkdir(parents=True)
    (var / "nginx-access.log").touch()
    (var / "theirs.sh").touch()
    for path, mode in ((var, 0o755), (var / "spool", 0o755), (var / "nginx-access.log", 0o644)):
        path.chmod(mode)
    (var / "theirs.sh").chmod(0o755)
    claimed = folder.claim(var)
    claimed.publish({"pid": 1})
    modes = {path.name: path.stat().st_mode & 0o777 for path in (var, *var.iterdir())}
    ours = {"var": 0o700, "spool": 0o700, "nginx-access.log": 0o600, "stack.json": 0o600}
    assert modes == {**ours, "theirs.sh": 0o755}
    claimed.release()


def test_who_asks_whether_a_stack_runs_hinders_nobody_who_asks_and_none_that_starts(tmp_path: Path) -> None:
    asking = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    assert not folder.running(tmp_path)
    done = Timer(folder.PAUSE, os.close, (asking,))
    done.start()
    claimed = folder.claim(tmp_path)
    done.join()
    assert folder.running(tmp_path)
    claimed.release()


def test_static_folders_need_a_place_in_a_configuration_of_the_projects_own() -> None:
    folders = (StaticFolder("/a/", "/srv/a"),)
    with_them = replace(FRONT, static=folders)
    assert 'alias "/srv/a/";' in render.nginx_conf(NGINX, with_them)
    with pytest.raises(render.RenderError, match=r"no line `include snippets/site\.conf;`"):
        render.nginx_conf(NGINX.replace("include snippets/site.conf;", "return 404;"), with_them)


def test_a_missing_nginx_is_said_and_one_that_was_left_out_is_not() -> None:
    assert "pip install 'heliograph[nginx]'" in nginx_hint(Layout(settings(), None))
    assert nginx_hint(Layout(settings(NGINX="0"), None)) == nginx_hint(Layout(settings(), "nginx")) == ""
