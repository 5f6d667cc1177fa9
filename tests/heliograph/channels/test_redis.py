"""The engine on Redis where the server or a connection fails."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import gevent
import pytest

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.redis.maintenance import LEASE
from heliograph.channels.errors import LogUnavailable, TooManyChannels
from heliograph.channels.log import Log
from heliograph.channels.message import Kind, new_append
from heliograph.channels.records import Appended, Limits
from tests.heliograph.channels.followers import Follower, eventually, opened, publish, texts
from tests.heliograph.channels.patched import patched
from tests.heliograph.channels.relay import Relay, notifications_stop_and_come_back
from tests.heliograph.channels.reported import Reported, about_trimming
from tests.servers import RedisServer

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is missing")


def publishing(log: Log, told: dict[tuple[str, int], str]) -> gevent.Greenlet[..., None]:
    """Publishes until it is killed, and notes what was acknowledged."""

    def run() -> None:
        n = 0
        while True:
            try:
                answer = publish(log, str(n))
                assert (answer.epoch, answer.offset) not in told
                told[answer.epoch, answer.offset] = str(n)
                n += 1
            except LogUnavailable:
                gevent.sleep(0.01)
            gevent.sleep(0.001)

    return gevent.spawn(run)


@patched
def test_a_restart_that_may_have_lost_something_changes_the_epoch_and_says_so_once() -> None:
    with RedisServer("--save", "3600 1") as server, opened(server.url, count=2) as (log, other):
        first = publish(log, "kept")
        with server.client() as client:
            client.save()
        follower = Follower(log)
        lost = [publish(other, f"lost {n}") for n in range(5)]
        assert lost[-1].offset == 6
        follower.until(5)
        server.kill()
        eventually(lambda: log.ready() != "ok", "the loss of the server")
        with pytest.raises(LogUnavailable):
            publish(other, "x")
        server.start()
        eventually(lambda: other.ready() == "ok" and log.ready() == "ok", "healing")
        again = publish(other, "other content under an old offset")
        assert again.offset == 2
        assert again.epoch != first.epoch
        for offset in range(7):
            assert not log.read("a", Cursor(first.epoch, offset)).recovered
        eventually(lambda: follower.lost == 1, "the notice")
        for n in range(5):
            publish(other, f"new {n}")
        eventually(lambda: texts(follower.messages)[-1] == "new 4", "what came after it")
        assert follower.lost == 1
        assert texts(log.read("a", None).messages)[:2] == ["kept", "other content under an old offset"]
        follower.stop()


@patched
def test_a_restart_that_loses_nothing_leaves_no_hole_and_no_notice() -> None:
    with RedisServer(*ALWAYS) as server, opened(server.url, count=2) as (log, other):
        publish(log, "before")
        follower = Follower(log)
        told: dict[tuple[str, int], str] = {}
        writer = publishing(other, told)
        for restart in range(2):
            eventually(lambda n=restart: len(told) > 50 * (n + 1), "messages")
            server.kill()
            server.start()
        eventually(lambda: len(told) > 200, "messages after the restarts")
        writer.kill()
        eventually(lambda: log.ready() == "ok", "healing")
        top = log.tops(["a"])["a"]
        eventually(lambda: follower.position.offset >= top.offset, "the top")
        assert follower.lost == 0
        heard = {(follower.position.epoch, m.offset): m.data.decode() for m in follower.messages}
        assert {name: heard.get(name) for name in told} == told
        follower.stop()


@patched
def test_a_connection_that_was_cut_heals_without_a_hole() -> None:
    with RedisServer() as server, opened(server.url, count=2) as (log, other):
        publish(log, "before")
        follower = Follower(log)
        told: dict[tuple[str, int], str] = {}
        writer = publishing(other, told)
        with server.client() as client:
            for n in range(5):
                eventually(lambda n=n: len(told) > 30 * (n + 1), "messages")
                client.client_kill_filter(_type=("pubsub", "normal")[n % 2], skipme=True)
        eventually(lambda: len(told) > 250, "messages after the cuts")
        assert other.reconnects >= 2
        writer.kill()
        eventually(lambda: log.ready() == "ok", "healing")
        top = log.tops(["a"])["a"]
        eventually(lambda: follower.position.offset >= top.offset, "the top")
        assert follower.lost == 0
        follower.stop()


@patched
def test_notifications_that_stop_without_an_error_are_noticed() -> None:
    with RedisServer() as server, Relay(server.port) as relay:
        url = server.url.replace(str(server.port), str(relay.port))
        with opened(url) as (log,), opened(server.url) as (other,):
            notifications_stop_and_come_back(relay, b"SUBSCRIBE", log, other)


@patched
def test_scripts_and_data_that_were_flushed_come_back_with_another_epoch() -> None:
    with RedisServer() as server, opened(server.url) as (log,):
        before = publish(log, "one")
        with server.client() as client:
            client.script_flush()
            with pytest.raises(LogUnavailable):
                publish(log, "x")
            eventually(lambda: log.ready() == "ok", "healing")
            assert publish(log, "two").offset == 2
            client.flushall()
            after = publish(log, "first again")
            assert after.offset == 1
            assert after.epoch != before.epoch
            client.delete("heliograph:log:a")  # as an eviction would
            assert log.read("a", Cursor(after.epoch, 1)).recovered
            assert not log.read("a", Cursor(after.epoch, 0)).recovered


@patched
def test_a_server_that_may_evict_is_not_ready() -> None:
    options = ("--save", "", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(*options) as server, opened(server.url) as (log,):
        publish(log, "x")
        assert "evict" in log.ready()


@patched
def test_a_full_memory_is_unavailable_and_heals() -> None:
    with RedisServer("--save", "", "--maxmemory", "3mb") as server, opened(server.url) as (log,):
        outcomes = log.append_many([new_append("a", Kind.BYTES, b"x" * 50_000)] * 100)
        stored = [outcome for outcome in outcomes if isinstance(outcome, Appended)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, LogUnavailable)]
        assert stored
        assert refused
        assert "memory" in str(refused[0])
        with server.client() as client:
            client.config_set("maxmemory", "100mb")
        after = publish(log, "after")
        assert after.offset == len(stored) + 1


@patched
def test_a_wrong_password_is_named_but_not_shown() -> None:
    with RedisServer("--save", "", "--requirepass", "right-one") as server:
        wrong = server.url.replace("redis://", "redis://:wrong-one@")
        right = server.url.replace("redis://", "redis://:right-one@")
        with opened(wrong) as (log,):
            with pytest.raises(LogUnavailable) as caught:
                publish(log, "x")
            assert "-one" not in f"{caught.value} {log.ready()}"
            assert log.ready() != "ok"
        with opened(right) as (log,):
            assert publish(log, "x").offset == 1


@patched
def test_the_event_loop_goes_on_while_the_server_stands_still() -> None:
    with RedisServer() as server, opened(server.url) as (log,):
        publish(log, "one")
        with server.client() as client:
            client.execute_command("CLIENT", "PAUSE", 600)
        waiting = gevent.spawn(publish, log, "two")
        ticks = 0
        while not waiting.ready():
            gevent.sleep(0.005)
            ticks += 1
        assert waiting.get().offset == 2
        assert ticks > 20


@patched
def test_old_messages_are_dropped_from_the_server_in_time() -> None:
    with RedisServer() as server, opened(server.url, Limits(history_ttl=0.5)) as (log,):
        log.append_many([new_append("a", Kind.TEXT, b"old")] * 500)
        eventually(lambda: not log.read("a", None).messages, "the end of the messages")
        log.append_many([new_append("a", Kind.TEXT, b"new")] * 200)
        with server.client() as client:
            assert client.xlen("heliograph:log:a") < 400
        assert {message.data for message in log.read("a", None).messages} == {b"new"}


@patched
def test_two_databases_of_one_server_do_not_hear_each_other() -> None:
    with RedisServer() as server, opened(server.url) as (log,), opened(server.url[:-1] + "1") as (other,):
        follower = Follower(log)
        publish(other, "foreign")
        publish(log, "own")
        assert texts(follower.until(1)) == ["own"]
        assert follower.lost == 0
        assert other.tops(["a"])["a"].epoch != log.tops(["a"])["a"].epoch
        follower.stop()


@patched
def test_names_leave_when_their_history_has_ended_and_nobody_follows() -> None:
    with RedisServer() as server, server.client() as client:
        limits = Limits(history_ttl=1.0, check_interval=0.2)
        with opened(server.url, limits, count=3) as (log, other, third):
            epoch = publish(log, "x", "ended").epoch
            publish(log, "x", "followed")
            follower, waiting = Follower(other, "followed"), Follower(third, "unused")
            unused = waiting.position
            eventually(lambda: not client.hexists("heliograph:sizes", "ended"), "the end")
            assert client.hkeys("heliograph:sizes") == [b"followed"]
            assert client.hexists("heliograph:channels", "followed")
            assert publish(log, "y", "followed").offset == 2
            follower.until(1)
            assert follower.lost == 0
            follower.stop()
            assert log.tops(["unused"])["unused"] == unused
            publish(log, "first", "unused")
            assert texts(waiting.until(1)) == ["first"]
            assert waiting.lost == 0
            waiting.stop()
            assert "ended" not in [info.name for info in log.channels()]
            again = publish(log, "x", "ended")
            assert again.offset == 1
            assert again.epoch != epoch


@patched
def test_all_who_need_room_at_once_get_what_channels_that_ended_left() -> None:
    with RedisServer() as server, opened(server.url, Limits(max_channels=2, history_ttl=0.1)) as (log,):
        for name in "ab":
            publish(log, "x", name)
        eventually(lambda: not (log.read("a", None).messages or log.read("b", None).messages), "their end")
        outcomes = log.append_many([new_append(name, Kind.TEXT, b"x") for name in "cde"])
        assert [type(outcome) for outcome in outcomes] == [Appended, Appended, TooManyChannels]


def wait_for_steps_without_the_lease(client: Any) -> None:
    """Two that ask for it: the first one is over then."""
    client.config_resetstat()
    eventually(lambda: client.info("commandstats").get("cmdstat_set", {}).get("calls", 0) >= 2, "steps")


@patched
def test_a_trimmer_that_fails_trims_again_only_when_it_did_it_itself() -> None:
    failures: list[int] = []
    with (
        Reported(logging.WARNING) as lines,
        RedisServer() as server,
        opened(server.url, Limits(check_interval=0.05)) as (log,),
        server.client() as client,
    ):
        log.trim_watch.on_failure = lambda: failures.append(1)
        publish(log, "x")
        client.rename("heliograph:sizes", "away")
        client.set("heliograph:sizes", "not a hash")
        eventually(lambda: len(failures) > 2, "failures")
        (line,) = about_trimming(lines)
        client.set(LEASE, "of another instance")
        wait_for_steps_without_the_lease(client)
        client.rename("away", "heliograph:sizes")
        wait_for_steps_without_the_lease(client)
        assert about_trimming(lines) == [line]
        client.delete(LEASE)
        eventually(lambda: "trimmed again" in about_trimming(lines)[-1], "the end of the failures")
        assert len(about_trimming(lines)) == 2


@patched
def test_keys_of_an_earlier_version_work_and_are_bounded() -> None:
    with RedisServer() as server, server.client() as client:
        with opened(server.url) as (log,):
            publish(log, "x", "other")
        era, birth = client.hmget("heliograph:channels", "=era", "=birth")
        for offset in range(1, 101):
            stamp = 1_700_000_000_000_000 + int(client.time()[0] - 1_700_000_000) * 1_000_000 + offset
            entry = {"k": 1, "t": stamp, "d": b"x" * 1024}
            client.xadd("heliograph:log:a", entry, id=f"{offset}-0")
        client.hset("heliograph:channels", "a", b"%s 100 %d" % (birth, stamp))
        epoch = (era + birth).decode()
        with opened(server.url, Limits(history_bytes=200 * 1024)) as (log,):
            assert log.tops(["a"])["a"] == Cursor(epoch, 100)
            assert len(log.read("a", Cursor(epoch, 50)).messages) == 50
            assert publish(log, "new").offset == 101
            assert [message.offset for message in log.read("a", None).messages] == list(range(1, 102))
        limits = Limits(history_bytes=50 * 1024, check_interval=0.2)
        with opened(server.url, limits) as (log,):
            assert log.tops(["a"])["a"].offset == 101
            eventually(lambda: client.xlen("heliograph:log:a") < 55, "the bound")
            offsets = [message.offset for message in log.read("a", None).messages]
            assert offsets == list(range(offsets[0], 102))
            assert len(offsets) > 20
            log.append_many([new_append("a", Kind.BYTES, b"x" * 1024)] * 60)
            assert [message.offset for message in log.read("a", None).messages] == list(range(112, 162))


@patched
def test_each_address_of_a_host_is_tried_and_details_end_with_one_full_stop() -> None:
    with (
        RedisServer() as server,
        server.client() as client,
        opened(f"redis://localhost:{server.port}/0") as (log,),
    ):
        assert publish(log, "x").offset == 1
        details: list[str] = []

        def refused() -> bool:
            client.client_kill_filter(_type="normal", skipme=True)
            try:
                publish(log, "x")
            except LogUnavailable as exc:
                details.append(str(exc))
            return len(details) > 2

        eventually(refused, "refusals")
        server.kill()
        eventually(lambda: log.check() != "ok", "the loss of the server")
        with pytest.raises(LogUnavailable) as caught:
            publish(log, "x")
        details += [str(caught.value), log.check()]
        assert all(not detail.endswith("..") and "\n" not in detail for detail in details), details
        assert all(detail.endswith(".") for detail in details[:-1]), details


@patched
def test_instances_by_host_and_by_socket_notify_each_other(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    server = RedisServer("--save", "", "--unixsocket", str(path))
    with server, opened(f"redis+unix://{path}") as (log,), opened(server.url) as (other,):
        follower = Follower(log)
        publish(other, "x")
        assert texts(follower.until(1)) == ["x"]
        follower.stop()
