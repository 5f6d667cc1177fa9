"""What waits for one peer, with a kernel that takes as much as the test says."""

from __future__ import annotations

from heliograph.websocket.outbox import Outbox


class Kernel:
    """Takes so many bytes, and then no more."""

    def __init__(self) -> None:
        self.room = 0
        self.taken = b""

    def send(self, data: memoryview) -> int:
        size = min(self.room, len(data))
        if not size:
            raise BlockingIOError
        self.room -= size
        self.taken += data[:size]
        return size


def test_frames_go_out_in_order_as_there_is_room() -> None:
    kernel, outbox = Kernel(), Outbox()
    outbox.add(b"first", 2)
    outbox.add(b"second", offered=True)
    outbox.add(b"third")
    for expected in (b"rs", b"rsts", b"rstsecon", b"rstsecondthird"):
        kernel.room = len(expected) - len(kernel.taken)
        assert outbox.flush(kernel.send) == (expected[-5:] == b"third")
        assert kernel.taken == expected


def test_only_what_was_offered_and_still_waits_is_counted() -> None:
    kernel, outbox = Kernel(), Outbox()
    outbox.add(b"x" * 100)
    outbox.add(b"y" * 100, 40, offered=True)
    outbox.add(b"z" * 100, offered=True)
    assert outbox.offered == 160
    for room, left in ((90, 160), (10, 160), (30, 130), (30, 100), (99, 1)):
        kernel.room = room
        assert not outbox.flush(kernel.send)
        assert outbox.offered == left
    kernel.room = 1
    assert outbox.flush(kernel.send)
    assert outbox.offered == 0


def test_what_has_begun_is_kept_when_the_rest_is_dropped() -> None:
    kernel, outbox = Kernel(), Outbox()
    outbox.add(b"begun", 1, offered=True)
    outbox.add(b"waits", offered=True)
    outbox.pong = b"pong"
    outbox.drop()
    outbox.add(b"last")
    kernel.room = 1000
    assert outbox.flush(kernel.send)
    assert kernel.taken == b"egunlast"
    assert outbox.offered == 0


def test_a_pong_goes_out_between_two_frames() -> None:
    kernel, outbox = Kernel(), Outbox()
    outbox.add(b"first", 1)
    outbox.add(b"second")
    outbox.pong = b"pong"
    kernel.room = 1000
    assert outbox.flush(kernel.send)
    assert kernel.taken == b"irstpongsecond"


def test_everything_is_dropped_with_the_connection() -> None:
    kernel, outbox = Kernel(), Outbox()
    outbox.add(b"begun", 1)
    outbox.drop(all_of_it=True)
    assert outbox.flush(kernel.send)
    assert kernel.taken == b""
