"""What is counted."""

from __future__ import annotations

import re
from importlib.metadata import version

from proxy_tests.processes import until

from heliograph.request.metrics import RequestMetrics
from tests.serving import CLOSE, HOST, Server


def value(metrics: RequestMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_requests_are_counted_by_rule_and_never_by_path(server: Server) -> None:
    name = 'heliograph_requests_total{method="GET",route="/echo/delay/<seconds>",status="200"}'
    before = server.metrics().get(name, 0)
    server.get("/echo/delay/0")
    server.get("/echo/delay/0.0")
    assert server.metrics()[name] == before + 2


def test_what_no_rule_matches_is_counted_in_one_place(server: Server) -> None:
    for path in ("/a", "/b", "/c"):
        server.get(path)
    metrics = server.metrics()
    assert metrics['heliograph_requests_total{method="GET",route="none",status="404"}'] >= 3
    assert not any('"/a"' in name for name in metrics)


def test_what_is_refused_before_the_view_is_counted_by_its_rule(server: Server) -> None:
    name = 'heliograph_requests_total{method="POST",route="/echo",status="403"}'
    before = server.metrics().get(name, 0)
    head = b"POST /echo HTTP/1.1\r\nOrigin: https://evil.example\r\nContent-Length: 2\r\n"
    assert server.raw(head + CLOSE + b"\r\nhi").status == 403
    assert server.metrics()[name] == before + 1


def test_invented_methods_share_one_label(server: Server) -> None:
    for method in (b"BREW", b"STEEP"):
        server.raw(method + b" /echo/request HTTP/1.1\r\n" + CLOSE + b"\r\n")
    metrics = server.metrics()
    assert metrics['heliograph_requests_total{method="other",route="/echo/request",status="200"}'] >= 2
    assert not any("BREW" in name for name in metrics)


def test_durations_go_to_buckets() -> None:
    metrics = RequestMetrics()
    metrics.observe("GET", "/x", 200, 0.3)
    assert value(metrics, "heliograph_request_duration_seconds_bucket", route="/x", le="0.25") == 0
    assert value(metrics, "heliograph_request_duration_seconds_bucket", route="/x", le="0.5") == 1


def test_two_applications_count_for_themselves() -> None:
    one, other = RequestMetrics(), RequestMetrics()
    one.in_flight.inc()
    assert b"heliograph_requests_in_flight 1.0" in one.render()
    assert b"heliograph_requests_in_flight 0.0" in other.render()


def counts(server: Server, name: str) -> float:
    """All routes together."""
    return sum(number for key, number in server.metrics().items() if key.startswith(f"{name}_count"))


def test_streams_are_not_among_the_requests_and_a_client_that_left_is_499(server: Server) -> None:
    streams = "heliograph_stream_duration_seconds"
    before = counts(server, streams)
    with server.connect() as client:
        client.send(b"GET /channels/lebowski/events HTTP/1.1\r\n" + HOST + b"X-Request-Id: left-1\r\n\r\n")
        assert b"text/event-stream" in client.socket.recv(65536)
    assert server.logged(request_id="left-1")["status"] == 499
    assert counts(server, streams) == before + 1
    assert 'request_duration_seconds_count{route="/channels/<name>/events"' not in str(server.metrics())


def test_a_client_that_left_inside_its_answer_is_499(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /echo/bytes/50000000 HTTP/1.1\r\n" + HOST + b"X-Request-Id: left-2\r\n\r\n")
        assert client.socket.recv(65536)
    line = server.logged(request_id="left-2")
    assert (line["status"], line["complete"]) == (499, False)
    assert server.raw(b"HEAD /echo/bytes/5 HTTP/1.1\r\n" + CLOSE + b"\r\n", "HEAD").status == 200


def test_an_instance_tells_what_its_process_uses_and_what_it_is(server: Server) -> None:
    metrics = server.metrics()
    assert metrics["heliograph_process_resident_memory_bytes"] > 1 << 20
    assert metrics["heliograph_process_cpu_seconds_total"] > 0
    assert metrics["heliograph_process_open_fds"] >= 3
    [build] = [name for name in metrics if name.startswith("heliograph_build_info{")]
    assert f'version="{version("heliograph")}"' in build
    ticks = "heliograph_loop_lag_seconds_count"
    until(lambda: server.metrics()[ticks] > metrics[ticks], "the loop's timer")


def test_what_belongs_to_the_process_is_not_summed_over_its_applications() -> None:
    parts = [RequestMetrics(), RequestMetrics()]
    text = RequestMetrics(parts).render().decode()
    assert len(re.findall(r"^heliograph_process_open_fds ", text, re.MULTILINE)) == 1
    assert re.search(r"^heliograph_build_info\{.*\} 1\.0$", text, re.MULTILINE)
