"""What is known of instruments: those that are gone too, and what was paid last."""

from decimal import Decimal

import pytest

from kit.simulator.exchange.listings_and_prices import (
    in_dollars,
    known_listings,
    last_price,
    whole_ticks,
)
from kit.simulator.listing import Listing
from kit.simulator.matching.tests.fake_engine import FakeMarketView, FakeMatchingEngine

BTC = Listing("BTCUSDT", "BTC", "USDT", "0.05", "0.001", "5")
ETH = Listing("ETHUSDT", "ETH", "USDT", "0.01", "0.01", "5")


class NoTrades:
    def latest(self, limit):
        return []


def test_delisted_instruments_stay_known_to_the_engine():
    engine = FakeMatchingEngine()
    assert set(known_listings(FakeMarketView(engine, [BTC, ETH]))) == {"BTCUSDT", "ETHUSDT"}
    later = known_listings(FakeMarketView(engine, [BTC]))
    assert later["ETHUSDT"] is ETH
    assert set(known_listings(FakeMarketView(FakeMatchingEngine(), [BTC]))) == {"BTCUSDT"}
    assert set(known_listings(FakeMarketView(None, [BTC]))) == {"BTCUSDT"}


def test_the_last_price_is_none_before_the_first_trade(monkeypatch):
    market_view = FakeMarketView(FakeMatchingEngine(), [BTC])
    assert last_price(market_view, "BTCUSDT") == 50_000
    assert in_dollars(Decimal(2), "BTC", "BTCUSDT", market_view) == 100_000
    monkeypatch.setattr(market_view, "history", lambda symbol: NoTrades())
    assert last_price(market_view, "BTCUSDT") is None
    assert in_dollars(Decimal(2), "BTC", "BTCUSDT", market_view) == 0


def test_an_asset_without_a_dollar_market_is_worth_nothing():
    market_view = FakeMarketView(FakeMatchingEngine(), [BTC])
    assert in_dollars(Decimal("1.5"), "USDC", "USDCUSDT", market_view) == Decimal("1.5")
    assert in_dollars(Decimal("1.5"), "ETH", "ETHUSDT", market_view) == 0


@pytest.mark.parametrize(
    ("distance", "expected"), [("1.24", "1.20"), ("1.25", "1.25"), ("0.01", "0.05")]
)
def test_a_distance_is_cut_to_ticks_and_is_at_least_one(distance, expected):
    assert whole_ticks(Decimal(distance), BTC) == Decimal(expected)
