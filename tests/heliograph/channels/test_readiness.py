"""An instance to which nobody publishes knows whether its log takes messages: first it does, then not, then again."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import gevent
import pytest

from heliograph.channels.errors import LogUnavailable
from heliograph.channels.log import Log
from heliograph.channels.readiness import MAX_AGE, PATIENCE, ReadinessCheck
from tests.heliograph.channels.followers import eventually, opened, publish
from tests.heliograph.channels.patched import patched
from tests.heliograph.channels.test_sqlite import read_only, small_disk
from tests.servers import PostgresServer, RedisServer

needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is missing")


def is_ready(log: Log) -> None:
    eventually(lambda: log.check() == "ok", "readiness")


def is_unready(log: Log, word: str) -> None:
    eventually(lambda: word in log.check(), f"a reason with {word}")
    assert ".." not in log.check()


@patched
def test_every_engine_is_ready_without_a_message(url: str) -> None:
    with opened(url) as (log,):
        is_ready(log)
        assert log.tops(["a"])["a"].offset == 0


def on_redis(url: str, log: Log, change: tuple[str, ...], back: tuple[str, ...], word: str) -> None:
    """`change` and `back` are commands."""
    import redis  # noqa: PLC0415 (only some of these tests need it)

    with redis.Redis.from_url(url) as client:
        is_ready(log)
        client.execute_command(*change)
        is_unready(log, word)
        with pytest.raises(LogUnavailable):
            publish(log, "x")
        client.execute_command(*back)
        is_ready(log)
        assert publish(log, "x").offset >= 1


@needs_redis
@patched
def test_a_server_that_became_a_replica_is_not_ready() -> None:
    with RedisServer() as server, RedisServer() as other, opened(server.url) as (log,):
        change = ("REPLICAOF", "127.0.0.1", str(other.port))
        on_redis(server.url, log, change, ("REPLICAOF", "NO", "ONE"), "replica")


@needs_redis
@patched
def test_a_replica_that_takes_writes_is_not_ready_either() -> None:
    with RedisServer("--replica-read-only", "no") as server, opened(server.url) as (log,):
        change = ("REPLICAOF", "127.0.0.1", "1")
        on_redis(server.url, log, change, ("REPLICAOF", "NO", "ONE"), "replica")


@needs_redis
@pytest.mark.parametrize(
    ("setting", "bad", "good", "word"),
    [("maxmemory", "1", "0", "memory"), ("min-replicas-to-write", "1", "0", "replicas")],
)
@patched
def test_a_server_that_refuses_writes_is_not_ready(setting: str, bad: str, good: str, word: str) -> None:
    with RedisServer() as server, opened(server.url) as (log,):
        on_redis(server.url, log, ("CONFIG", "SET", setting, bad), ("CONFIG", "SET", setting, good), word)


@needs_redis
@patched
def test_a_server_that_stands_still_is_not_ready_and_the_loop_goes_on() -> None:
    with RedisServer() as server, opened(server.url) as (log,):
        is_ready(log)
        with server.client() as client:
            client.execute_command("CLIENT", "PAUSE", 4500)
        slowest = 0.0

        def stalled() -> bool:
            nonlocal slowest
            start = time.monotonic()
            state = log.check()
            slowest = max(slowest, time.monotonic() - start)
            return state != "ok"

        eventually(stalled, "a reason")
        assert slowest < 2.0, "half a second, and some for a busy machine"
        is_ready(log)


@patched
def test_a_database_that_only_reads_is_not_ready() -> None:
    with PostgresServer() as server, opened(server.url) as (log,), server.connect() as client:
        is_ready(log)
        for value, expected in (("on", "read-only"), ("off", "")):
            client.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
            client.execute("SELECT pg_reload_conf()")
            if expected:
                is_unready(log, expected)
                client.execute("SET transaction_read_only = off")
                client.execute("SET default_transaction_read_only = off")
        is_ready(log)
        assert publish(log, "x").offset == 1
        locker = server.connect()
        locker.execute("BEGIN")
        locker.execute("LOCK TABLE heliograph_channels IN EXCLUSIVE MODE")
        is_unready(log, "lock")
        locker.execute("ROLLBACK")
        locker.close()
        is_ready(log)


@patched
def test_a_standby_is_not_ready_until_it_is_promoted() -> None:
    with PostgresServer() as server:
        with opened(server.url) as (log,):
            publish(log, "x")
        server.stop()
        Path(server.folder / "data" / "standby.signal").touch()
        server.start()
        with opened(server.url) as (log,), server.connect() as client:
            is_unready(log, "recovery")
            client.execute("SELECT pg_promote()")
            is_ready(log)
            assert publish(log, "y").offset == 2


@patched
def test_a_full_disk_is_not_ready_until_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk) as grow:
        grow()
        with opened(f"sqlite:///{disk}/channels.db") as (log,):
            is_ready(log)
            filler = disk / "filler"
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], check=False, capture_output=True)
            is_unready(log, "full")
            filler.unlink()
            is_ready(log)


@patched
def test_a_disk_that_became_read_only_is_not_ready(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with opened(f"sqlite:///{disk}/channels.db") as (log,):
        publish(log, "x")
    with read_only(disk) as end, opened(f"sqlite:///{disk}/channels.db") as (log,):
        eventually(lambda: log.check() != "ok", "a reason")
        end()
        is_ready(log)


@patched
def test_a_file_that_another_process_keeps_locked_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(f"sqlite:///{path}") as (log,):
        is_ready(log)
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        is_unready(log, "lock")
        blocker.execute("ROLLBACK")
        blocker.close()
        is_ready(log)


@patched
def test_many_who_ask_make_one_probe_a_second_and_none_waits_long() -> None:
    probes = []

    def probe() -> str:
        probes.append(time.monotonic())
        gevent.sleep(0.05)
        return "ok"

    check = ReadinessCheck(probe)
    answers = [gevent.spawn(check) for _ in range(100)]
    gevent.joinall(answers, raise_error=True)
    assert {answer.value for answer in answers} == {"ok"}
    assert len(probes) == 1
    eventually(lambda: check() == "ok" and len(probes) == 2, "the next probe")
    assert probes[1] - probes[0] >= MAX_AGE

    def never() -> str:
        gevent.sleep(60)
        return "ok"

    stuck = ReadinessCheck(never)
    start = time.monotonic()
    assert "does not answer" in stuck()
    assert time.monotonic() - start < PATIENCE


def test_an_error_of_this_program_is_not_ready() -> None:
    answers: list[str] = ["ok"]
    check = ReadinessCheck(answers.pop)
    assert check() == "ok"
    eventually(lambda: check() != "ok", "the error")
    assert check() != "ok"
