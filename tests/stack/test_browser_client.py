"""The JavaScript client in Chromium, on a page with our Content-Security-Policy, against real instances and hostile servers."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from client_tests.tiny import Tiny, Visit, closing, message, saying, tiny_with
from heliograph_client import Client
from playwright.sync_api import Browser, BrowserContext, Page
from proxy_tests.processes import ROOT, until

from tests.heliograph.channels.instance import Instance

SECRET = "a secret of at least thirty-two bytes"

#: Collects what a channel tells, in the page.
OPEN = """async ([name, options]) => {
    const { Channel } = await import("/static/heliograph.js");
    if (options.tokens) options.token = () => options.tokens.shift();
    const channel = new Channel("/", name, { random: () => 0.05, ...options });
    const told = [];
    for (const type of ["message", "lost", "state"])
        channel.addEventListener(type, ({ detail }) =>
            told.push({ type, ...detail, error: detail.error && { text: detail.error.message, ...detail.error } }));
    globalThis.channels = [...(globalThis.channels ?? []), { channel, told }];
    return globalThis.channels.length - 1;
}"""


class Follower:
    """A channel in a page, and what it told."""

    def __init__(self, page: Page, name: str, **options: Any) -> None:
        self.page = page
        self.index = page.evaluate(OPEN, [name, options])

    def told(self, *types: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("index => channels[index].told", self.index)
        return [each for each in found if each["type"] in types]

    def data(self, count: int) -> list[Any]:
        """Of the messages, and "lost" for what was, once there are so many."""
        until(lambda: len(self.told("message", "lost")) >= count, f"{count} messages in the page")
        shown = self.told("message", "lost")
        return [each.get("data", "lost") for each in shown]

    def state(self, state: str, **facts: Any) -> dict[str, Any]:
        wanted = {"state": state, **facts}
        return until(
            lambda: next((each for each in self.told("state") if wanted.items() <= each.items()), None) or {},
            f"the state {wanted}",
        )

    def publish(self, data: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.page.evaluate(
            """([index, data]) => channels[index].channel.publish(data)
                .catch((error) => ({ error: error.message, uncertain: error.uncertain ?? false, status: error.status }))""",
            [self.index, data],
        )
        return answer

    def close(self) -> None:
        self.page.evaluate("index => channels[index].channel.close()", self.index)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """For all tests here; each uses another channel."""
    with Instance(tmp_path_factory.mktemp("instance")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One that asks for tokens."""
    with Instance(tmp_path_factory.mktemp("guarded"), {"HELIOGRAPH_AUTH_SECRET": SECRET}) as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A channel's, of this test only."""
    return f"t{zlib.crc32(request.node.name.encode()):x}"


