"""What the layers must agree on although they share no code: they meet on the wire only."""

from __future__ import annotations

import re

import heliograph_proxy.balancing.health
import pytest
from heliograph_proxy import errors as proxy_errors
from heliograph_proxy import settings as proxy_settings
from proxy_tests.processes import ROOT

from heliograph.problems import Stopping, catalogue

CATALOGUE = {(kind.name, kind.status, kind.title) for kind in catalogue()}


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
    assert (kind.name, kind.status, kind.title) in CATALOGUE


def test_the_documentation_lists_every_problem_of_nginx() -> None:
    text = (ROOT / "nginx" / "snippets" / "problems.conf").read_text()
    names, titles = nginx_map(text, "problem_name"), nginx_map(text, "problem_title")
    assert len(names) > 10
    assert {(names[status], int(status), titles[status]) for status in names} <= CATALOGUE


def nginx_map(text: str, variable: str) -> dict[str, str]:
    """What nginx maps each status to."""
    found = re.search(rf"map \$status \${variable} \{{(.*?)\}}", text, re.DOTALL)
    assert found
    return {status: words.strip('"') for status, words in re.findall(r"(\d{3}) (\S+|\"[^\"]*\");", found[1])}


def test_the_proxy_understands_an_instance_that_is_stopping() -> None:
    assert heliograph_proxy.balancing.health.STOPPING in Stopping().body()


def test_the_configuration_of_the_proxy_in_this_checkout_has_every_default() -> None:
    settings = proxy_settings.load(str(ROOT / "conf" / "proxy.toml"))
    assert settings == proxy_settings.parse({"backend": [
        {"name": "web1", "address": "127.0.0.1:8100"},
        {"name": "web2", "address": "127.0.0.1:8101"},
    ]})  # fmt: skip
