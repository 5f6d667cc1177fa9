"""Nothing is lost when Redis or PostgreSQL is restarted below a whole stack, or else everybody is told once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import until

from tests.servers import PostgresServer, RedisServer, binary
from tests.stack.channels.following import PATIENCE, Watched
from tests.stack.running import Stack

#: Redis with each write on its disk before the answer: a restart loses nothing.
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is missing")
    with RedisServer(*DURABLE) as server:
        yield server


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    if not Path(binary("initdb")).exists():
        pytest.skip("postgresql is missing")
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def on_redis(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from stack_on(redis_server.url, tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="module")
def on_postgres(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from stack_on(postgres_server.url, tmp_path_factory.mktemp("postgres"))


def stack_on(url: str, folder: Path) -> Iterator[Stack]:
    with Stack(folder, {"HELIOGRAPH_CHANNELS": url, "HELIOGRAPH_RATE": "0"}).started() as running:
        yield running
    assert "Traceback" not in running.output


def checks(stack: Stack) -> list[str]:
    """What the instances say of the log of the channels: "ok", or why it cannot be used."""
    answers = [requests.get(f"{url}/readyz", timeout=10) for url in stack.instance_urls]
    found = [str(answer.json()["checks"]["channels"]) for answer in answers]
    assert [answer.status_code for answer in answers] == [200 if text == "ok" else 503 for text in found]
    return found


def interrupt(
    stack: Stack, watched: Watched, ends: Callable[[], None], starts: Callable[[], None], what: str
) -> None:
    """The server ends under steady publishing and is started again; meanwhile everybody who asks is told the truth."""
    watched.steady.go_on(50)
    ends()
    until(lambda: all(what in text for text in checks(stack)), "instances that are not ready", PATIENCE)
    refused = requests.post(f"{stack.url}/channels/{watched.channel}-not", "x", timeout=10)
    assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
    assert what in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    starts()
    until(lambda: checks(stack) == ["ok", "ok"], "instances that are ready again", PATIENCE)
    watched.caught_up()


@pytest.mark.slow
def test_a_restart_of_a_redis_that_loses_nothing_costs_nobody_a_message(
    redis_server: RedisServer, on_redis: Stack
) -> None:
    with Watched(on_redis.url, [on_redis.url]) as watched:
        interrupt(on_redis, watched, redis_server.stop, redis_server.start, "Redis")
        watched.everything_once()
    assert not any(one.interruptions for one in watched.followers), "only the instances had to reconnect"


@pytest.mark.slow
def test_a_redis_that_comes_back_empty_is_one_notice_for_everybody(
    redis_server: RedisServer, on_redis: Stack
) -> None:
    def empty() -> None:
        shutil.rmtree(redis_server.folder / "appendonlydir")
        redis_server.start()

    with Watched(on_redis.url, [on_redis.url]) as watched:
        interrupt(on_redis, watched, redis_server.kill, empty, "Redis")
        watched.one_notice()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_of_postgresql_costs_nobody_a_message(
    postgres_server: PostgresServer, on_postgres: Stack, end: str
) -> None:
    ends = {"stop": postgres_server.stop, "kill": postgres_server.kill}[end]
    with Watched(on_postgres.url, [on_postgres.url]) as watched:
        interrupt(on_postgres, watched, ends, postgres_server.start, "PostgreSQL")
        watched.everything_once()
    assert not any(one.interruptions for one in watched.followers), "only the instances had to reconnect"
