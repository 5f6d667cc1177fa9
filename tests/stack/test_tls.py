"""HTTPS by certificate files at a real nginx: HTTP/2, the redirect, HSTS. And what is said of files that are wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import Process, free_ports

from heliograph.given import SettingError
from heliograph.stack import files, nginx, options, reading, render
from heliograph.stack.front import Certificate, Tls, tls_server
from heliograph.stack.plan import Layout, Project, stages
from heliograph.stack.terminal import addresses
from tests.stack import certificates
from tests.stack.front import configured
from tests.stack.test_nginx_binaries import BINARIES
from tests.stack.upstream import PATIENCE, Exchange, Upstream

#: A balancer in front of nginx that is believed, and one that is not.
TRUSTED, STRANGER = "127.0.0.2", "127.0.0.1"

CERTIFICATE = Certificate("/etc/here.pem", "/etc/here.key")


@dataclass(frozen=True)
class Served:
    plain: int
    tls: int
    upstream: Upstream
    made: certificates.Files
    folder: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.tls}"

    def get(self, url: str, **fields: str) -> requests.Response:
        return requests.get(
            url,
            headers=fields,
            verify=str(self.made.certificate),
            timeout=PATIENCE,
            allow_redirects=False,
        )

    def curl(self, *arguments: str) -> str:
        command = ["curl", "--silent", "--max-time", str(PATIENCE), "--cacert", str(self.made.certificate)]
        return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", params=BINARIES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp('tls "with" spaces')
    made, upstream, (plain, tls) = certificates.make(folder), Upstream(), free_ports(2)
    directive = nginx.version(request.param) >= nginx.HTTP2_DIRECTIVE
    certificate = Certificate(str(made.certificate), str(made.key))
    command = configured(
        folder,
        plain,
        upstream.port,
        (f"{TRUSTED}/32",),
        binary=request.param,
        tls=Tls(f"127.0.0.1:{tls}", certificate, directive),
        as_root=True,
    )
    with Process(command, folder / "output").wait_for_port(tls) as process:
        yield Served(plain, tls, upstream, made, folder)
    upstream.close()
    assert not {"[emerg]", "[alert]", "[warn]"} & set(process.output.split())


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "served" in request.fixturenames:
        request.getfixturevalue("served").upstream.reset()


@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_both_versions_of_http_are_spoken(served: Served, option: str, version: str) -> None:
    told = served.curl(
        option, "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", served.url
    )
    assert told == f"{version} 200"
    seen = served.upstream.next()
    assert seen.request_line == "GET / HTTP/1.1"
    assert seen.values("X-Forwarded-Proto") == ["https"]
    assert seen.values("Host") == [f"127.0.0.1:{served.tls}"]


def test_the_plain_port_redirects_with_method_path_and_query(served: Served) -> None:
    url = f"http://localhost:{served.plain}/a%20b?c=d&e"
    for method in ("GET", "POST", "DELETE"):
        answer = requests.request(method, url, timeout=PATIENCE, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (
            308,
            f"https://localhost:{served.tls}/a%20b?c=d&e",
        )
        assert "Strict-Transport-Security" not in answer.headers
    assert served.upstream.seen.empty()


@pytest.mark.parametrize("sent", ["[::1]:81", "EXAMPLE.org", "example.org:80"])
def test_the_redirect_leads_to_the_host_that_was_asked(served: Served, sent: str) -> None:
    answer = served.get(f"http://127.0.0.1:{served.plain}/", Host=sent)
    host = sent.lower().removesuffix(":81").removesuffix(":80")
    assert answer.headers["Location"] == f"https://{host}:{served.tls}/"


def test_what_a_balancer_got_by_https_is_not_redirected(served: Served) -> None:
    for source, status in ((TRUSTED, 200), (STRANGER, 308)):
        url = f"http://127.0.0.1:{served.plain}/"
        told = served.curl(
            "--interface",
            source,
            "--header",
            "X-Forwarded-Proto: https",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            url,
        )
        assert told == str(status)


def test_browsers_are_told_to_keep_to_https(served: Served) -> None:
    for path in ("/", "/metrics", "/static/style.css"):
        answer = served.get(f"{served.url}{path}")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000", path
    assert served.get(f"{served.url}/metrics").status_code == 404


def test_the_applications_own_word_about_https_goes_first(served: Served) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.answer(Strict_Transport_Security="max-age=60; includeSubDomains")

    served.upstream.handler = answer
    found = served.get(served.url)
    assert found.headers["Strict-Transport-Security"] == "max-age=60; includeSubDomains"


def test_errors_at_the_plain_port_stay_problems(served: Served) -> None:
    answer = served.get(f"http://127.0.0.1:{served.plain}/{'a' * 9000}")
    assert (answer.status_code, answer.json()["type"]) == (414, "/problems/uri-too-long")


def test_plain_http_at_the_port_of_https_is_a_problem(served: Served) -> None:
    answer = served.get(f"http://127.0.0.1:{served.tls}/")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-request")


@pytest.mark.parametrize(
    ("directive", "listen", "lines"),
    [
        (True, "listen [::1]:8443 ssl default_server", 1),
        (False, "listen [::1]:8443 ssl http2 default_server", 0),
    ],
)
def test_http2_is_written_as_the_version_wants_it(directive: bool, listen: str, lines: int) -> None:
    text = tls_server(Tls("[::1]:8443", CERTIFICATE, directive))
    assert listen in text
    assert text.count("http2 on;") == lines
    assert nginx.HTTP2_DIRECTIVE > (1, 22, 1)


def test_the_usual_port_is_in_no_url(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "nginx/nginx.conf").read_text()
    for port, origin in ((443, 'https://$host_named";'), (8443, 'https://$host_named:8443";')):
        front = render.Front("127.0.0.1:80", "127.0.0.1:8000", "var", False, 5000)
        tls = Tls(f"127.0.0.1:{port}", CERTIFICATE, True)
        assert origin in render.nginx_conf(text, replace(front, tls=tls))
        layout = Layout(options.load({"HELIOGRAPH_TLS_PORT": str(port)}), "nginx", certificate=CERTIFICATE)
        assert layout.front_url == f"https://127.0.0.1{':8443' if port != 443 else ''}"


def test_the_url_of_https_is_announced_and_asked() -> None:
    layout = Layout(options.load({}), "nginx", certificate=CERTIFICATE)
    assert addresses(layout, "")["service"] == "https://127.0.0.1:8443"
    part = stages(layout, "python", Project(Path("/"), "wsgi:app", ()), Path("var"))[2][0]
    assert str(part.first) == "https://127.0.0.1:8443/healthz"
    assert [str(question) for question in part.questions] == [
        "http://127.0.0.1:8080/-/stack",
        "https://127.0.0.1:8443/-/stack",
    ]
    assert (8443, "HELIOGRAPH_TLS_PORT") in [(one.port, one.variable) for one in reading.wanted(layout)]


def test_https_without_nginx_is_refused() -> None:
    layout = Layout(options.load({"HELIOGRAPH_TLS_CERT": "x.pem"}), None, certificate=CERTIFICATE)
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_TLS_CERT='x\.pem': HTTPS needs nginx"):
        reading.require_nginx(layout, {})


def found(root: Path, cert: str, key: str) -> Certificate | None:
    environ = {"HELIOGRAPH_TLS_CERT": cert, "HELIOGRAPH_TLS_KEY": key}
    return files.certificate(options.load(environ), root, environ)


def test_files_that_fit_are_taken_by_paths_of_the_project(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    assert found(tmp_path, "here.pem", str(made.key)) == Certificate(str(made.certificate), str(made.key))
    assert found(tmp_path, "", "") is None
    both = tmp_path / "both.pem"
    both.write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
    assert found(tmp_path, "both.pem", "both.pem") == Certificate(str(both), str(both))


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("here.pem", "", "HELIOGRAPH_TLS_KEY='': HELIOGRAPH_TLS_CERT is set, which needs this file, too"),
        ("", "here.key", "HELIOGRAPH_TLS_CERT='': HELIOGRAPH_TLS_KEY is set, which needs this file, too"),
        ("none.pem", "here.key", "HELIOGRAPH_TLS_CERT='none.pem': the file cannot be read: No such file"),
        ("here.pem", "none.key", "HELIOGRAPH_TLS_KEY='none.key': the file cannot be read: No such file"),
        (".", "here.key", "HELIOGRAPH_TLS_CERT='.': the file cannot be read: Is a directory"),
        ("here.key", "here.key", "HELIOGRAPH_TLS_CERT='here.key': there is no certificate in PEM"),
        ("here.pem", "here.pem", "HELIOGRAPH_TLS_KEY='here.pem': there is no private key in PEM"),
        (
            "here.pem",
            "other.key",
            "HELIOGRAPH_TLS_KEY='other.key': the key does not match the certificate here.pem",
        ),
        ("here.pem", "secret.key", "HELIOGRAPH_TLS_KEY='secret.key': the key has a passphrase"),
        ("broken.pem", "here.key", "HELIOGRAPH_TLS_CERT='broken.pem': certificate and key cannot be used"),
    ],
)
def test_files_that_are_wrong_are_one_line(tmp_path: Path, cert: str, key: str, said: str) -> None:
    made = certificates.make(tmp_path)
    if key == "other.key":
        certificates.make(tmp_path, "other")
    if key == "secret.key":
        certificates.make(tmp_path, "secret", passphrase="open sesame")
        made.certificate.write_bytes((tmp_path / "secret.pem").read_bytes())
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(SettingError) as refused:
        found(tmp_path, cert, key)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_a_path_that_nginx_cannot_be_told_is_refused() -> None:
    for path in ("/a$b.pem", "/a\nb.pem"):
        with pytest.raises(ValueError, match=r"^'/a.*nginx cannot be told"):
            tls_server(Tls("127.0.0.1:8443", Certificate(path, "/k"), True))
