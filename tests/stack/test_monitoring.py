"""Metrics of a running stack, and the alerts and the dashboard of `heliograph export monitoring` that use them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from proxy_tests.processes import PATIENCE, ROOT

from tests.heliograph.cli.calling import called
from tests.stack.running import Stack

#: What Grafana puts into an expression.
INTERVAL = "$__rate_interval"

#: Of Prometheus itself.
ITS_OWN = {"up"}

_METRIC = re.compile(r"\b(?:heliograph_\w+|up)\b")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    ended = called("export", "monitoring", "-o", str(folder), cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    return folder / "monitoring"


def promtool(*arguments: str | Path, text: str = "") -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing")
    ended = subprocess.run(
        [found, *map(str, arguments)], input=text, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def exposed(stack: Stack) -> list[str]:
    """What proxy and instances tell Prometheus."""
    urls = [f"{stack.admin_url}/metrics", *(f"{url}/-/metrics" for url in stack.instance_urls)]
    return [requests.get(url, timeout=PATIENCE).text for url in urls]


def series(text: str) -> set[str]:
    """The names that a query may use, whether there is a value yet or not."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        found |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if kind == "histogram" else {name}
    return found


def dashboard_expressions(files: Path) -> list[str]:
    document: dict[str, Any] = json.loads((files / "grafana.json").read_text())
    return [
        target["expr"].replace(INTERVAL, "5m")
        for panel in document["panels"]
        for target in panel.get("targets", ())
    ]


def as_rules(expressions: list[str]) -> str:
    """A file for Prometheus, which takes JSON for YAML."""
    rules = [{"record": f"checked:{number}", "expr": one} for number, one in enumerate(expressions)]
    return json.dumps({"groups": [{"name": "checked", "rules": rules}]})


def test_promtool_is_content_with_what_the_layers_tell(stack: Stack) -> None:
    for text in exposed(stack):
        assert promtool("check", "metrics", text=text) == ""


def test_alerts_and_dashboard_use_what_a_stack_tells_and_nothing_else(stack: Stack, files: Path) -> None:
    known = set.union(*map(series, exposed(stack))) | ITS_OWN
    rules = (files / "rules.yml").read_text()
    queries = re.findall(r"expr: (.*?)\n +(?:for|labels):", rules, re.DOTALL)
    assert len(queries) == rules.count("- alert:")
    for query in (*queries, *dashboard_expressions(files)):
        named = set(_METRIC.findall(query))
        assert named, query
        assert named <= known, f"{named - known} in {query}"


def test_promtool_takes_the_rules_the_configuration_and_the_dashboard_s_queries(
    files: Path, tmp_path: Path
) -> None:
    assert "SUCCESS" in promtool("check", "config", files / "prometheus.yml")  # with the rules that it names
    queries = tmp_path / "queries.json"
    queries.write_text(as_rules(dashboard_expressions(files)))
    assert "SUCCESS" in promtool("check", "rules", queries)
    panels = json.loads((files / "grafana.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_prometheus_has_the_token_of_the_proxy_where_it_wants_one(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/proxy.toml").write_text(f'admin_token = "{"t" * 40}"\n')
    assert called("export", "monitoring", cwd=tmp_path).returncode == 0
    text = (tmp_path / "monitoring/prometheus.yml").read_text()
    proxy, _, instances = text.partition("-instances\n")
    assert "authorization: { credentials_file: admin_token }\n" in proxy
    assert "authorization" not in instances
    assert "t" * 40 not in text
    (tmp_path / "monitoring/admin_token").write_text("t" * 40)
    assert "SUCCESS" in promtool("check", "config", tmp_path / "monitoring/prometheus.yml")


def test_alerts_fire_when_they_should(files: Path, tmp_path: Path) -> None:
    backend = {"backend": "web2", "instance": "a", "job": "x"}
    labels = ",".join(f'{key}="{value}"' for key, value in backend.items())
    durations = "heliograph_proxy_request_duration_seconds_count"
    test = {
        "rule_files": [str(files / "rules.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f"heliograph_proxy_backend_up{{{labels}}}", "values": "1x4 0x20"},
                    {"series": f'{durations}{{status="2xx"}}', "values": "0+90x30"},
                    {"series": f'{durations}{{status="5xx"}}', "values": "0x9 0+10x20"},
                    {"series": 'heliograph_log_errors_total{instance="a"}', "values": "0x30"},
                ],
                "alert_rule_test": [
                    {"eval_time": "4m", "alertname": "HeliographBackendDown", "exp_alerts": []},
                    {
                        "eval_time": "8m",
                        "alertname": "HeliographBackendDown",
                        "exp_alerts": [
                            {
                                "exp_labels": {**backend, "severity": "critical"},
                                "exp_annotations": {
                                    "summary": "The proxy's checks of web2 fail",
                                    "description": "Requests go to the other backends. "
                                    "`heliograph proxy status` has the checks.",
                                },
                            }
                        ],
                    },
                    {"eval_time": "8m", "alertname": "HeliographErrors", "exp_alerts": []},
                    {
                        "eval_time": "25m",
                        "alertname": "HeliographErrors",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "critical"},
                                "exp_annotations": {
                                    "summary": "10% of the answers are errors",
                                    "description": "More than 5 % of the requests were answered with a status "
                                    "from 500 on, for 5 minutes.",
                                },
                            }
                        ],
                    },
                    {"eval_time": "25m", "alertname": "HeliographLogErrors", "exp_alerts": []},
                ],
            }
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps(test))
    assert "SUCCESS" in promtool("test", "rules", file)
