"""What is counted, and that Prometheus reads it as it was meant."""

from __future__ import annotations

import gevent
import pytest
from heliograph_proxy.admin import exposition, process
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.latency import UNKNOWN
from heliograph_proxy.looplag import LoopLag
from heliograph_proxy.metrics import BUCKETS, Histogram, ProxyMetrics
from heliograph_proxy.settings import HealthSettings, backend
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from proxy_tests.backends import CLOSE, Peer, Received, handshake, saying
from proxy_tests.backends import Backend as Server
from proxy_tests.conftest import StartProxy, until

UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def samples(metrics: ProxyMetrics, backends: list[Backend]) -> dict[str, float]:
    """Each sample by its name and labels, as a scraper reads them."""
    found = {}
    for family in text_string_to_metric_families(exposition.text(metrics, backends).decode()):
        for one in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
            found[one.name + (f"{{{labels}}}" if labels else "")] = one.value
    return found


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (60.0, "60.0"), (61.0, "+Inf")],
)
def test_a_bound_belongs_to_its_bucket(seconds: float, bound: str) -> None:
    histogram = Histogram()
    histogram.observe(seconds)
    counts = dict(histogram.buckets())
    bounds = [str(one) for one in BUCKETS] + ["+Inf"]
    assert [counts[one] for one in bounds] == [
        float(number >= bounds.index(bound)) for number in range(len(bounds))
    ]


@given(st.lists(st.floats(0, 100)))
def test_buckets_are_cumulative_and_end_with_the_count(given_: list[float]) -> None:
    histogram = Histogram()
    for seconds in given_:
        histogram.observe(seconds)
    counts = [count for _, count in histogram.buckets()]
    assert counts == sorted(counts)
    assert counts[-1] == len(given_)
    assert counts[:-1] == [sum(seconds <= bound for seconds in given_) for bound in BUCKETS]
    assert histogram.total == pytest.approx(sum(given_))


def test_a_loop_is_late_by_what_its_timer_ran_after_it_was_due() -> None:
    lag = LoopLag()
    for now in (100.0, 100.5, 101.03, 101.5, 103.0):  # in time, 0.03 s late, early after that, 1 s late
        lag.tick(now)
    assert lag.late.total == pytest.approx(1.03)
    counts = dict(lag.late.buckets())
    assert [counts[bound] for bound in ("0.001", "0.05", "1.0", "+Inf")] == [2, 3, 4, 4]


def test_the_process_tells_what_it_uses_and_what_it_is() -> None:
    lag = LoopLag()
    text = exposition.text(ProxyMetrics(), [], process.collectors(lag)).decode()
    found = {one.name: one for family in text_string_to_metric_families(text) for one in family.samples}
    assert found["heliograph_proxy_process_resident_memory_bytes"].value > 1 << 20
    assert found["heliograph_proxy_process_cpu_seconds_total"].value > 0
    assert found["heliograph_proxy_process_open_fds"].value >= 3
    assert found["heliograph_proxy_build_info"].labels["kernel"] in ("compiled", "pure")
    assert found["heliograph_proxy_loop_lag_seconds_count"].value == 0


def test_what_is_counted_is_what_is_scraped() -> None:
    metrics = ProxyMetrics()
    metrics.requests, metrics.connections, metrics.refused_connections, metrics.bytes_sent = 3, 2, 1, 1000
    metrics.problems[502] += 2
    metrics.answered("web1", 200, 0.5)
    metrics.answered("web1", 204, 1.5)
    metrics.answered("-", 502, 0.1)
    web1 = Backend(backend({"name": "web1", "address": "127.0.0.1:1", "weight": 7}, "x"), HealthSettings())
    web1.healthy, web1.active, web1.tunnels, web1.queued = False, 4, 5, 6
    web1.requests, web1.failures, web1.retries = 30, 20, 10
    found, prefix = samples(metrics, [web1]), "heliograph_proxy_"
    expected = {
        "requests_total": 3, "connections": 2, "refused_connections_total": 1, "sent_bytes_total": 1000,
        "problems_total{status=502}": 2,
        "request_duration_seconds_count{backend=web1,status=2xx}": 2,
        "request_duration_seconds_sum{backend=web1,status=2xx}": 2.0,
        "request_duration_seconds_bucket{backend=web1,le=0.5,status=2xx}": 1,
        "request_duration_seconds_bucket{backend=web1,le=+Inf,status=2xx}": 2,
        "request_duration_seconds_count{backend=-,status=5xx}": 1,
        "backend_up{backend=web1}": 0, "backend_weight{backend=web1}": 7, "backend_active_requests{backend=web1}": 4,
        "backend_tunnels{backend=web1}": 5, "backend_queued_requests{backend=web1}": 6,
        "backend_requests_total{backend=web1}": 30, "backend_failures_total{backend=web1}": 20,
        "backend_retries_total{backend=web1}": 10,
    }  # fmt: skip
    assert {prefix + name: value for name, value in expected.items()}.items() <= found.items()


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("kind", [b"text/event-stream", b"Application/X-NDJSON; charset=utf-8", b"websocket"])
def test_streams_are_not_among_the_requests(start_proxy: StartProxy, backend: Server, kind: bytes) -> None:
    def stream(peer: Peer, request: Received) -> object:
        gevent.sleep(0.1)  # as where the head comes with the first event
        peer.send(handshake(request) if kind == b"websocket" else STREAM % kind)
        peer.sock.recv(1)
        return CLOSE

    backend.script = stream
    proxy = start_proxy(backend)
    upgrade = UPGRADE if kind == b"websocket" else b""
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n" + upgrade + b"\r\n")
        client.read_until(b"\r\n\r\n")
        until(lambda: proxy.backends[0].tunnels, "the stream")
    until(proxy.idle, "the end of the stream")
    metrics, one = proxy.runtime.metrics, proxy.backends[0]
    assert not metrics.durations
    assert [sum(each.counts) for each in metrics.stream_durations.values()] == [1]
    assert (one.response_time, one.latency.value(0.0)) == (0.0, UNKNOWN)
    found = samples(metrics, proxy.backends)
    assert sum(value for name, value in found.items() if "stream_duration_seconds_count" in name) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n{}\n",
        b"HTTP/1.1 503 No\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_file_of_records_and_an_error_are_requests(
    start_proxy: StartProxy, backend: Server, raw: bytes
) -> None:
    backend.script = saying(raw)
    proxy = start_proxy(backend)
    proxy.get()
    until(lambda: proxy.runtime.metrics.durations, "the request to be counted")
    assert not proxy.runtime.metrics.stream_durations


def test_nothing_counted_yet_is_a_good_scrape_too() -> None:
    found = samples(ProxyMetrics(), [])
    assert found["heliograph_proxy_requests_total"] == 0
    assert not any("backend" in name for name in found)
