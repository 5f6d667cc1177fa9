"""The engine on PostgreSQL where the server or a connection fails."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gevent
import psycopg
import pytest

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.postgres.pool import READERS
from heliograph.channels.engines.postgres.schema import TRIM_LOCK
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.message import Kind, new_append
from heliograph.channels.records import Limits
from tests.heliograph.channels import version1
from tests.heliograph.channels.followers import Follower, eventually, opened, publish, texts
from tests.heliograph.channels.patched import patched
from tests.heliograph.channels.relay import Relay, notifications_stop_and_come_back
from tests.heliograph.channels.reported import Reported, about_trimming
from tests.heliograph.channels.test_redis import publishing
from tests.servers import PostgresServer, binary

pytestmark = pytest.mark.skipif(not Path(binary("initdb")).exists(), reason="postgresql is missing")


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url, autocommit=True)


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    with postgres_server.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres_server.url


@patched
def test_a_server_that_is_killed_and_started_again_leaves_no_hole() -> None:
    with PostgresServer() as server, opened(server.url, count=2) as (log, other):
        publish(log, "before")
        follower = Follower(log)
        told: dict[tuple[str, int], str] = {}
        writer = publishing(other, told)
        for end in (server.kill, server.stop):
            count = len(told)
            eventually(lambda count=count: len(told) > count + 50, "messages")
            end()
            eventually(lambda: log.ready() != "ok", "the loss of the server")
            server.start()
        count = len(told)
        eventually(lambda: len(told) > count + 50, "messages after the restarts")
        eventually(lambda: log.ready() == "ok" and other.ready() == "ok", "healing")
        writer.kill()
        top = log.tops(["a"])["a"]
        eventually(lambda: follower.position.offset >= top.offset, "the top")
        assert follower.lost == 0
        heard = {(follower.position.epoch, m.offset): m.data.decode() for m in follower.messages}
        assert {name: heard.get(name) for name in told} == told
        follower.stop()


@patched
def test_connections_that_were_cut_heal_without_a_hole(url: str) -> None:
    with opened(url, count=2) as (log, other):
        publish(log, "before")
        follower = Follower(log)
        told: dict[tuple[str, int], str] = {}
        writer = publishing(other, told)
        with connect(url) as client:
            for n in range(4):
                eventually(lambda n=n: len(told) > 20 * (n + 1), "messages")
                client.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'heliograph' AND pid <> pg_backend_pid()"
                )
        eventually(lambda: len(told) > 150, "messages after the cuts")
        assert other.reconnects >= 4
        writer.kill()
        eventually(lambda: log.ready() == "ok", "healing")
        top = log.tops(["a"])["a"]
        eventually(lambda: follower.position.offset >= top.offset, "the top")
        assert follower.lost == 0
        follower.stop()


@pytest.mark.slow
@patched
def test_notifications_that_stop_without_an_error_are_noticed() -> None:
    with PostgresServer() as server, Relay(server.port) as relay:
        url = server.url.replace(str(server.port), str(relay.port))
        with opened(url) as (log,), opened(server.url) as (other,):
            notifications_stop_and_come_back(relay, b"LISTEN", log, other)


@patched
def test_another_cluster_or_timeline_changes_the_epoch(url: str) -> None:
    with opened(url) as (log,):
        before = publish(log, "one")
    with connect(url) as client:
        client.execute("UPDATE heliograph_state SET server = 'restored from a backup'")
    with opened(url) as (log,):
        assert not log.read("a", Cursor(before.epoch, 1)).recovered
        after = publish(log, "two")
        assert after.offset == 2
        assert after.epoch != before.epoch
    with opened(url) as (log,):
        assert log.tops(["a"])["a"] == Cursor(after.epoch, 2)


@patched
def test_the_event_loop_goes_on_while_a_row_is_locked(url: str) -> None:
    with opened(url) as (log,):
        publish(log, "one")
        with connect(url) as client:
            client.execute("BEGIN")
            client.execute("SELECT 1 FROM heliograph_channels FOR UPDATE")
            waiting = gevent.spawn(publish, log, "two")
            for _ in range(100):
                gevent.sleep(0.005)
            assert not waiting.ready()
            assert texts(log.read("a", None).messages) == ["one"], "a reader waits for no writer"
            client.execute("COMMIT")
        assert waiting.get(timeout=10).offset == 2


@patched
def test_many_channels_in_one_group_take_several_notifications(url: str) -> None:
    with opened(url, count=2) as (log, other):
        names = [f"{n}-{'x' * 100}" for n in range(200)]
        follower = Follower(log, names[-1])
        other.append_many([new_append(name, Kind.TEXT, b"x") for name in names])
        follower.until(1)
        follower.stop()
        assert len(log.channels()) == 200


@patched
def test_the_same_new_channel_on_two_instances_is_one(url: str) -> None:
    with opened(url, count=2) as (log, other):
        for n in range(30):
            appends = [new_append(f"{n}-{m}", Kind.TEXT, b"x") for m in range(5)]
            gevent.joinall(
                [gevent.spawn(each.append_many, appends) for each in (log, other)], raise_error=True
            )
        assert {info.top for info in log.channels()} == {2}
        assert len(log.channels()) == 150


@patched
def test_the_table_stays_small_whatever_was_published(url: str) -> None:
    with opened(url, Limits(history_size=50)) as (log,):
        for _ in range(40):
            log.append_many([new_append("a", Kind.TEXT, b"x")] * 50)
        with connect(url) as client:

            def rows() -> object:
                found = client.execute("SELECT count(*) FROM heliograph_segments").fetchone()
                return found and found[0]

            eventually(lambda: rows() == 1, "trimming")
        assert len(log.read("a", None).messages) == 50


@patched
def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with opened("postgresql://somebody:secret-word@127.0.0.1:1/x") as (log,):
        with pytest.raises(LogUnavailable) as caught:
            publish(log, "x")
        eventually(lambda: "127.0.0.1" in log.ready(), "the reason")
        assert "secret-word" not in f"{caught.value} {log.ready()}"


@patched
def test_closing_interrupts_those_who_use_it_and_answers_everybody(url: str) -> None:
    """The event loop would abort the process if a socket that it watches were closed."""

    def until_closed(use: Callable[[], object]) -> None:
        with contextlib.suppress(LogUnavailable):
            while True:
                use()

    for attempt in range(12):
        with opened(url, Limits(history_size=300)) as (log,):
            users = [gevent.spawn(until_closed, partial(log.read, "a", None)) for _ in range(6)]
            users.append(gevent.spawn(until_closed, partial(publish, log, "x" * 1000)))
            gevent.sleep(0.02 + 0.01 * attempt)
        assert len(gevent.joinall(users, timeout=10)) == len(users)


@patched
def test_tables_of_version_1_are_migrated_and_their_cursors_stay_good(url: str) -> None:
    with connect(url) as client:
        version1.postgres_tables(client, 40, 5, 1024)
        epoch = version1.ERA + version1.BIRTH
        client.execute("UPDATE heliograph_state SET server = ''")
        with opened(url, Limits(history_bytes=20 * 1024, check_interval=0.2), count=2) as (log, other):
            page = log.read("a", None)
            before = page.epoch
            assert before[10:] == epoch[10:], "only the server was unknown"
            assert publish(other, "x" * 1024).offset == 201

            def history() -> list[int]:
                return [message.offset for message in log.read("a", None).messages]

            eventually(lambda: history() == list(range(182, 202)), "the bound")
            assert not log.read("a", Cursor(before, 100)).recovered
            first, last, data = version1.segment(202, 5, 1024)  # as an instance of version 1 goes on
            client.execute(
                "INSERT INTO heliograph_segments (channel, first, last, time, data) "
                "VALUES (1, %s, %s, extract(epoch FROM clock_timestamp()), %s)",
                (first, last, data),
            )
            client.execute("UPDATE heliograph_channels SET top = %s", (last,))
            eventually(lambda: history() == list(range(187, 207)), "the bound again")
            kept = "SELECT c.bytes - t.bytes FROM heliograph_channels AS c JOIN heliograph_trimmed AS t ON t.channel = c.id"
            rows = "SELECT sum(octet_length(data) - 5 * (last - first + 1)) FROM heliograph_segments"
            eventually(
                lambda: client.execute(kept).fetchone() == client.execute(rows).fetchone(), "equal sums"
            )


@patched
def test_tables_of_a_newer_version_are_refused_and_left_alone(url: str) -> None:
    with opened(url) as (log,):
        publish(log, "x")
    with connect(url) as client:
        client.execute("UPDATE heliograph_state SET version = 908")
        with opened(url) as (log,):
            with pytest.raises(LogUnavailable, match="newer version"):
                publish(log, "y")
            assert log.check() != "ok"
        assert client.execute("SELECT version FROM heliograph_state").fetchone() == (908,)


@patched
def test_several_hosts_are_tried_and_a_socket_may_be_one_of_them(url: str, folder: str) -> None:
    port = url.rsplit(":", maxsplit=1)[-1].split("/", maxsplit=1)[0]
    hosts = f"127.0.0.1:1,localhost:{port}"
    options = "target_session_attrs=read-write&connect_timeout=5"
    socket_folder = folder.replace("/", "%2F")
    for given in (
        f"postgresql://heliograph:secret@{hosts}/postgres?{options}",
        f"postgresql://heliograph@[::1]:1,127.0.0.1:{port}/postgres",
        f"postgresql://heliograph@{socket_folder}:{port}/postgres",
        f"postgresql:///postgres?user=heliograph&password=secret&host=127.0.0.1,localhost&port=1,{port}",
    ):
        with opened(given) as (log,):
            assert publish(log, "x").offset >= 1
            eventually(lambda log=log: log.check() == "ok", "readiness")
    with opened(
        "postgresql://heliograph:secret@127.0.0.1:1,[::1]:1,localhost:1/postgres?password=secret"
    ) as (log,):
        with pytest.raises(LogUnavailable) as caught:
            publish(log, "x")
        assert "secret" not in f"{caught.value} {log.check()}"
        assert not str(caught.value).endswith("..")


@pytest.fixture
def folder(postgres_server: PostgresServer) -> str:
    return str(postgres_server.folder)


@patched
def test_a_trimmer_that_fails_says_so_once_and_counts(url: str) -> None:
    failures: list[int] = []
    with (
        Reported(logging.WARNING) as lines,
        opened(url, Limits(check_interval=0.05)) as (log,),
        connect(url) as client,
    ):
        log.trim_watch.on_failure = lambda: failures.append(1)
        publish(log, "x")
        client.execute("ALTER TABLE heliograph_tokens RENAME TO away")
        eventually(lambda: len(failures) > 2, "failures")
        (line,) = about_trimming(lines)
        assert "not trimmed" in line
        client.execute("SELECT pg_advisory_lock(%s)", (TRIM_LOCK,))
        client.execute("ALTER TABLE away RENAME TO heliograph_tokens")
        wait_for_steps_without_the_lock(client)
        assert about_trimming(lines) == [line], "another instance may trim, but ours did not"
        client.execute("SELECT pg_advisory_unlock(%s)", (TRIM_LOCK,))
        eventually(lambda: "trimmed again" in about_trimming(lines)[-1], "the end of the failures")
        assert len(about_trimming(lines)) == 2


def wait_for_steps_without_the_lock(client: psycopg.Connection[tuple[object, ...]]) -> None:
    """One on each of the connections: the first step is over then."""

    def are_over() -> bool:
        found = client.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'heliograph' AND query = 'ROLLBACK' "
            "AND datname = current_database()"
        ).fetchone()
        return found is not None and found[0] == READERS

    eventually(are_over, "steps")
