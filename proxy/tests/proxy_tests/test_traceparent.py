"""What a `traceparent` says, in the log and on the way to the backend."""

from __future__ import annotations

import pytest
from heliograph_proxy.accesslog import Record, combined_line
from heliograph_proxy.traceparent import trace_id

from proxy_tests.backends import Backend, echo_head
from proxy_tests.conftest import StartProxy

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{SPAN}-01"

#: Valid ones, and those that are not.
VALID = (GIVEN, f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes")
INVALID = (
    "",
    GIVEN.upper(),
    GIVEN[:-1],
    f" {GIVEN}",
    f"{GIVEN}\n",
    f"{GIVEN}-more",
    f"ff-{TRACE}-{SPAN}-01",
    f"cc-{TRACE}-{SPAN}-01more",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
)


def test_a_traceparent_names_a_trace_where_it_is_valid() -> None:
    assert {trace_id(value) for value in VALID} == {TRACE}
    assert {trace_id(value) for value in INVALID} == {""}


@pytest.mark.parametrize("given", [[GIVEN], ["nonsense"], [GIVEN, GIVEN]], ids=["one", "invalid", "two"])
def test_the_trace_stands_in_the_log_and_its_fields_pass_as_they_are(
    start_proxy: StartProxy, given: list[str]
) -> None:
    with Backend(echo_head) as backend:
        proxy = start_proxy(backend)
        lines = "".join(f"Traceparent: {one}\r\n" for one in given)
        with proxy.client() as client:
            answer = client.ask(f"GET / HTTP/1.1\r\nHost: a\r\n{lines}tracestate: a=b\r\n\r\n".encode())
        assert f"\r\n{lines}tracestate: a=b\r\n" in answer.body.decode()
        [record] = proxy.records()
        assert record.get("trace_id") == (TRACE if given == [GIVEN] else None)


def test_the_combined_format_has_it_too() -> None:
    record = Record("one", "10.0.0.1")
    assert "trace_id" not in combined_line(record, 0.0)
    record.trace_id = TRACE
    assert f" request_id=one trace_id={TRACE} backend=" in combined_line(record, 0.0)
