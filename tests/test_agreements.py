"""What the layers must agree on although they share no code: they meet on the wire only."""

from __future__ import annotations

import re

import pytest

import app.edge
import proxy.health
from app.errors import Stopping, catalogue
from proxy import errors as proxy_errors
from tests.processes import ROOT

CATALOGUE = {(kind.name, kind.status) for kind in catalogue()}


def proxy_problems() -> list[type[proxy_errors.Problem]]:
    pending: list[type[proxy_errors.Problem]] = [proxy_errors.Problem]
    found: set[type[proxy_errors.Problem]] = set()
    while pending:
        kind = pending.pop()
        found.add(kind)
        pending += kind.__subclasses__()
    return sorted(found, key=name_of)


def name_of(kind: type[proxy_errors.Problem]) -> str:
    return kind.name


@pytest.mark.parametrize("kind", proxy_problems(), ids=name_of)
def test_the_documentation_lists_every_problem_of_the_proxy(kind: type[proxy_errors.Problem]) -> None:
    assert (kind.name, kind.status) in CATALOGUE


def test_the_documentation_lists_every_problem_of_nginx() -> None:
    text = (ROOT / "nginx" / "snippets" / "problems.conf").read_text()
    names = re.search(r"map \$status \$problem_name \{(.*?)\}", text, re.DOTALL)
    assert names
    pairs = {(name, int(status)) for status, name in re.findall(r"(\d{3}) ([a-z-]+);", names[1])}
    assert len(pairs) > 10
    assert pairs <= CATALOGUE


def test_the_proxy_understands_an_instance_that_is_stopping() -> None:
    assert proxy.health.STOPPING in Stopping().body()


def test_the_application_knows_the_proxys_checks() -> None:
    assert proxy.health.AGENT == app.edge.PROBE_AGENT
