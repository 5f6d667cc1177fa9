"""The watch over the event loop of the proxy's process."""

from __future__ import annotations

import json
from pathlib import Path

from proxy_tests.backends import Backend
from proxy_tests.conftest import Client, until
from proxy_tests.processes import PYTHON, ROOT, Process, free_ports


def test_a_strategy_that_computes_is_logged_and_counted(tmp_path: Path, backend: Backend) -> None:
    port, admin = free_ports(2)
    backends = "".join(
        f'[[backend]]\nname = "{name}"\naddress = "127.0.0.1:{backend.port}"\n' for name in ("a", "b")
    )
    file = tmp_path / "proxy.toml"
    file.write_text(
        f'listen = "127.0.0.1:{port}"\nadmin = "127.0.0.1:{admin}"\n'
        f'strategy = "proxy_tests.computing:Computing"\n[log]\naccess = ""\n{backends}'
    )
    command = [PYTHON, "-m", "heliograph_proxy", "run", "-c", str(file)]
    path = {"PYTHONPATH": str(ROOT / "proxy" / "tests")}
    with Process(command, tmp_path / "out", path) as process:

        def seconds() -> float:
            with Client(admin) as client:
                text = client.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body.decode()
            return float(text.split("\nheliograph_proxy_loop_stalled_seconds ")[1].split()[0])

        until(lambda: "listening on" in process.output, "the proxy to listen")
        before = seconds()
        with Client(port) as client:
            client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: seconds() > before + 0.1, "the stall to be counted")
        lines = [json.loads(line) for line in process.output.splitlines() if line.startswith("{")]
        stalls = [line for line in lines if line.get("event") == "loop-stalled"]
        assert any("in select" in stall["stack"] and stall["over"] for stall in stalls), stalls
