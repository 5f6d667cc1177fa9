"""The telegraph: channels, a rule and a check of the application's own code."""

from __future__ import annotations

import requests
from websockets.sync.client import connect

from tests.serving import Server

PATIENCE = 20


def post(server: Server, path: str, text: bytes, **headers: str) -> requests.Response:
    kind = {"Content-Type": "text/plain"}
    return requests.post(f"{server.url}{path}", text, headers={**kind, **headers}, timeout=PATIENCE)


def test_a_text_is_sent_in_morse_code_on_the_channel(server: Server) -> None:
    with connect(f"{server.websocket_url}/ws/channels/telegraph", open_timeout=PATIENCE) as socket:
        assert '"subscribed"' in str(socket.recv(PATIENCE))
        answer = post(server, "/telegrams", "SOS ☃".encode())
        sent = answer.json()
        assert (answer.status_code, sent["text"], sent["morse"]) == (201, "SOS ☃", "... --- ... / ..--..")
        assert '"data": {"text": "SOS ' in str(socket.recv(PATIENCE))
    shown = requests.get(f"{server.url}/telegrams", timeout=PATIENCE).json()["telegrams"]
    assert shown[-1] == sent


def test_clients_publish_nothing_there_themselves(server: Server) -> None:
    for method in ("POST", "DELETE"):
        answer = requests.request(method, f"{server.url}/channels/telegraph", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden"), method
    assert requests.get(f"{server.url}/channels/telegraph", timeout=PATIENCE).status_code == 200


def test_bad_texts_are_problems(server: Server) -> None:
    assert post(server, "/telegrams", b"x" * 1025).status_code == 413
    for kind in ("application/json", "application/x-www-form-urlencoded", "application/octet-stream"):
        refused = post(server, "/telegrams", b'{"text": "SOS"}', **{"Content-Type": kind})
        assert refused.json()["type"] == "/problems/unsupported-media-type", kind
    assert post(server, "/telegrams", b"\xff").json()["type"] == "/problems/bad-text"
    assert post(server, "/telegrams", b"x", Origin="https://evil.example").status_code == 403


def test_its_check_takes_part_in_readiness(server: Server) -> None:
    checks = requests.get(f"{server.url}/readyz", timeout=PATIENCE).json()["checks"]
    assert checks["telegraph"] == "ok"
