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
        ("postgresql://u@/db?host=/run/postgresql", "postgresql", ""),
        ("postgresql://u:p@?host=/run/postgresql", "postgresql", ""),
        ("postgresql://u:p@h1:5432,h2:5433/db?target_session_attrs=read-write", "postgresql", ""),
        ("postgresql://u@[::1]:5432,[fe80::1],h/db", "postgresql", ""),
        ("postgresql://u@%2Frun%2Fpostgresql:5433/db", "postgresql", ""),
        ("postgresql://h1,h2?dbname=x&password=y", "postgresql", ""),
        ("postgresql://u:p?q#r@h1:5432/db", "postgresql", ""),
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
    "redis://h1:6379,h2:6379/0",
    "postgresql://h1:5432,h2:0/db",
    "postgresql://h1:99999/db",
    "postgresql://h1:port/db",
    "postgresql://[::1/db",
    "postgresql:h/db",
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
    [
        "redis://u:hunter2@h:6379/0",
        "postgresql://u:hunter2@h/db",
        "rediss://:hunter2@h/0?password=hunter2",
        "postgresql://u:hunter2@h1:5432,h2:5433/db?password=hunter2",
        "postgresql://h/db?password=hunter2",
        "postgresql://u:hunter2@[::1],h/db",
    ],
)
def test_passwords_are_never_shown(url: str) -> None:
    location = parse_location(url)
    for text in (repr(location), str(location), location.shown, redacted(url)):
        assert "hunter2" not in text
    assert "h" in location.shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h1:5432,[::1]:5433/db?x=y", "postgresql://h1:5432,[::1]:5433/db"),
        ("postgresql://%2Frun%2Fpostgresql/db", "postgresql://%2Frun%2Fpostgresql/db"),
        ("postgresql://u:se/cret@h/db", "postgresql://…"),
        ("postgresql://u:hunter?secret@h/db", "postgresql://…"),
        ("postgresql://u@h/db?password=a@secret", "postgresql://…"),
        ("postgresql://u:a@secret@h/db", "postgresql://…"),
        ("postgresql://u:123?4@h/db", "postgresql://…"),
        ("postgresql://u:se@cret@h/db", "postgresql://…"),
        ("redis:secret@host", "…"),
        ("host=h password=secret dbname=x", "…"),
        ("jdbc:postgresql://u:secret@h/db", "…"),
        ("sqlserver://h;password=secret", "sqlserver://…"),
        ("redis://h/0;password=secret", "redis://h/…"),
        ("mysql://u:secret@h/db", "mysql://h/db"),
        ("secret", "…"),
    ],
)
def test_only_what_is_surely_no_password_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
    try:
        text = repr(parse_location(url))
    except LocationError as exc:
        text = str(exc)
    assert "secret" not in text


def test_kafka_is_named() -> None:
    with pytest.raises(LocationError, match="kafka"):
        parse_location("kafka://broker/")