def page_of(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/docs")
    return page


def without_websockets(context: BrowserContext) -> None:
    """As behind a middlebox that does not let them through."""
    context.route_web_socket("**/*", lambda socket: socket.close(code=1011))


@pytest.mark.slow
def test_two_pages_on_one_channel_tell_each_other_everything(
    context: BrowserContext, instance: Instance, name: str
) -> None:
    pages = [page_of(context, instance.url), page_of(context, instance.url)]
    complaints: list[str] = []
    for page in pages:
        page.on("console", lambda line: complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
    one, two = (Follower(page, name) for page in pages)
    one.state("subscribed", transport="websocket")
    two.state("subscribed", transport="websocket")
    values = ["text", {"n": [1, 2]}, None, 0.5, "</script>", {"base64": "AP8="}]
    for index, value in enumerate(values):
        answer = (one, two)[index % 2].publish(value)
        assert answer["offset"] == index + 1
        assert answer["cursor"].endswith(f":{index + 1}")
    assert one.data(len(values)) == two.data(len(values)) == values
    assert [each["offset"] for each in two.told("message")] == list(range(1, len(values) + 1))
    assert complaints == []
    one.close()
    one.state("closed")
    assert "closed" in one.publish("x")["error"]


@pytest.mark.slow
@pytest.mark.parametrize("transports", [["websocket"], ["sse"]], ids=lambda value: value[0])
def test_a_page_gets_everything_once_in_order_through_crashes(
    context: BrowserContext, instance: Instance, name: str, transports: list[str]
) -> None:
    count = 240
    follower = Follower(page_of(context, instance.url), name, after="earliest", transports=transports)

    def publish() -> None:
        with Client(instance.url, chance=lambda: 0.05) as client:
            for number in range(1, count + 1):
                client.publish(name, number, timeout=60)
                time.sleep(0.005)

    publisher = threading.Thread(target=publish)
    publisher.start()
    for end, interrupt in ((80, instance.crash), (160, instance.restart)):
        follower.data(end)
        interrupt()
    assert follower.data(count) == list(range(1, count + 1))
    publisher.join()
    assert [each["offset"] for each in follower.told("message")] == list(range(1, count + 1))
    assert follower.told("lost") == []


@pytest.mark.slow
@pytest.mark.parametrize("transports", [["websocket"], ["sse"]], ids=lambda value: value[0])
def test_a_log_that_is_gone_gives_a_page_one_notice(
    context: BrowserContext, tmp_path: Path, name: str, transports: list[str]
) -> None:
    with Instance(tmp_path, {"HELIOGRAPH_CHANNELS": "memory://"}) as instance:
        follower = Follower(page_of(context, instance.url), name, transports=transports)
        follower.state("subscribed")
        assert follower.publish("a")["offset"] == 1
        assert follower.data(1) == ["a"]
        instance.crash()
        assert follower.data(2) == ["a", "lost"]
        assert follower.publish("b")["offset"] == 1
        assert follower.data(3) == ["a", "lost", "b"]


@pytest.mark.slow
def test_where_websockets_fail_events_bring_the_same(
    context: BrowserContext, instance: Instance, name: str
) -> None:
    values = ["5", 5, {"a": "5"}, "line\r\nline", "[]"]
    with Client(instance.url) as client:
        for value in values[:3]:
            client.publish(name, value)
        without_websockets(context)
        page = page_of(context, instance.url)
        early, late = Follower(page, name, after="earliest"), Follower(page, name)
        early.state("subscribed", transport="sse")
        late.state("subscribed", transport="sse")
        client.publish(name, values[3])
        assert early.publish(values[4])["offset"] == 5
        assert early.data(5) == values
        assert late.data(2) == values[3:]


@pytest.mark.slow
def test_a_long_history_comes_in_pages(context: BrowserContext, instance: Instance, name: str) -> None:
    with Client(instance.url) as client, client.subscribe(name) as events:
        futures = [events.submit(number) for number in range(350)]
        assert futures[-1].result(30).offset == 350
    page = page_of(context, instance.url)
    for transport in ("websocket", "sse"):
        follower = Follower(page, name, after="earliest", transports=[transport])
        assert follower.data(350) == list(range(350))


def token_for(name: str, **changes: Any) -> str:
    claims = {"sub": "dude", "exp": time.time() + 600, "publish": [name], "subscribe": [name], **changes}
    return jwt.encode(claims, SECRET, "HS256")


@pytest.mark.parametrize("blocked", [False, True], ids=["websocket", "sse"])
def test_tokens_open_what_they_name_and_a_refusal_is_said(
    context: BrowserContext, guarded: Instance, name: str, blocked: bool
) -> None:
    if blocked:
        without_websockets(context)
    page = page_of(context, guarded.url)
    token = token_for(name)
    follower = Follower(page, name, token=token)
    follower.state("subscribed", transport="sse" if blocked else "websocket")
    assert follower.publish("a")["offset"] == 1
    assert follower.data(1) == ["a"]
    renewed = Follower(page, name, tokens=["expired", token, token, token, token], after="earliest")
    assert renewed.data(1) == ["a"]
    for options, status in (({}, 401), ({"token": token}, 403), ({"tokens": ["x"] * 9}, 401)):
        refused = Follower(page, "golf", **options)
        assert refused.state("closed")["error"]["status"] == status


def test_a_token_that_may_only_read_is_told_so(context: BrowserContext, guarded: Instance, name: str) -> None:
    reader = token_for(name, publish=[])
    follower = Follower(page_of(context, guarded.url), name, token=reader)
    answer = follower.publish("a")
    assert (answer["status"], answer["uncertain"]) == (403, False)


@pytest.fixture
def tiny() -> Iterator[Tiny]:
    with tiny_with("a", "b", "c") as server:
        script = (ROOT / "app/static/heliograph.js").read_bytes()
        server.files = {
            "/docs": ("text/html", b"<!doctype html><title>tiny</title><link rel=icon href='data:,'>"),
            "/static/heliograph.js": ("text/javascript", script),
        }
        yield server


HOSTILE: list[tuple[Visit, str]] = [
    (saying("{"), "not JSON"),
    (saying("null"), "no JSON object"),
    (saying(b"{}"), "binary"),
    (saying(message(3, "x")), "Offset 3 came where 4 was next"),
    (saying(message(5, "x")), "Offset 5 came where 4 was next"),
    (saying(message(4, "x").replace('"c"', '"other"')), "other"),
    (saying(message(4, "x").replace('"data"', '"date"')), "no data"),
    (saying('{"type": "lost", "epoch": "a b", "offset": 1}'), "for a cursor"),
    (saying("x" * 500_000), "500000 characters"),
    (saying(message(4, "x"), first=False), "The server began with"),
    (saying('{"type": "error", "ref": null, "problem": {"detail": "gone"}}'), "gone"),
    (closing(3008, 0), "3008"),
]


@pytest.mark.parametrize(("visit", "reason"), HOSTILE, ids=[reason for _, reason in HOSTILE])
def test_what_a_server_must_not_say_is_named_and_the_page_goes_on(
    context: BrowserContext, tiny: Tiny, visit: Visit, reason: str
) -> None:
    tiny.visits += [visit]
    follower = Follower(page_of(context, tiny.url), "c", after="tinyepoch:3", transports=["websocket"])
    assert reason in follower.state("waiting")["reason"]
    tiny.publish("d", "e")
    assert follower.data(2) == ["d", "e"]
    assert tiny.asked == ["tinyepoch:3"] * 2


def test_an_answer_that_does_not_come_leaves_a_page_uncertain(context: BrowserContext, tiny: Tiny) -> None:
    def mute(server: Tiny, connection: Any, after: str | None) -> None:
        server.begin(connection, after)
        connection.recv()

    tiny.visits += [mute]
    follower = Follower(page_of(context, tiny.url), "c", transports=["websocket"])
    assert follower.publish("x")["uncertain"] is True
    assert follower.publish("y")["offset"] == 4


def test_waits_double_to_a_bound_and_are_drawn_at_random(context: BrowserContext, tiny: Tiny) -> None:
    waits = page_of(context, tiny.url).evaluate(
        """async () => {
            const { delay } = await import("/static/heliograph.js");
            return [[...Array(9).keys()].map((n) => delay(n, () => 1)), delay(3, () => 0.25), delay(5000, () => 0)];
        }"""
    )
    assert waits == [[0.5, 1, 2, 4, 8, 16, 20, 20, 20], 1, 0]


@pytest.mark.parametrize(
    "arguments", ['"/", "a/b"', '"/", ""', '"/", "c", {after: "x"}', '"ftp://x/", "c"', '"http://", "c"']
)
def test_wrong_arguments_are_refused_at_once(context: BrowserContext, tiny: Tiny, arguments: str) -> None:
    name = page_of(context, tiny.url).evaluate(
        f"""async () => {{
            const {{ Channel }} = await import("/static/heliograph.js");
            try {{ new Channel({arguments}); }} catch (error) {{ return error.name; }}
        }}"""
    )
    assert name == "TypeError"


def test_the_script_writes_nothing_into_a_page() -> None:
    text = (ROOT / "app/static/heliograph.js").read_text()
    assert not [
        word for word in ("innerHTML", "document.", "eval(", "Function(", "import ") if word in code(text)
    ]


def code(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
