"""Who gets slots for codec jobs, and in which order."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from app.codec.slots import SlotRequest, Slots
from heliograph.request.shares import three_quarters


class Desk:
    """Slots, and the requests that have some, by the letters of their clients and their numbers of slots ("a3")."""

    def __init__(self, size: int) -> None:
        self.slots = Slots(size)
        self.running: list[SlotRequest] = []

    def arrive(self, text: str) -> bool:
        client, wanted = text[0], int(text[1:])
        request = SlotRequest(
            client, self.slots.fitting(client, wanted), lambda: self.running.append(request)
        )
        return self.slots.arrive(request)

    def end(self, request: SlotRequest) -> None:
        self.running.remove(request)
        self.slots.release(request)

    def shown(self) -> str:
        return " ".join(f"{request.client}{request.count}" for request in self.running)


def desk(size: int, *arrivals: str) -> Desk:
    found = Desk(size)
    for text in arrivals:
        assert found.arrive(text)
    return found


def test_a_client_has_three_quarters_of_the_running_and_of_the_waiting_places() -> None:
    found = desk(4, *["a1"] * 6)
    assert found.shown() == "a1 a1 a1"
    assert not found.arrive("a1")
    assert found.arrive("b1")
    assert found.shown() == "a1 a1 a1 b1"
    assert found.arrive("c1")
    assert not found.arrive("d1")  # all waiting places are taken


def test_a_full_queue_does_not_keep_free_slots_from_others() -> None:
    found = desk(4, *["a1"] * 6, "b1", "c1")
    found.end(found.running[3])
    assert found.shown() == "a1 a1 a1 c1"


def test_a_large_job_is_passed_by_jobs_that_fit_beside_it() -> None:
    found = desk(4, "a1", "a1", "b3", "c1")
    assert found.shown() == "a1 a1 c1"


def test_jobs_that_overtake_take_only_what_the_large_one_would_leave_free() -> None:
    found = desk(4, "a1", "a1", "b3", "c1", "c1", "d1")
    assert found.shown() == "a1 a1 c1"
    found.end(found.running[0])
    found.end(found.running[0])
    assert found.shown() == "c1 b3"


def test_a_stream_of_small_jobs_does_not_starve_a_large_one() -> None:
    found = desk(4, "a1", "c1", "c1", "b3")
    for number in range(8):
        found.arrive("acd"[number % 3] + "1")
        found.end(found.running[0])
        if "b3" in found.shown():
            return
    pytest.fail("the large job never ran")


def test_a_job_never_needs_more_than_its_client_may_have() -> None:
    assert [desk(size, "a99").shown() for size in (1, 2, 3, 4, 8)] == ["a1", "a2", "a3", "a3", "a6"]


def test_a_large_job_whose_client_has_its_share_holds_up_nobody() -> None:
    assert desk(4, "a1", "a3", "b1", "c1", "d1").shown() == "a1 b1 c1 d1"


@pytest.mark.parametrize("seed", range(20))
def test_no_slot_is_idle_while_a_job_could_have_it_and_no_share_is_exceeded(seed: int) -> None:
    chance = random.Random(seed)
    found = Desk(chance.randint(1, 8))
    slots = found.slots
    for _ in range(300):
        if chance.random() < 0.55:
            found.arrive(chance.choice("abcd") + str(chance.randint(1, 4)))
        elif slots.waiting and chance.random() < 0.2:
            slots.give_up(chance.choice(slots.waiting))
        elif found.running:
            found.end(chance.choice(found.running))
        taken = Counter[str]()
        for request in found.running:
            taken[request.client] += request.count
        assert slots.free == slots.size - sum(taken.values()) >= 0
        most = three_quarters(slots.size)
        assert all(count <= most for count in taken.values())
        assert len(slots.waiting) <= slots.size
        queued = Counter(request.client for request in slots.waiting)
        assert all(count <= most for count in queued.values())
        could = [r for r in slots.waiting if r.count <= slots.free and taken[r.client] + r.count <= most]
        large = [r for r in slots.waiting if r.count > 1 and taken[r.client] + r.count <= most]
        assert not could or (large and slots.free < large[0].count)
    while found.running:
        found.end(found.running[0])
    assert not slots.waiting
    assert slots.free == slots.size
