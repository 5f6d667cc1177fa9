from __future__ import annotations

import pytest
from heliograph_proxy.problem_document import document
from heliograph_proxy.sentences import MAX_FOREIGN, because, full_stop, one_full_stop


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        ("Connection closed by server.", "Redis: Connection closed by server."),
        ("no stop", "Redis: no stop."),
        ("dots...", "Redis: dots."),
        ("two lines\nare one", "Redis: two lines."),
        ("\n\n  later. \n", "Redis: later."),
        ("colon:", "Redis: colon."),
        (OSError(28, "No space left on device"), "Redis: [Errno 28] No space left on device."),
        (OSError(), "Redis: OSError."),
        ("a\x00b\x1b[0m", "Redis: ab[0m."),
        ("why?", "Redis: why?."),
    ],
)
def test_a_foreign_text_ends_with_one_full_stop(foreign: object, expected: str) -> None:
    assert because("Redis", foreign) == expected


def test_a_foreign_text_is_bounded() -> None:
    assert len(full_stop("x" * 10_000)) == MAX_FOREIGN + 2


def test_no_problem_document_ends_with_two_full_stops() -> None:
    assert document("n", "t", 500, "The backend says: gone..", {})["detail"] == "The backend says: gone."
    assert one_full_stop("Wait.") == "Wait."
    assert one_full_stop("no stop") == "no stop"
