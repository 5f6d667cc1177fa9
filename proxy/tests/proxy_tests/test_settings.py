"""The configuration file: every key with its default, and one clear line for everything that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import (
    ClientSettings,
    HealthSettings,
    PoolSettings,
    ProxyLimits,
    RetrySettings,
    Timeouts,
    load,
    parse,
)

ONE = {"name": "a", "address": "127.0.0.1:1"}


def test_the_defaults_are_those_of_the_interface() -> None:
    settings = parse({"backend": [ONE]})
    assert (*map(str, settings.listen), str(settings.admin), settings.admin_token) == (
        "127.0.0.1:8000",
        "127.0.0.1:8001",
        "",
    )
    assert settings.strategy == "least_time"
    [one] = settings.backends
    assert (one.weight, one.max_connections, one.max_tunnels, one.backup) == (1, 1000, 20000, False)
    assert settings.health == HealthSettings("", "localhost", 2.0, 1.0, 2, 3, 5, 10.0, 10.0)
    assert settings.timeouts == Timeouts(10.0, 30.0, 2.0, 60.0, 5.0, 75.0, 3600.0, 30.0)
    assert settings.pool == PoolSettings(1.0, 64)
    assert settings.limits == ProxyLimits(4094, 90, 8190, 32768, 0, 20000, 1000, 256 << 20)
    assert settings.client == ClientSettings(0.75, 0.0, 0, 500.0, 1024.0)
    assert settings.retry == RetrySettings(2, 30.0, 0.2)
    assert (settings.sticky.cookie, settings.sticky.ttl, settings.sticky.path) == ("", 0, "/")
    assert (settings.log.access, settings.log.format) == ("-", "json")


def test_numbers_may_be_whole_where_fractions_are_allowed() -> None:
    assert parse({"backend": [ONE], "timeouts": {"head": 5}}).timeouts.head == 5.0


@pytest.mark.parametrize(
    "address", ["127.0.0.1:80", "[::1]:80", "localhost:80", "web-1.internal:80", "unix:/run/a.sock"]
)
def test_addresses_come_back_as_they_were(address: str) -> None:
    assert str(parse({"backend": [{**ONE, "address": address}]}).backends[0].address) == address


def test_trusted_peers_are_networks_and_unix() -> None:
    trusted = parse({"backend": [ONE], "trusted": ["10.0.0.0/8", "::1"]}).trusted
    assert trusted.believes("10.1.2.3")
    assert trusted.believes("::1")
    assert not trusted.believes("127.0.0.1")
    assert not trusted.believes("unix")
    assert parse({"backend": [ONE], "trusted": ["unix"]}).trusted.believes("unix")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"unknown": 1}, "unknown", "is not a key; allowed: listen"),
    ({"health": {"unknown": 1}}, "health.unknown", "is not a key; allowed: path"),
    ({"stratgy": "ip_hash"}, "stratgy", "did you mean strategy?"),
    ({"timeouts": {"responce": 1}}, "timeouts.responce", "did you mean response?"),
    ({"admin": "0.0.0.0:8001", "admin_token": "fifteen-letters"}, "admin_token", "at least 16"),
    ({"admin": "[::ffff:10.0.0.1]:8001"}, "admin_token", "not loopback"),
    ({"admin_token": " "}, "admin_token", "without spaces"),
    ({"sticky": {"secret": " " * 40}}, "sticky.secret", "at least 32"),
    ({"backend": []}, "backend", "one or more"),
    ({"backend": {}}, "backend", "one or more"),
    ({"backend": [{"name": "a"}]}, "backend[1].address", "is needed"),
    ({"backend": [{**ONE, "unknown": 1}]}, "backend[1].unknown", "allowed: name"),
    ({"backend": [ONE, ONE]}, "backend[2].name", "unique"),
    ({"backend": [{**ONE, "name": ""}]}, "backend[1].name", "1 to 64"),
    ({"backend": [{**ONE, "name": "a b"}]}, "backend[1].name", "1 to 64"),
    ({"backend": [{**ONE, "weight": -1}]}, "backend[1].weight", "0 to 1000"),
    ({"backend": [{**ONE, "weight": True}]}, "backend[1].weight", "0 to 1000"),
    ({"backend": [{**ONE, "weight": 1.5}]}, "backend[1].weight", "0 to 1000"),
    ({"backend": [{**ONE, "backup": "no"}]}, "backend[1].backup", "true or false"),
    ({"backend": [{**ONE, "max_connections": 0}]}, "backend[1].max_connections", "at least 1"),
    ({"client": {"share": 0.0}}, "client.share", "above 0 and at most 1"),
    ({"client": {"share": 1.5}}, "client.share", "above 0 and at most 1"),
    ({"client": {"rate": -1}}, "client.rate", "at least 0"),
    ({"client": {"connections": 0.5}}, "client.connections", "a whole number"),
    ({"limits": {"held_bytes": -1}}, "limits.held_bytes", "at least 0"),
    ({"listen": 8000}, "listen", "host:port"),
    ({"listen": "8000"}, "listen", "host:port"),
    ({"listen": "127.0.0.1:0"}, "listen", "host:port"),
    ({"listen": "127.0.0.1:65536"}, "listen", "host:port"),
    ({"listen": "unix:relative"}, "listen", "absolute path"),
    ({"listen": "unix:/" + "x" * 200}, "listen", "at most 107"),
    ({"admin": "0.0.0.0:8001"}, "admin_token", "not loopback"),
    ({"admin": "[::]:8001"}, "admin_token", "not loopback"),
    ({"strategy": "best"}, "strategy", "round_robin, least_connections, least_time, random_two, ip_hash"),
    ({"trusted": "127.0.0.1"}, "trusted", "list"),
    ({"trusted": ["nonsense"]}, "trusted", "CIDR"),
    ({"trusted": ["10.0.0.1/8"]}, "trusted", "host bits"),
    ({"health": 1}, "health", "table"),
    ({"health": {"path": "healthz"}}, "health.path", "begin with /"),
    ({"health": {"path": "/a b"}}, "health.path", "begin with /"),
    ({"health": {"host": "a\r\nb"}}, "health.host", "host name"),
    ({"health": {"interval": 0}}, "health.interval", "above 0"),
    ({"health": {"interval": "2"}}, "health.interval", "above 0"),
    ({"health": {"interval": float("inf")}}, "health.interval", "above 0"),
    ({"health": {"interval": float("nan")}}, "health.interval", "above 0"),
    ({"health": {"rise": 1.5}}, "health.rise", "whole number"),
    ({"timeouts": {"head": -1}}, "timeouts.head", "above 0"),
    ({"timeouts": {"body": True}}, "timeouts.body", "above 0"),
    ({"pool": {"max": -1}}, "pool.max", "at least 0"),
    ({"limits": {"queue": "many"}}, "limits.queue", "whole number"),
    ({"retry": {"budget": 2}}, "retry.budget", "0 to 1"),
    ({"sticky": {"cookie": "a b"}}, "sticky.cookie", "at most 64"),
    ({"sticky": {"secret": "short"}}, "sticky.secret", "at least 32"),
    ({"sticky": {"secret": ["s" * 32, "short"]}}, "sticky.secret", "a list of such texts"),
    ({"sticky": {"secret": [""]}}, "sticky.secret", "at least 32"),
    ({"sticky": {"path": "chat"}}, "sticky.path", "a path such as"),
    ({"sticky": {"path": "/chat; Secure"}}, "sticky.path", "a path such as"),
    ({"log": {"format": "xml"}}, "log.format", '"json", "combined"'),
    ({"log": {"access": 1}}, "log.access", "string"),
]


@pytest.mark.parametrize(("changed", "key", "allowed"), WRONG)
def test_what_is_wrong_is_named_with_what_is_allowed(changed: dict[str, Any], key: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse({"backend": [ONE], **changed}, "some.toml")
    assert str(error.value).startswith(f"some.toml: {key}: ")
    assert allowed in str(error.value)
    assert "\n" not in str(error.value)


def test_the_first_error_has_all_others() -> None:
    wrong = {
        "listen": 1,
        "listne": 1,
        "health": {"rise": 0, "fall": 0, "pth": "/"},
        "backend": [{"name": "a"}, {"name": "b", "address": "x", "weight": -1}],
    }
    with pytest.raises(SettingsError) as error:
        parse(wrong, "some.toml")
    found = [error.value, *error.value.others]
    keys = ["listen", "listne", "health.rise", "health.fall", "health.pth"]
    assert [one.key for one in found] == [
        *keys,
        "backend[1].address",
        "backend[2].address",
        "backend[2].weight",
    ]


def test_a_mapped_loopback_address_is_loopback() -> None:
    assert parse({"backend": [ONE], "admin": "[::ffff:127.0.0.1]:8001"}).admin.loopback


def test_a_backend_is_needed() -> None:
    with pytest.raises(SettingsError, match="at least one"):
        parse({})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "cannot be read: not UTF-8"),
        (b"a = ", "is no TOML"),
        (b"a = 1\na = 2", "is no TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "some.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        load(str(file))
    assert str(error.value).startswith(f"{file}: {reason}")


def test_limits_stay_below_what_gunicorn_takes() -> None:
    for key, value in {"request_line": 4095, "header_fields": 101, "header_field_bytes": 8191}.items():
        with pytest.raises(SettingsError, match=f"limits.{key}.*at most {value - 1}"):
            parse({"backend": [ONE], "limits": {key: value}})


def test_the_admin_listener_has_an_address_of_its_own() -> None:
    with pytest.raises(SettingsError, match="another address than listen"):
        parse({"backend": [ONE], "listen": "127.0.0.1:9000", "admin": "127.0.0.1:9000"})
