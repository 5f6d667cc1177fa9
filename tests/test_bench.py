"""The loads that comparisons rest on do what they say, and notice when what they load does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.harness import Unavailable, alternate, members, processor_seconds
from bench.loads import echo
from bench.loads.resident import staying
from bench.proxy_parts import bandwidth
from bench.proxy_parts.fronts import load_backend
from script.children import spawn
from tests.processes import ROOT, clean_environment


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
