"""Whether the market data of a symbol can trigger an order."""

from types import SimpleNamespace

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.process.hub_source import LiveData
from kit.connector.subscriptions import VenueSubscriptions

TRADES, BOOK = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK
NOW_NS = 1_000 * NANOSECONDS_PER_SECOND


@pytest.fixture
def subscriptions():
    return VenueSubscriptions([TRADES, BOOK])


@pytest.fixture
def data(subscriptions):
    return LiveData(subscriptions, SimpleNamespace(time_ns=lambda: NOW_NS), 10)


def publish_event(subscriptions, channel, seconds_ago):
    """Count one event of the symbol."""
    draft = SimpleNamespace(
        instruments=[SimpleNamespace(symbol="BTCUSDT")],
        event_counts=[1],
        received_time_ns=NOW_NS - seconds_ago * NANOSECONDS_PER_SECOND,
        gaps=[],
    )
    subscriptions.count_published(channel, draft)


def test_symbol_that_is_not_subscribed_says_how_to_subscribe(data):
    assert "Admin.UpdateSubscriptions" in data.problem("BTCUSDT")


def test_symbol_is_live_while_any_channel_brings_events(subscriptions, data):
    subscriptions.add(["BTCUSDT"])
    assert "nothing was received" in data.problem("BTCUSDT")
    publish_event(subscriptions, TRADES, 60)
    assert "60 s old" in data.problem("BTCUSDT")
    publish_event(subscriptions, BOOK, 9)
    assert data.problem("BTCUSDT") == ""
    subscriptions.mark_stale("BTCUSDT", TRADES, "silent")
    assert "silent" in data.problem("BTCUSDT")


def test_subscription_that_the_venue_rejected_is_not_live(subscriptions, data):
    subscriptions.add(["BTCUSDT"])
    publish_event(subscriptions, BOOK, 1)
    subscriptions.reject(["BTCUSDT"], [TRADES])
    assert "rejected" in data.problem("BTCUSDT")
