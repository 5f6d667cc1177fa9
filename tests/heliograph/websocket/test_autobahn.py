"""The Autobahn testsuite: chapters 1 to 7 and 10. `script/bench autobahn` runs the rest, which takes minutes, through nginx too."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.autobahn_parts import suite
from bench.autobahn_parts.python27 import MISSING, base_interpreter
from bench.harness import Unavailable
from tests.serving import Server


def has_python27() -> bool:
    try:
        base_interpreter()
    except Unavailable:
        return False
    return True


#: Cases of the suite in these chapters, so that none is lost on the way.
CASES = 247


@pytest.mark.slow
@pytest.mark.skipif(not has_python27(), reason=MISSING)
def test_the_autobahn_testsuite_finds_nothing(server: Server, tmp_path: Path) -> None:
    url = f"{server.websocket_url}/ws/echo"
    verdicts = suite.run([url], suite.QUICK, tmp_path, at_once=4)
    assert len(verdicts) == CASES
    assert {case: verdict for case, verdict in verdicts.items() if not verdict.good(case)} == {}
