from __future__ import annotations

import pytest

from heliograph.channels.errors import LocationError
from heliograph.channels.location import parse_location, redacted


@pytest.mark.parametrize(
    ("url", "scheme", "path"),
    [
        ("memory://", "memory", ""),
        ("sqlite:///var/channels.db", "sqlite", "var/channels.db"),
        ("sqlite:////var/lib/channels.db", "sqlite", "/var/lib/channels.db"),
        ("sqlite:///with%20space.db", "sqlite", "with space.db"),
        ("redis://127.0.0.1", "redis", ""),
        ("redis://user:pw@host:6380/3", "redis", ""),
        ("rediss://[::1]:6379/0", "rediss", ""),
        ("redis+unix:///run/redis.sock", "redis+unix", "/run/redis.sock"),
        ("postgresql://u@host/db", "postgresql", ""),
        ("postgres://u@host/db?sslmode=require", "postgresql", ""),
        ("postgresql:///db?host=/run/postgresql", "postgresql", ""),
    ],
)
def test_urls_of_engines(url: str, scheme: str, path: str) -> None:
    location = parse_location(url)
    assert (location.scheme, location.path) == (scheme, path)
    assert location.url.split(":")[1:] == url.split(":")[1:]


BAD_FILES = [
    "sqlite://channels.db",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite:///a?b=c",
    "sqlite:///folder/",
    "sqlite:///a%00b",
]
BAD_SERVERS = [
    "redis://",
    "redis://host/name",
    "redis://host:0/",
    "redis://host:99999/",
    "redis+unix://",
    "redis://[::1/0",
]
BAD_SCHEMES = ["", "channels.db", "memory://x", "kafka://broker:9092/", "mysql://host/db", "http://host/"]


@pytest.mark.parametrize("url", [*BAD_FILES, *BAD_SERVERS, *BAD_SCHEMES])
def test_anything_else_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(LocationError) as caught:
        parse_location(url)
    assert "allowed" in str(caught.value) or "nothing after it" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["redis://u:hunter2@h:6379/0", "postgresql://u:hunter2@h/db", "rediss://:hunter2@h/0?password=hunter2"],
)
def test_passwords_are_never_shown(url: str) -> None:
    location = parse_location(url)
    for text in (repr(location), str(location), location.shown, redacted(url)):
        assert "hunter2" not in text
    assert "h" in location.shown


def test_kafka_is_named() -> None:
    with pytest.raises(LocationError, match="kafka"):
        parse_location("kafka://broker/")
