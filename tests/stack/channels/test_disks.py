"""A disk that is full or cannot be written to: a clear 503, nothing lost, and it heals without a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from heliograph_client import Client
from proxy_tests.processes import until

from tests.heliograph.channels.served.talking import PATIENCE, get, post, refused
from tests.heliograph.channels.test_sqlite import read_only, small_disk
from tests.serving import Server
from tests.stack.channels.following import SocketFollower

#: What fills a disk of one mebibyte soon.
LARGE = "x" * 50_000

#: So many do not fit.
MOST = 100


def fill(folder: Path) -> None:
    """Another program's file takes what is left."""
    disk = os.statvfs(folder)
    with pytest.raises(OSError, match="No space left"):
        (folder / "other").write_bytes(b"x" * (disk.f_blocks * disk.f_frsize))


def unready(server: Server) -> str:
    """Why it says that it is not ready; nothing if it is."""
    answer = get(server, "/readyz")
    state = str(answer.json()["checks"]["channels"])
    assert answer.status_code == (200 if state == "ok" else 503)
    return "" if state == "ok" else state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_a_503_with_the_reason_and_heals(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    settings = {"HELIOGRAPH_CHANNELS": f"sqlite:///{disk}/channels.db"}
    with (
        small_disk(disk) as grow,
        Server(tmp_path, settings) as server,
        SocketFollower(server.started().url, "a") as follower,
    ):
        stored = 0
        while (answer := post(server, "a", f"{stored + 1} {LARGE}")).status_code == 201:
            stored += 1
            assert answer.json()["offset"] == stored < MOST
        fill(disk)
        for refusal in (answer, post(server, "a", f"{stored + 1} {LARGE}")):
            assert "full" in refused(refusal, 503, "channels-unavailable")["detail"]
            assert int(refusal.headers["Retry-After"]) > 0
        assert "full" in unready(server)
        grow()
        with Client(server.url) as client:  # repeats what is refused until it is stored
            assert client.publish("a", str(stored + 1), timeout=PATIENCE).offset == stored + 1
        until(lambda: not unready(server), "healing")  # an answer holds for a second
        until(lambda: follower.reached(stored + 1), "the last message")
        assert follower.told == list(range(1, stored + 2))
        assert "Traceback" not in server.output


@pytest.mark.slow
def test_a_read_only_file_is_a_503_with_the_reason_and_heals(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    settings = {"HELIOGRAPH_CHANNELS": f"sqlite:///{disk}/channels.db"}
    with Server(tmp_path, settings) as server:
        epoch = post(server.started(), "a", "1").json()["epoch"]
    with read_only(disk) as writable, Server(tmp_path, settings) as server:
        answer = post(server.started(), "a", "2")
        detail = refused(answer, 503, "channels-unavailable")["detail"]
        assert any(reason in detail for reason in ("written", "Read-only", "denied"))
        assert int(answer.headers["Retry-After"]) > 0
        assert unready(server)
        writable()
        until(lambda: not unready(server), "healing")
        assert post(server, "a", "2").json()["offset"] == 2
        assert post(server, "a", "3").json()["epoch"] == epoch
        assert "Traceback" not in server.output
