"""The streams over which an account gets its events: one object per name."""

from decimal import Decimal

from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import BalanceChanged, BalanceView, OrderChanged
from kit.simulator.matching.tests.markets import SYMBOL, Market


def test_a_stream_is_the_same_object_each_time():
    streams = AccountStreams()
    orders = streams.get("orders", "BTCUSDT")
    assert (orders.name, orders.symbol) == ("orders BTCUSDT", "BTCUSDT")
    assert streams.get("orders", "BTCUSDT") is orders
    assert streams.get("orders") is streams.get("orders")
    assert streams.get("orders").name == "orders"
    assert streams.get("orders") is not orders


def test_an_event_is_about_an_instrument_or_about_money():
    market = Market()
    heard = market.hear("demo")
    market.order("demo", "buy", "1", "90")
    placed = [event for event in heard if isinstance(event, OrderChanged)]
    assert [symbol_of(event) for event in placed] == [SYMBOL]
    balance = BalanceView("demo", "USDT", Decimal(1), Decimal(0))
    assert symbol_of(BalanceChanged(balance, "deposit")) == ""
