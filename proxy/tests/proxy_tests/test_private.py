"""Paths that are not for the outside, in every spelling a server may understand."""

from __future__ import annotations

import pytest
from heliograph_proxy.private import PROBE, covers, prefixes

from proxy_tests.backends import Backend
from proxy_tests.conftest import StartProxy

PRIVATE = prefixes(["/metrics", "/inner/Part/"])

COVERED = [
    "/metrics",
    "/metrics/",
    "/metrics/below",
    "/metrics?x=/y",
    "/METRICS",
    "//metrics",
    "/%6Detrics",
    "/%2fmetrics",
    "/a/../metrics",
    "/a/%2E%2e/metrics",
    "/../metrics",
    "/./metrics",
    "/metrics/.",
    "/inner/part",
    "/inner//PART/more",
]

OTHERS = [
    "/",
    "/metricsx",
    "/a/metrics",
    "/inner",
    "/inner/parts",
    "/metrics/..",
    "/metrics%00",
    "/?/metrics",
    "*",
]


@pytest.mark.parametrize("target", COVERED)
def test_a_private_path_is_covered(target: str) -> None:
    assert covers(PRIVATE, target.encode())


@pytest.mark.parametrize("target", OTHERS)
def test_another_one_is_not(target: str) -> None:
    assert not covers(PRIVATE, target.encode())


@pytest.mark.parametrize("path", ["", "/", "metrics", "/a b", '/"', "/a/../b", "/a?b", "//a", "/%61"])
def test_what_is_no_plain_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"^" + path.replace("?", r"\?") + "$"):
        prefixes(["/good", path])


def test_the_proxy_answers_them_itself(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, private=["/metrics"])
    for target in ("/metrics", "/%4detrics/x", "//metrics?a"):
        assert proxy.get(target).problem()["status"] == 404
    assert backend.requests == []
    with proxy.client() as client:
        head = client.ask(b"HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD")
        assert (head.status, client.ended()) == (404, True)
    assert proxy.get("/metricsx").status == 200
    assert [record["status"] for record in proxy.records(5)] == [404] * 4 + [200]
    with proxy.admin() as client:  # its own path of that name stays
        assert client.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


TOLD = {"X_Forwarded_For": "203.0.113.7", "X_Request_Id": "told-1"}


def test_a_refusal_names_the_client_and_the_id_that_a_trusted_peer_tells(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, private=["/metrics"])
    assert proxy.get("/metrics", **TOLD).field("X-Request-Id") == "told-1"
    [record] = proxy.records()
    assert (record["client"], record["request_id"], record["status"]) == ("203.0.113.7", "told-1", 404)


def test_the_managers_question_is_neither_logged_nor_counted(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, private=[PROBE])
    assert proxy.get(PROBE).status == 404
    assert proxy.get("/").status == 200
    assert [record["target"] for record in proxy.records(1)] == ["/"]
    assert proxy.runtime.metrics.requests == 1


def test_the_question_of_a_client_behind_a_trusted_peer_is_logged(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, private=[PROBE])
    assert proxy.get(PROBE, **TOLD).status == 404
    [record] = proxy.records()
    assert (record["client"], record["target"]) == ("203.0.113.7", PROBE)
    assert proxy.runtime.metrics.requests == 1
