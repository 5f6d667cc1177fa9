"""Exact sequences and shares of the strategies, without sockets and with a clock that the test turns."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.strategies import (
    STEP_SECONDS,
    STRATEGIES,
    IpHash,
    LeastConnections,
    LeastTime,
    RandomTwo,
    RequestInfo,
    RoundRobin,
    Strategy,
    create,
)
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import HealthSettings, backend

REQUEST = RequestInfo("10.0.0.1", 0.0)


def make(**weights: int) -> list[Backend]:
    return [
        Backend(backend({"name": name, "address": "127.0.0.1:1", "weight": weight}, "x"), HealthSettings())
        for name, weight in weights.items()
    ]


def order(strategy: Strategy, backends: list[Backend], count: int) -> str:
    return "".join(strategy.select(backends, REQUEST).name for _ in range(count))


def test_round_robin_is_smooth() -> None:
    assert order(RoundRobin(), make(a=5, b=1, c=1), 14) == "aabacaa" * 2


def test_round_robin_shares_by_weight_while_backends_come_and_go() -> None:
    strategy, backends = RoundRobin(), make(a=3, b=1)
    assert Counter(order(strategy, backends, 400)) == {"a": 300, "b": 100}
    assert set(order(strategy, backends[:1], 5)) == {"a"}
    assert Counter(order(strategy, backends, 400))["a"] in range(295, 306)


def test_least_connections_takes_the_least_loaded_for_its_weight_and_turns_among_equals() -> None:
    strategy, backends = LeastConnections(), make(a=1, b=1, c=2)
    assert order(strategy, backends, 2) == "cc"
    backends[2].active = 1  # (1 + 1) / 2, as the others' (0 + 1) / 1
    assert sorted(order(strategy, backends, 4)) == sorted("abcc")
    backends[0].active = backends[2].active = 5
    assert order(strategy, backends, 3) == "bbb"


def test_least_time_takes_the_fastest_that_is_not_too_busy() -> None:
    strategy, backends = LeastTime(), make(a=1, b=1)
    backends[0].latency.observe(0.010, 0.0)
    backends[1].latency.observe(0.030, 0.0)
    assert order(strategy, backends, 3) == "aaa"
    backends[0].active = 2
    assert order(strategy, backends, 1) in "ab"
    backends[0].active = 3
    assert order(strategy, backends, 3) == "bbb"


def test_least_time_gives_a_slow_backend_another_chance_when_its_average_has_decayed() -> None:
    strategy, backends = LeastTime(), make(a=1, b=1)
    backends[1].latency.observe(1.0, 0.0)

    def chosen(now: float) -> str:
        backends[0].latency.observe(0.030, now)
        return strategy.select(backends, RequestInfo("x", now)).name

    assert [chosen(now) for now in (0.0, 10.0, 20.0)] == ["a", "a", "a"]
    assert chosen(60.0) == "b"


def test_an_untested_backend_counts_as_the_median() -> None:
    strategy, backends = LeastTime(), make(a=1, b=1, n=1, c=1)
    for one, seconds in zip((backends[0], backends[1], backends[3]), (0.010, 0.020, 0.500), strict=True):
        one.latency.observe(seconds, 0.0)
    assert order(strategy, backends, 5) == "aaaaa"  # no herd to the new one
    backends[0].active = 2
    assert set(order(strategy, backends, 4)) == {"b", "n"}


def test_times_that_differ_by_chance_alone_are_equal() -> None:
    strategy, backends = LeastTime(), make(a=1, b=1)
    backends[0].latency.observe(STEP_SECONDS / 10, 0.0)
    backends[1].latency.observe(STEP_SECONDS, 0.0)
    assert sorted(order(strategy, backends, 4)) == list("aabb")


def test_random_two_shares_by_weight_and_never_takes_the_most_loaded() -> None:
    strategy, backends = RandomTwo(Random(1)), make(a=1, b=1, c=1)
    shares = Counter(order(strategy, backends, 3000))
    assert all(800 < shares[name] < 1400 for name in "abc")
    backends[2].active = 9
    assert "c" not in order(strategy, backends, 300)


CLIENTS = [f"10.{one}.{two}.1" for one in range(50) for two in range(40)]


def homes(backends: list[Backend]) -> dict[str, str]:
    strategy = IpHash()
    return {client: strategy.select(backends, RequestInfo(client, 0.0)).name for client in CLIENTS}


def test_ip_hash_keeps_clients_and_spreads_them_by_weight() -> None:
    shares = Counter(homes(make(a=1, b=1, c=2)).values())
    assert shares["c"] / len(CLIENTS) == pytest.approx(0.5, abs=0.05)
    assert shares["a"] / len(CLIENTS) == pytest.approx(0.25, abs=0.05)


def test_losing_one_backend_moves_only_its_own_clients() -> None:
    backends = make(a=1, b=1, c=1, d=1)
    before, after = homes(backends), homes(backends[:3])
    moved = [client for client in CLIENTS if before[client] != after[client]]
    assert {before[client] for client in moved} == {"d"}
    assert len(moved) / len(CLIENTS) <= 1 / 4 + 0.05


def test_every_strategy_of_the_settings_can_be_made() -> None:
    for name in STRATEGIES:
        assert create(name, Random(1)).select(make(a=1, b=1), REQUEST).name in "ab"


class Last:
    """A strategy of a user's own."""

    def select(self, backends: list[Backend], request: RequestInfo) -> Backend:
        return backends[-1]


def test_a_users_own_class_is_found_by_its_path() -> None:
    assert create("proxy_tests.test_strategies:Last", Random(1)).select(make(a=1, b=1), REQUEST).name == "b"


@pytest.mark.parametrize(
    "path",
    [
        "nowhere.at:All",
        "heliograph_proxy.balancing.strategies:Nothing",
        "heliograph_proxy.balancing.strategies:create",
        "heliograph_proxy.values:NAME",
    ],
)
def test_a_path_that_leads_nowhere_is_an_error_of_the_start(path: str) -> None:
    with pytest.raises(SettingsError, match="strategy"):
        create(path, Random(1))
