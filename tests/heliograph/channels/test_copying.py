"""`heliograph channels copy`: from each engine to each, so that cursors stay good."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path

import pytest
import redis
from proxy_tests.processes import free_port

from heliograph.channels import maintenance
from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.copied import CopiedChannel, CopiedKey
from heliograph.channels.engines.plan import Segment, StoredKey
from heliograph.channels.engines.postgres import copying as postgres_copying
from heliograph.channels.engines.redis import copying as redis_copying
from heliograph.channels.engines.sqlite import backup
from heliograph.channels.engines.sqlite import copying as sqlite_copying
from heliograph.channels.errors import KeyReused, LocationError, LogUnavailable
from heliograph.channels.location import Location, parse_location
from heliograph.channels.message import Append, Key, Kind, new_append
from heliograph.channels.records import Appended, Limits
from tests.heliograph.channels import version1
from tests.heliograph.channels.conftest import emptied_postgres, emptied_redis
from tests.heliograph.channels.followers import opened, publish
from tests.heliograph.channels.patched import patched
from tests.heliograph.cli.calling import called
from tests.servers import RedisServer

ENGINES = ("sqlite", "redis", "postgresql")

#: Messages of the channel that is read page by page.
MANY = 150

TTL = 3600.0

#: Era and birth of what is copied without a log.
EPOCHS = ("0123456789", "abcdefabcd")


def place(request: pytest.FixtureRequest, name: str) -> str:
    """The URL of an engine of which one test has one place only; of SQLite it has several."""
    if request.param == "redis":
        url = emptied_redis(request.getfixturevalue("redis_server"))
        return url if name == "from" else f"{url.rsplit('/', 1)[0]}/1"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = emptied_postgres(server)
        if name == "to":
            with server.connect() as client:
                client.execute("DROP DATABASE IF EXISTS copied")
                client.execute("CREATE DATABASE copied")
            return url.replace("/postgres", "/copied")
        return url
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/{name}.db"


@pytest.fixture(params=ENGINES)
def origin(request: pytest.FixtureRequest) -> str:
    return place(request, "from")


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest) -> str:
    return place(request, "to")


def copy(origin: str, target: str) -> maintenance.Copied:
    return maintenance.copy(parse_location(origin), parse_location(target), TTL)


@patched
def test_cursors_keys_and_tickets_stay_good_in_another_engine(origin: str, target: str) -> None:
    with opened(origin, Limits(history_size=100)) as (log,):
        log.append_many([new_append("a", Kind.TEXT, b"%d" % n) for n in range(MANY)])
        for data in (b"", b"\0\xff" * 30_000):
            log.append(new_append("b.c:d", Kind.BYTES, data))
        publish(log, "x", "gone")
        log.remove("gone")
        again = publish(log, "k", "a", key="once")
        assert log.presence.use_once("ticket", 100)
        before = log.tops(["a", "b.c:d", "gone", "unused"])
        pages = {name: log.read(name, None) for name in ("a", "b.c:d")}
    copied = copy(origin, target)
    assert copied.channels == 3
    assert 100 <= copied.messages <= MANY + 3
    with opened(target, Limits(history_size=100), count=2) as (log, other):
        assert log.tops(before) == before
        for name, page in pages.items():
            found = log.read(name, None)
            assert [(m.offset, m.kind, m.data) for m in found.messages] == [
                (m.offset, m.kind, m.data) for m in page.messages
            ]
            assert [m.time for m in found.messages] == pytest.approx(
                [m.time for m in page.messages], abs=1e-5
            )
        cursor = Cursor(before["a"].epoch, MANY)
        assert [m.offset for m in other.read("a", cursor).messages] == [MANY + 1]
        repeated = publish(other, "k", "a", key="once")
        assert (repeated.cursor, repeated.repeated) == (again.cursor, True)
        assert not other.presence.use_once("ticket", 100)
        assert other.presence.use_once("another", 100)
        assert publish(other, "next", "a").cursor == Cursor(before["a"].epoch, MANY + 2)
        assert len(log.read("a", cursor).messages) == 2
        with pytest.raises(LogUnavailable, match="has channels already"):
            copy(origin, target)
        assert publish(log, "after", "a").offset == MANY + 3


@patched
def test_a_copy_may_be_copied_back_and_its_sums_hold(origin: str, tmp_path: Path) -> None:
    """Bounds of bytes cut a copied history as any other."""
    path = tmp_path / "between.db"
    with opened(origin) as (log,):
        log.append_many([new_append("a", Kind.BYTES, b"x" * 1000) for _ in range(20)])
    copy(origin, f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT bytes - gone, deleted, top FROM channels").fetchone() == (20_000, 0, 20)
    with opened(f"sqlite:///{path}", Limits(history_bytes=5000)) as (log,):
        assert publish(log, "x" * 1000).offset == 21
        assert [m.offset for m in log.read("a", None).messages] == list(range(17, 22))


@patched
def test_an_empty_target_that_is_in_use_gets_the_copy(target: str, tmp_path: Path) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    with opened(origin) as (log,), opened(target) as (user,):
        cursor = publish(log, "x").cursor
        assert user.tops(["a"])["a"].offset == 0
        copy(origin, target)
        assert user.tops(["a"])["a"] == cursor
        assert publish(user, "y").cursor == Cursor(cursor.epoch, 2)


@patched
def test_a_copy_that_fails_leaves_the_target_empty_and_may_be_repeated(target: str, tmp_path: Path) -> None:
    path = tmp_path / "origin.db"
    with opened(f"sqlite:///{path}") as (log,):
        for name in "abc":
            publish(log, "x" * 100, name)
        top = log.tops(["a"])["a"]
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        (whole,) = file.execute("SELECT data FROM segments WHERE id = 3").fetchone()
        file.execute("UPDATE segments SET data = substr(data, 1, 50) WHERE id = 3")
        with pytest.raises(LogUnavailable, match="cut short"):
            copy(f"sqlite:///{path}", target)
        with opened(target) as (log,):
            assert log.channels() == []
            assert log.read("a", None).messages == ()
        file.execute("UPDATE segments SET data = ? WHERE id = 3", (whole,))
    assert copy(f"sqlite:///{path}", target) == maintenance.Copied(3, 3)
    with opened(target) as (log,):
        assert log.tops(["a"])["a"] == top


def segment(first: int, *messages: bytes) -> Segment:
    found = [(Kind.BYTES, data) for data in messages]
    return Segment("a", first, time.time(), found, sum(map(len, messages)))


def copied_channel(top: int) -> CopiedChannel:
    return CopiedChannel("a", EPOCHS[1], top, time.time())


def copied_key() -> CopiedKey:
    return CopiedKey("a", b"id", StoredKey(b"body", Appended("".join(EPOCHS), 1, time.time())), 100)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return emptied_redis(redis_server)


@contextmanager
def refused(location: Location, why: str) -> Iterator[redis_copying.RedisTarget]:
    with pytest.raises(LogUnavailable, match=why), redis_copying.target(location, TTL) as made:
        yield made


@patched
def test_what_was_published_during_a_copy_to_redis_is_kept(redis_url: str) -> None:
    with opened(redis_url) as (log,):
        with refused(parse_location(redis_url), "has channels already") as made:
            cursor = publish(log, "kept").cursor
            made.add(copied_channel(1), [segment(1, b"copied")])
        assert [message.data for message in log.read("a", None).messages] == [b"kept"]
        assert publish(log, "next").cursor == Cursor(cursor.epoch, 2)


@patched
def test_a_copy_to_redis_writes_nothing_to_a_stream_that_an_instance_began(redis_url: str) -> None:
    with opened(redis_url) as (log,):

        def segments() -> Iterator[Segment]:
            yield segment(1, b"x" * (2 << 20))  # it is sent before the next one is asked for
            publish(log, "kept")
            yield segment(2, b"x" * (2 << 20))

        with refused(parse_location(redis_url), "has channels already") as made:
            made.add(copied_channel(2), segments())
        assert publish(log, "next").offset == 2
        assert [message.data for message in log.read("a", None).messages] == [b"kept", b"next"]


@patched
def test_a_copy_to_redis_that_was_stopped_harms_no_later_one(redis_url: str) -> None:
    location = parse_location(redis_url)
    with ExitStack() as stopped, redis.Redis.from_url(redis_url) as client:
        old = stopped.enter_context(redis_copying.target(location, TTL))
        old.begin(*EPOCHS)
        client.delete("heliograph:copying")  # as when its time is over
        with redis_copying.target(location, TTL) as new:
            new.begin(*EPOCHS)
            new.add(copied_channel(2), [segment(1, b"x" * (2 << 20), b"new")])
            old.add(copied_channel(1), [segment(1, b"old")])
            with pytest.raises(LogUnavailable, match="interrupted for too long"):
                stopped.close()
    with opened(redis_url) as (log,):
        assert [message.data for message in log.read("a", Cursor("".join(EPOCHS), 1)).messages] == [b"new"]


@patched
def test_redis_gets_keys_and_tickets_with_the_channels_or_not_at_all(redis_url: str) -> None:
    location, key = parse_location(redis_url), copied_key()
    names = (f"heliograph:key:a:{key.id.hex()}", "heliograph:token:used")
    with opened(redis_url) as (log,), redis.Redis.from_url(redis_url) as client:
        with refused(location, "has channels already") as made:
            made.add_key(key)
            made.add_ticket("used", 100)
            publish(log, "x", "other")
        assert client.exists(*names) == 0
        client.flushall()
        client.set(names[1], "1", px=100_000)
        with redis_copying.target(location, TTL) as made:
            made.begin(*EPOCHS)
            made.add_key(key)
            made.add_ticket("used", 1)
        assert client.exists(*names) == 2
        assert client.pttl(names[1]) > 1000, "that of an instance was replaced"
        client.flushall()
        with refused(location, "not all idempotency keys"):
            client.set("heliograph:copying:keys", "")


def test_the_command_says_what_it_copied_or_why_not(tmp_path: Path) -> None:
    origin = tmp_path / "origin.db"
    with closing(sqlite3.connect(tmp_path / "other.db")) as file:
        file.execute("CREATE TABLE other (one)")
    assert called("channels", "copy", f"sqlite:///{origin}", "sqlite:///new.db", cwd=tmp_path).returncode == 1
    assert not origin.exists()
    copied = called("channels", "copy", "memory://", "sqlite:///new.db", cwd=tmp_path)
    assert (copied.returncode, copied.stderr.count("\n")) == (1, 1)
    other = called("channels", "copy", "sqlite:///other.db", "sqlite:///new.db", cwd=tmp_path)
    assert (other.returncode, "not of this program" in other.stderr) == (1, True)
    unreachable = called(
        "channels", "copy", f"redis://127.0.0.1:{free_port()}/0", "sqlite:///new.db", cwd=tmp_path
    )
    assert (unreachable.returncode, unreachable.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "new.db").exists()


@patched
def test_a_key_and_a_ticket_may_come_twice(target: str) -> None:
    location = parse_location(target)
    targets = {"sqlite": sqlite_copying, "redis": redis_copying, "postgresql": postgres_copying}
    with targets[location.scheme].target(location, TTL) as made:
        made.begin(*EPOCHS)
        made.add(copied_channel(1), [segment(1, b"x")])
        for _ in range(2):
            made.add_key(copied_key())
            made.add_ticket("used", 100)
    with opened(target) as (log,):
        assert not log.presence.use_once("used", 100)
        with pytest.raises(KeyReused):
            log.append(Append("a", Kind.TEXT, b"y", Key(copied_key().id, b"another")))


@pytest.mark.parametrize("target_is_empty", [True, False])
def test_a_source_is_left_as_an_orderly_end_leaves_it(tmp_path: Path, target_is_empty: bool) -> None:
    """After a reboot it would get another epoch."""
    for name in ("from", "to"):
        with sqlite_copying.target(parse_location(f"sqlite:///{tmp_path}/{name}.db"), TTL) as made:
            made.begin(*EPOCHS)
            if name == "from" or not target_is_empty:
                made.add(copied_channel(1), [segment(1, b"x")])
    with nullcontext() if target_is_empty else pytest.raises(LogUnavailable):
        copy(f"sqlite:///{tmp_path}/from.db", f"sqlite:///{tmp_path}/to.db")
    for name in ("from", "to"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as file:
            assert file.execute("SELECT boot FROM state").fetchone() == ("",)


def copied_beside(location: Location) -> maintenance.Copied:
    return maintenance.copy(location, parse_location(f"sqlite:///{location.path}-copy"), TTL)


@pytest.mark.parametrize("act", [copied_beside, maintenance.vacuum])
def test_a_command_leaves_a_damaged_file_in_its_place(
    tmp_path: Path, act: Callable[[Location], object]
) -> None:
    path = tmp_path / "origin.db"
    location = parse_location(f"sqlite:///{path}")
    with sqlite_copying.target(location, TTL) as made:
        made.begin(*EPOCHS)
    with path.open("r+b") as file:
        file.seek(100)  # where the tables are listed
        file.write(b"\xff" * 200)
    damaged = path.read_bytes()
    with pytest.raises(LogUnavailable, match="damaged"):
        act(location)
    assert path.read_bytes() == damaged
    assert {found.name for found in tmp_path.iterdir()} <= {
        f"origin.db{end}" for end in ("", "-seen", "-wal", "-shm")
    }


def test_ctrl_c_ends_a_backup_between_two_of_its_steps(tmp_path: Path) -> None:
    version1.sqlite_file(tmp_path / "origin.db", 3, 1, 10 << 20)
    draft, sizes = tmp_path / "backup.db.part", []

    def interrupt(*_: object) -> None:
        if draft.exists() and draft.stat().st_size:
            sizes.append(draft.stat().st_size)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        with pytest.raises(KeyboardInterrupt):
            backup.back_up(tmp_path / "origin.db", tmp_path / "backup.db")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sizes[0] < 20 << 20
    assert not draft.exists()


def test_memory_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="memory://"):
        copy("memory://", f"sqlite:///{tmp_path}/new.db")
