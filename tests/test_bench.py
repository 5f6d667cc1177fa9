"""The loads that comparisons rest on do what they say, and notice when what they load does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_tests.processes import ROOT, clean_environment

from bench.channels_parts.load import fan_out, publishing, run
from bench.channels_parts.servers import instance
from bench.harness import Unavailable, alternate, members, processor_seconds, run_parts
from bench.loads import crowd, echo
from bench.loads.resident import staying
from bench.proxy_parts import bandwidth
from bench.proxy_parts.fronts import load_backend
from bench.websocket_parts.servers import Server
from heliograph.stack.children import spawn


def test_an_unknown_part_is_refused_with_the_names_of_all() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "proxy", "no-such-part"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "script/bench proxy: has no part no-such-part; "
        "there are: small, gunicorn, bandwidth, tunnel, idle, slow\n"
    )


def test_a_part_that_cannot_be_measured_does_not_keep_the_others_from_running(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran: list[str] = []

    def lacking(_: Path) -> None:
        raise Unavailable("something is not installed")

    with pytest.raises(Unavailable, match=r"could not be measured: first$"):
        run_parts("some", {"first": lacking, "second": lambda work: ran.append(work.name)})
    assert len(ran) == 1
    assert capsys.readouterr().err == "script/bench some first: something is not installed\n"


def test_rounds_alternate_and_change_who_begins() -> None:
    calls: list[str] = []
    alternate([lambda: calls.append("a"), lambda: calls.append("b")], rounds=3)
    assert "".join(calls) == "abbaab"


def test_processor_time_is_that_of_the_whole_group() -> None:
    burn = "import os, time\nos.fork()\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"
    reading, writing = os.pipe()
    process = spawn([sys.executable, "-c", burn], cwd=ROOT, output=writing)
    os.close(writing)
    try:
        with open(reading, "rb") as output:
            assert [output.readline(), output.readline()] == [b"done\n", b"done\n"]
        assert len(members(process.pid)) == 2
        assert processor_seconds(process.pid) >= 0.55
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_echoes_come_back_one_by_one_and_in_a_crowd(tmp_path: Path) -> None:
    with load_backend(tmp_path, "echo") as (port,):
        assert len(echo.ping_pong(port, 10)) == 10
        began = time.monotonic()
        assert len(echo.crowd(port, 4, 0.2)) > 4
        assert time.monotonic() - began >= 0.2


def test_an_echo_takes_frames_in_any_pieces(tmp_path: Path) -> None:
    with load_backend(tmp_path, "echo") as (port,), echo.dial(port) as wire:
        for piece in (echo.FROM_CLIENT[:7], echo.FROM_CLIENT[7:] + echo.FROM_CLIENT * 2):
            wire.sendall(piece)
        got = b""
        while len(got) < 3 * len(echo.FROM_SERVER):
            got += wire.recv(echo.READ)
        assert got == echo.FROM_SERVER * 3


def test_an_upload_is_counted_to_the_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    with load_backend(tmp_path, "sink") as (port,):
        monkeypatch.setattr(bandwidth, "SIZE", 3_000_000)
        assert bandwidth.upload(file, port, "/") > 0


# Each is closed before the next one is answered; only the last may be open still when it is counted.


def test_idle_clients_stay_and_those_that_were_closed_are_noticed(tmp_path: Path) -> None:
    with load_backend(tmp_path, "sink") as (keeps,), staying("idle", keeps, 5):
        pass
    with (
        load_backend(tmp_path, "echo") as (closes,),
        pytest.raises(Unavailable, match=r"[45] of 5 connections were closed"),
        staying("idle", closes, 5),
    ):
        pass


def test_slow_clients_that_are_cut_off_are_noticed(tmp_path: Path) -> None:
    with load_backend(tmp_path, "sink") as (keeps,), staying("slow", keeps, 3, 3):
        pass
    with (
        load_backend(tmp_path, "echo") as (closes,),
        pytest.raises(Unavailable, match=r"[23] of 3 slow readers were cut off"),
        staying("slow", closes, 3, 0),
    ):
        pass


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with instance(tmp_path_factory.mktemp("channels"), "memory://") as server:
        yield server


def test_all_messages_to_all_subscribers_are_counted(channels: Server) -> None:
    found = run("fanout", channels.port, 5, 3, 0.2, channels.leader)
    assert found["deliveries"] >= 15
    assert found["deliveries"] % 15 == 0
    assert fan_out(channels, 2, 1, 0.1).rate > 0


def test_messages_have_their_pace_and_their_delays(channels: Server) -> None:
    began = time.monotonic()
    found = run("paced", channels.port, "paced", 3, 50, 0.5)
    assert time.monotonic() - began >= 0.48
    assert 0 < found["p50"] <= found["p99"] <= found["longest"]
    delays = run("hop", channels.port, channels.port, "hop", 5)
    assert len(delays) == 5
    assert min(delays) > 0


def test_acknowledgements_are_counted_and_what_was_published_is_resumed(channels: Server) -> None:
    found = run("pipelined", channels.port, channels.port, "some", 2, 10, 101, channels.leader)
    assert found["acknowledged"] == {"some1": 51, "some2": 50}
    assert found["trouble"] == ""
    assert publishing(channels, channels, "more", 1, 5, 20).rate > 0
    run("resuming", channels.port, "some1", "earliest", 3, 51, channels.leader)
    with pytest.raises(Unavailable, match=r"some got more messages than others|messages had come"):
        run("resuming", channels.port, "some1", "earliest", 3, 50, channels.leader)


def test_subscribers_to_whom_something_is_said_are_not_idle(channels: Server) -> None:
    with staying("listeners", channels.port, "idle", 3):
        pass
    with (
        pytest.raises(Unavailable, match="a message came that nobody published"),
        staying("listeners", channels.port, "loud1", 2),
    ):
        publishing(channels, channels, "loud", 1, 1, 1)


def test_subscribers_who_get_nothing_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "PATIENCE", 0.3)
    monkeypatch.setattr(crowd, "SETTLING", 0.1)
    with load_backend(tmp_path, "echo") as (silent,):
        some = crowd.Crowd(silent, "/", 2)
        (poster,) = crowd.posters(some, "/", 1).values()
        with pytest.raises(ConnectionError, match="not all who subscribed got a message"):
            some.settle(poster)
