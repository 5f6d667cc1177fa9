"""Versions of file and tables: those of today are kept as SQL, processes that start at once migrate once, roles without DDL."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from proxy_tests.processes import ROOT

from heliograph.channels import maintenance
from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.postgres import schema as postgres_schema
from heliograph.channels.engines.sqlite import schema as sqlite_schema
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.location import parse_location
from heliograph.channels.records import Limits
from tests.heliograph.channels import version1
from tests.heliograph.channels.conftest import emptied_postgres
from tests.heliograph.channels.followers import eventually, opened, publish
from tests.heliograph.channels.patched import patched
from tests.heliograph.channels.version1 import stored_text
from tests.servers import PostgresServer

#: Processes that start at once.
COUNT = 3

#: Opens the log when it is told to, publishes, and prints the offset.
STARTING = """
import sys
from heliograph import Channels
channels = Channels(sys.argv[1])
print("imported", flush=True)
sys.stdin.readline()
print(channels.publish("a", b"x").offset)
"""


def file_of_version(version: int, path: Path) -> None:
    """With each version come its tables as SQL, and those of before stay."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executescript(stored_text(version, "sqlite"))
        file.execute("UPDATE state SET inode = ?", (path.stat().st_ino,))
    path.with_name(path.name + "-seen").write_bytes(b"0123456789 %019d\n" % 2)


def sqlite_tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        texts = file.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {f"version {version}", *(re.sub(r"\s+", " ", re.sub("--.*", "", text)) for (text,) in texts)}


def postgres_tables(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as client:
        found = client.execute(
            "SELECT table_name::text, column_name::text || ' ' || data_type || ' ' || is_nullable || coalesce(column_default, '') "
            "FROM information_schema.columns WHERE table_schema = 'public' "
            "UNION ALL SELECT tablename::text, indexdef FROM pg_indexes WHERE schemaname = 'public' "
            "UNION ALL SELECT proname::text, prosrc FROM pg_proc WHERE proname LIKE 'heliograph%' "
            "UNION ALL SELECT tgname::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal "
            "UNION ALL SELECT 'version', version::text FROM heliograph_state"
        )
        return set(found.fetchall())


@patched
def test_a_file_of_today_works_with_every_later_version(tmp_path: Path) -> None:
    for version in range(2, sqlite_schema.VERSION + 1):
        path = tmp_path / f"{version}.db"
        file_of_version(version, path)
        with opened(f"sqlite:///{path}") as (log,):
            page = log.read("a", Cursor("0123456789abcdefabcd", 3))
            assert [message.offset for message in page.messages] == [4, 5]
            assert publish(log, "x").cursor == Cursor("0123456789abcdefabcd", 6)


@patched
def test_tables_of_today_work_with_every_later_version(url: str) -> None:
    for version in range(2, postgres_schema.VERSION + 1):
        with psycopg.connect(url, autocommit=True) as client:
            client.execute("DROP SCHEMA public CASCADE")
            client.execute("CREATE SCHEMA public")
            client.execute(stored_text(version, "postgres").encode())
        with opened(url) as (log,):
            epoch = log.tops(["a"])["a"].epoch  # the server was unknown
            page = log.read("a", Cursor(epoch, 3))
            assert [message.offset for message in page.messages] == [4, 5]
            assert publish(log, "x").cursor == Cursor(epoch, 6)


@patched
def test_a_change_of_the_tables_of_sqlite_has_another_version(tmp_path: Path) -> None:
    new, old, first = (tmp_path / name for name in ("new.db", "old.db", "first.db"))
    file_of_version(sqlite_schema.VERSION, old)
    version1.sqlite_file(first, 1, 1, 1)
    with opened(f"sqlite:///{new}") as (log,), opened(f"sqlite:///{first}") as (migrated,):
        publish(log, "x")
        publish(migrated, "x")
    assert sqlite_tables(new) == sqlite_tables(old)
    columns = {}
    for path in (new, first):
        with closing(sqlite3.connect(path)) as file:
            columns[path] = {
                (
                    table,
                    tuple(
                        file.execute(
                            f"SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('{table}')"
                        )
                    ),
                )
                for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            }
    assert columns[first] == columns[new]


@patched
def test_a_change_of_the_tables_of_postgresql_has_another_version(url: str) -> None:
    found = []
    for make in (None, "version 1", "today"):
        with psycopg.connect(url, autocommit=True) as client:
            client.execute("DROP SCHEMA public CASCADE")
            client.execute("CREATE SCHEMA public")
            if make == "version 1":
                version1.postgres_tables(client, 1, 1, 1)
            elif make:
                client.execute(stored_text(postgres_schema.VERSION, "postgres").encode())
        if make != "today":
            with opened(url) as (log,):
                publish(log, "x")
        found.append(postgres_tables(url))
    assert found[1] == found[0]
    assert found[2] == found[0]


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return emptied_postgres(postgres_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def first_version(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a log of version 1, whose channel `a` has 200 messages."""
    if request.param == "sqlite":
        version1.sqlite_file(tmp_path / "channels.db", 40, 5, 100)
        return f"sqlite:///{tmp_path}/channels.db"
    url = emptied_postgres(request.getfixturevalue("postgres_server"))
    with psycopg.connect(url, autocommit=True) as client:
        version1.postgres_tables(client, 40, 5, 100)
    return url


def test_processes_that_start_at_once_migrate_once(first_version: str) -> None:
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", STARTING, first_version],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(COUNT)
    ]
    try:
        for process in starting:
            assert process.stdout is not None
            assert process.stdout.readline() == "imported\n"
        answers = []
        for process in starting:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in starting:
            told, errors = process.communicate(timeout=120)
            assert (process.returncode, errors) == (0, "")
            answers.append(int(told))
    finally:
        for process in starting:
            process.kill()
            process.wait()
    assert sorted(answers) == [201, 202, 203]


@patched
def test_a_role_without_ddl_is_enough(url: str) -> None:
    """With the rights that the documentation names."""
    text = (ROOT / "docs" / "log.md").read_text()
    (granting,) = re.findall("```sql\n(.*?)```", text, re.DOTALL)
    limited = url.replace("heliograph@", "limited@")
    with psycopg.connect(url, autocommit=True) as owner:
        if not owner.execute("SELECT 1 FROM pg_roles WHERE rolname = 'limited'").fetchone():
            owner.execute("CREATE ROLE limited LOGIN")
        with opened(limited) as (log,), pytest.raises(LogUnavailable, match="missing, and this role may not"):
            publish(log, "x")
        version1.postgres_tables(owner, 4, 5, 100)
        maintenance.vacuum(parse_location(url))  # the owner migrates
        owner.execute(granting.replace("TO heliograph", "TO limited").encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(limited) as client:
            client.execute("CREATE TABLE other (id integer)")
        with pytest.raises(LogUnavailable, match="skipping"):
            maintenance.vacuum(parse_location(limited))
        with opened(limited, Limits(history_size=5, max_channels=3, check_interval=0.1), count=2) as (
            log,
            other,
        ):
            assert publish(log, "x", key="k").offset == 21
            assert publish(other, "x", key="k").repeated
            assert log.check() == "ok"
            assert log.presence.use_once("ticket", 10)
            log.presence.announce({"a": []})
            log.presence.leave()
            rows = "SELECT count(*) FROM heliograph_segments"
            for _ in range(10):
                publish(log, "x")
            eventually(lambda: owner.execute(rows).fetchone() <= (7,), "trimming")  # type: ignore[operator]
            log.remove("a")
            for name in "bc":
                publish(log, "x", name)
            assert {info.name for info in other.channels()} == {"a", "b", "c"}
