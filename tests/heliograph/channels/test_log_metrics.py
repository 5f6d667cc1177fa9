"""What Prometheus sees of the log engine."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from heliograph.channels.errors import LogUnavailable
from heliograph.channels.message import Kind, new_append
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.records import Outcome
from heliograph.channels.service import ChannelService
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.settings import load
from tests.heliograph.channels.followers import eventually
from tests.heliograph.channels.patched import patched

GROUPS = (ChannelsOptions, AccessOptions, RequestOptions)


@patched
def test_what_was_appended_and_what_was_refused_is_counted(url: str) -> None:
    registry = CollectorRegistry()
    channels = ChannelService(load({"HELIOGRAPH_CHANNELS": url}, GROUPS), registry)

    def counted(name: str) -> float | None:
        return registry.get_sample_value(f"heliograph_log_{name}")

    channels.publish(new_append("a", Kind.TEXT, b"12345", key="once"))
    channels.publish(new_append("a", Kind.TEXT, b"12345", key="once"))  # not written again
    channels.publish_many([new_append("a", Kind.TEXT, b"1"), new_append("b", Kind.TEXT, b"2")])
    assert (counted("append_seconds_count"), counted("appended_bytes_total")) == (3, 7)
    outcomes: list[Outcome] = []
    channels.submit(new_append("a", Kind.TEXT, b"3"), outcomes.append)
    eventually(lambda: len(outcomes) == 1, "the outcome")
    assert (counted("append_seconds_count"), counted("appended_bytes_total")) == (4, 8)
    assert 0 < (counted("append_seconds_sum") or 0) < 60
    assert (counted("appends_waiting"), counted("errors_total"), counted("reconnects_total")) == (0, 0, 0)

    channels.hub.log.close()
    with pytest.raises(LogUnavailable):
        channels.publish(new_append("a", Kind.TEXT, b"4"))
    channels.submit(new_append("a", Kind.TEXT, b"5"), outcomes.append)
    eventually(lambda: len(outcomes) == 2, "the refusal")
    assert (counted("errors_total"), counted("appends_waiting"), counted("appended_bytes_total")) == (2, 0, 8)
