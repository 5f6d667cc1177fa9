"""Sticky sessions: the cookie alone, and through the proxy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from heliograph_proxy import sticky
from heliograph_proxy.settings import StickySettings, load
from heliograph_proxy.sticky import Sticky, kept_key

from proxy_tests.backends import Backend, echo_target, websocket_echo
from proxy_tests.conftest import Response, StartProxy
from proxy_tests.test_tunnel import upgrade

SECRET = "s" * 32
ON = {"cookie": "home", "secret": SECRET}


def cookie_of(response: Response) -> str:
    """The cookie as a client would send it back."""
    return (response.field("Set-Cookie") or "").split(";")[0]


@pytest.mark.parametrize("ttl", [0, 3600])
def test_what_was_written_is_read(ttl: int) -> None:
    one = Sticky(StickySettings(cookie="home", ttl=ttl), [SECRET])
    line = one.write("web1", secure=True).decode()
    assert "; HttpOnly; SameSite=Lax" in line
    assert line.endswith("; Secure\r\n")
    assert ("Max-Age=3600" in line) is bool(ttl)
    value = line.removeprefix("Set-Cookie: ").split(";")[0].encode()
    assert one.read(b"a=b; " + value + b";c=d") == "web1"
    assert Sticky(StickySettings(cookie="home", ttl=ttl), ["t" * 32]).read(value) == ""
    # While a secret is replaced, sessions of the old one go on, and the new one signs.
    both = Sticky(StickySettings(cookie="home", ttl=ttl), ["t" * 32, SECRET])
    assert both.read(value) == "web1"
    signed = both.write("web1", secure=True).decode().removeprefix("Set-Cookie: ").split(";")[0].encode()
    assert Sticky(StickySettings(cookie="home", ttl=ttl), ["t" * 32]).read(signed) == "web1"
    assert one.read(signed) == ""
    assert one.read(value[:-1]) == one.read(b"home=web1") == one.read(b"home=\xff") == one.read(b"") == ""


def test_a_client_comes_back_to_its_backend(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another, sticky=ON)
    cookie = cookie_of(proxy.get())
    assert cookie.startswith("home=b1")
    for _ in range(5):
        answer = proxy.get(Cookie=cookie)
        assert answer.field("Set-Cookie") is None
    assert (len(backend.requests), len(another.requests)) == (6, 0)


@pytest.mark.parametrize(
    ("path", "inside", "outside"),
    [
        ("/chat/", ("/chat/", "/chat/?a=b", "/chat/x/y"), ("/", "/chat", "/chatter/", "/else?/chat/")),
        ("/chat", ("/chat", "/chat?a=b", "/chat/x"), ("/", "/chatter", "/cha")),
    ],
)
def test_sessions_stick_below_a_path_only(
    start_proxy: StartProxy,
    backend: Backend,
    another: Backend,
    path: str,
    inside: tuple[str, ...],
    outside: tuple[str, ...],
) -> None:
    proxy = start_proxy(backend, another, sticky={**ON, "path": path})
    first = proxy.get(inside[0])
    assert f"; Path={path}; HttpOnly" in (first.field("Set-Cookie") or "")
    for target in inside:
        assert proxy.get(target, Cookie=cookie_of(first)).field("Set-Cookie") is None
    for target in outside:
        assert proxy.get(target).field("Set-Cookie") is None
    before = len(another.requests)
    for _ in range(2):  # the cookie is nothing there
        assert proxy.get(outside[0], Cookie=cookie_of(first)).field("Set-Cookie") is None
    assert len(another.requests) == before + 1
    assert not any(one.line.split()[1].decode() in inside for one in another.requests)


def test_the_cookie_is_for_the_path_that_its_client_sees(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, sticky={**ON, "path": "/chat/"})
    line = proxy.get("/chat/", X_Forwarded_Prefix="/shop").field("Set-Cookie")
    assert "; Path=/shop/chat/; HttpOnly" in (line or "")


def test_so_does_its_websocket(start_proxy: StartProxy, backend: Backend, another: Backend) -> None:
    proxy = start_proxy(backend, another, sticky=ON)
    cookie = cookie_of(proxy.get())
    backend.script = another.script = websocket_echo
    for _ in range(3):
        with proxy.client() as client:
            assert client.ask(upgrade(Cookie=cookie)).status == 101
    assert another.requests == []


def test_a_cookie_that_we_did_not_sign_is_nothing(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another, sticky=ON)
    for _ in range(4):
        assert cookie_of(proxy.get(Cookie="home=b1"))
    assert len(another.requests) == 2


def test_a_backend_that_is_gone_is_replaced_quietly(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another, sticky=ON)
    cookie = cookie_of(proxy.get())
    proxy.backends[0].healthy = False
    answer = proxy.get(Cookie=cookie)
    assert (answer.status, cookie_of(answer).split(":")[0]) == (200, "home=b2")


def test_a_backend_that_is_only_busy_keeps_its_clients(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another, sticky=ON)
    cookie = cookie_of(proxy.get())
    proxy.backends[0].active += 1000
    answer = proxy.get(Cookie=cookie)
    proxy.backends[0].active -= 1000
    assert (answer.status, answer.field("Set-Cookie"), len(another.requests)) == (200, None, 1)


def test_the_cookie_is_secure_where_the_client_is(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = echo_target
    proxy = start_proxy(backend, sticky=ON)
    assert "Secure" in (proxy.get(X_Forwarded_Proto="https").field("Set-Cookie") or "")
    assert "Secure" not in (proxy.get().field("Set-Cookie") or "")


def test_a_key_that_nobody_configured_is_made_once_and_kept(
    start_proxy: StartProxy, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "var" / "key"
    monkeypatch.setattr(sticky, "KEY_FILE", str(file))
    proxy = start_proxy(backend, sticky={"cookie": "home"})
    cookie = cookie_of(proxy.get())
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept_key(file) == file.read_text().strip()
    again = start_proxy(backend, sticky={"cookie": "home"})
    assert again.get(Cookie=cookie).field("Set-Cookie") is None


@pytest.mark.parametrize("content", ["", "\n", "guessed"])
def test_a_key_that_can_be_guessed_is_made_anew_with_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / sticky.KEY_FILE
    file.write_text(content)
    settings = StickySettings(cookie="home")
    one = sticky.create(settings, tmp_path)
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(event["event"], event["file"]) for event in said] == [("sticky-key-replaced", str(file))]
    assert len(file.read_text().strip()) == 64
    forged = Sticky(settings, [content.strip()]).write("b2", secure=False).split(b": ")[1].split(b";")[0]
    assert one
    assert one.read(forged) == ""
    assert sticky.create(settings, tmp_path)
    assert capfd.readouterr().err == ""


def test_the_key_lies_beside_the_configuration_or_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "proxy.toml"
    file.write_text('[[backend]]\nname = "b1"\naddress = "127.0.0.1:1"\n')
    assert load(str(file)).state == tmp_path / "var"
    monkeypatch.setenv("HELIOGRAPH_STATE", "/state")
    assert load(str(file)).state == Path("/state")
