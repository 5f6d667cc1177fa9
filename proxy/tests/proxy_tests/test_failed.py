"""Which exchanges are remembered as failed, and what of them."""

from __future__ import annotations

import pytest
from heliograph_proxy.accesslog import Record
from heliograph_proxy.admin.failures import KEPT, MAX_PATH, FailureLog


def record(**changes: object) -> Record:
    made = Record("id-1", "10.0.0.1")
    made.method, made.target, made.backend, made.tries, made.status = "GET", "/a?secret=1", "web1", 1, 502
    made.ended, made.reason = "bad-gateway", "refused"
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "refused"),
        ({"status": 504, "ended": "gateway-timeout", "reason": "60 s"}, "60 s"),
        ({"status": 500, "ended": "done", "reason": ""}, "the backend answered 500"),
        ({"status": 599, "ended": "done", "reason": ""}, "the backend answered 599"),
        ({"status": 200, "ended": "backend-cut", "reason": "the answer was cut"}, "the answer was cut"),
        ({"status": 101, "ended": "backend-disconnected", "reason": ""}, "backend-disconnected"),
        ({"status": 503, "ended": "unavailable", "tries": 0, "backend": "-"}, "refused"),
        ({"status": 500, "ended": "internal-error", "tries": 0}, "refused"),
        # Nobody's fault here, or nothing that anybody waited for.
        ({"status": 200, "ended": "done", "reason": ""}, None),
        ({"status": 200, "ended": "done", "tries": 2}, None),
        ({"status": 499, "ended": "done"}, None),
        ({"status": 400, "ended": "bad-request", "tries": 0}, None),
        ({"status": 413, "ended": "body-too-large"}, None),
        ({"status": 501, "ended": "not-implemented", "tries": 0}, None),
        ({"status": 505, "ended": "http-version-not-supported", "tries": 0}, None),
        ({"status": 0, "ended": "client-gone"}, None),
        ({"status": 200, "ended": "client-gone"}, None),
        ({"status": 413, "ended": "early-answer"}, None),
        ({"status": 101, "ended": "tunnel-idle"}, None),
        ({"status": 101, "ended": "client-disconnected"}, None),
    ],
)
def test_what_a_client_could_not_be_answered_is_kept(changes: dict[str, object], reason: str | None) -> None:
    failed = FailureLog()
    failed.add(record(**changes))
    assert [one["reason"] for one in failed.after(0)] == ([reason] if reason else [])


def test_a_failure_tells_who_when_and_where_but_no_query() -> None:
    failed = FailureLog(lambda: 1_700_000_000.12345)
    failed.add(record())
    assert failed.after(0) == [
        {
            **{"number": 1, "time": 1_700_000_000.123, "request_id": "id-1", "method": "GET", "path": "/a"},
            **{"backend": "web1", "tries": 1, "status": 502, "ended": "bad-gateway", "reason": "refused"},
        }
    ]


def test_the_last_ones_are_kept_and_the_new_ones_told() -> None:
    failed = FailureLog()
    for number in range(KEPT + 10):
        failed.add(record(request_id=str(number)))
    assert failed.number == KEPT + 10
    assert [one["request_id"] for one in failed.after(0)] == [str(n) for n in range(10, KEPT + 10)]
    assert [one["request_id"] for one in failed.after(KEPT + 8)] == [str(KEPT + 8), str(KEPT + 9)]
    assert failed.after(failed.number) == []


def test_a_long_path_is_cut() -> None:
    failed = FailureLog()
    failed.add(record(target="/" + "x" * 4000))
    assert len(failed.after(0)[0]["path"]) == MAX_PATH
