"""Derivatives: positions, margin, funding, liquidation."""

from decimal import Decimal

import pytest

from kit.accounting.fees import FeeTier
from kit.simulator.listing import DerivativeMark, InstrumentKind, Listing
from kit.simulator.market_events import Instrument
from kit.simulator.matching.contract import (
    BalanceChanged,
    MatchingRules,
    OrderStatus,
    PositionChanged,
    PositionView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.matching.tests.markets import Market
from kit.simulator.matching.tests.test_exchange_accounts import refusal

D = Decimal
PERPETUAL = InstrumentKind.PERPETUAL
LINEAR = (
    Instrument("BTC", "USDT", 1, 2, 1, 60_000.0, 5.0, 0.03, 1.0),
    Listing("BTC-USDT-SWAP", "BTC", "USDT", "0.1", "0.01", "0", False, PERPETUAL, "0.01", "USDT"),
)
INVERSE = (
    Instrument("BTC", "USD", 1, 0, 5, 60_000.0, 3_000.0, 0.03, 1.0, lot_units=10),
    Listing("BTC-PERPETUAL", "BTC", "USD", "0.5", "10", "0", False, PERPETUAL, "", "BTC"),
)
FREE = MatchingRules(tiers=(FeeTier(D(0), D(0)),), start={"USDT": D(10_000), "BTC": D(1)})
LATER_NS = 10**18


def marked(market: Market, price: str, rate: str = "0", due_ns: int = LATER_NS) -> None:
    market.marks[market.symbol] = DerivativeMark(price, price, rate, due_ns)


def traded(market: Market, side: str, size: str, price: str) -> None:
    """Demo trades with other."""
    market.order("other", "sell" if side == "buy" else "buy", size, price)
    order = market.order("demo", side, size, price)
    assert order.status is OrderStatus.FILLED


def position(market: Market, account: str = "demo") -> PositionView:
    (found,) = market.exchange.positions(account)
    return found


def test_a_linear_position_is_opened_reduced_and_turned():
    market = Market(FREE, [LINEAR])
    traded(market, "buy", "10", "60000")
    traded(market, "buy", "30", "62000")
    marked(market, "62500")
    held = position(market)
    assert (held.size, held.entry_price) == (D(40), D(61_500))
    assert (held.unrealized, held.margin, held.mark_price) == (D(400), D(2_500), D(62_500))
    assert position(market, "other").unrealized == D(-400)
    traded(market, "sell", "10", "62500")
    assert (position(market).size, position(market).realized) == (D(30), D(100))
    assert market.has("demo", "USDT")[0] == D(10_100)
    traded(market, "sell", "50", "61000")
    assert (position(market).size, position(market).entry_price) == (D(-20), D(61_000))
    assert position(market).realized == 0
    assert market.has("demo", "USDT")[0] == D(10_100) - 150
    assert market.has("other", "USDT")[0] == D(10_000) - 100 + 150
    traded(market, "buy", "20", "61000")
    assert market.exchange.positions("demo") == market.exchange.positions("other") == []
    assert market.has("demo", "USDT") == (D(9_950), D(0))


def test_an_inverse_position_wins_coins():
    market = Market(FREE, [INVERSE])
    traded(market, "buy", "30000", "60000")
    marked(market, "75000")
    held = position(market)
    assert (held.size, held.entry_price, held.unrealized) == (D(30_000), D(60_000), D("0.1"))
    traded(market, "sell", "30000", "50000")
    assert market.has("demo", "BTC")[0] == D("0.9")
    assert market.has("other", "BTC")[0] == D("1.1")
    assert market.exchange.fills("demo")[1].order.filled_value == D(30_000) * 50_000


def test_orders_need_margin_and_what_reduces_needs_none():
    market = Market(FREE, [LINEAR])
    marked(market, "60000")
    assert refusal(lambda: market.order("demo", "buy", "167", "60000")) is RejectCode.FUNDS
    first = market.order("demo", "buy", "100", "60000")
    assert market.has("demo", "USDT") == (D(10_000), D(6_000))
    market.order("demo", "sell", "100", "60100")
    assert market.has("demo", "USDT")[1] == D(6_010)
    assert refusal(lambda: market.order("demo", "buy", "70", "60000")) is RejectCode.FUNDS
    market.order("other", "sell", "100", "60000")
    assert market.exchange.order("demo", first.order_id).status is OrderStatus.FILLED
    assert market.has("demo", "USDT")[1] == D(6_000)
    marked(market, "57000")
    market.exchange.advance(market.now_ns)
    assert market.has("demo", "USDT")[1] == D(5_700) + D(3_000)
    assert market.order("demo", "sell", "90", "60000").status is OrderStatus.OPEN


def test_a_reduce_only_order_is_never_larger_than_the_position():
    market = Market(FREE, [LINEAR])
    marked(market, "60000")
    only = {"reduce_only": True}
    assert refusal(lambda: market.order("demo", "sell", "1", "60000", **only)) is (
        RejectCode.REDUCE_ONLY
    )
    traded(market, "buy", "10", "60000")
    assert refusal(lambda: market.order("demo", "buy", "1", "59000", **only)) is (
        RejectCode.REDUCE_ONLY
    )
    first = market.order("demo", "sell", "50", "61000", **only)
    assert first.ticket.size == D(10)
    second = market.order("demo", "sell", "4", "61000", **only)
    third = market.order("demo", "sell", "2", "61100", **only)
    market.order("other", "buy", "7", "61000")
    sizes = {order.order_id: order.left for order in market.exchange.open_orders("demo")}
    assert sizes == {first.order_id: D(3), second.order_id: D(3), third.order_id: D(2)}
    market.order("other", "buy", "20", "61200")
    assert market.exchange.positions("demo") == []
    ends = [market.exchange.order("demo", one.order_id) for one in (second, third)]
    assert [one.status for one in ends] == [OrderStatus.CANCELLED] * 2
    assert {one.why for one in ends} == {RejectCode.REDUCE_ONLY}


@pytest.mark.parametrize(("market_of", "asset", "paid"), [(LINEAR, "USDT", 6), (INVERSE, "BTC", 0)])
def test_funding_is_paid_by_those_who_bought_to_those_who_sold(market_of, asset, paid):
    market = Market(FREE, [market_of])
    due_ns = market.now_ns + 10**9
    marked(market, "60000", "0.001", due_ns)
    traded(market, "buy", "10", "60000")
    heard = market.hear("demo")
    market.exchange.advance(market.now_ns)
    before = market.has("demo", asset)[0], market.has("other", asset)[0]
    market.now_ns = due_ns
    marked(market, "61000", "0.5", due_ns + 10**12)
    market.exchange.advance(market.now_ns)
    after = market.has("demo", asset)[0], market.has("other", asset)[0]
    exact = D(paid) if paid else D(10) / 60_000 * D("0.001")
    assert abs(before[0] - after[0] - exact) < D("1e-17")
    assert after[1] - before[1] == before[0] - after[0]
    assert position(market).realized == after[0] - before[0]
    assert [event.why for event in heard] == ["funding", "funding"]
    market.now_ns += 10**9
    market.exchange.advance(market.now_ns)
    assert market.has("demo", asset)[0] == after[0]


@pytest.mark.parametrize(
    ("market_of", "size", "asset", "side"),
    [
        (LINEAR, "100", "USDT", "buy"),
        (LINEAR, "100", "USDT", "sell"),
        (INVERSE, "300000", "BTC", "buy"),
        (INVERSE, "300000", "BTC", "sell"),
    ],
)
def test_a_position_is_closed_at_its_liquidation_price(market_of, size, asset, side):
    market = Market(FREE, [market_of])
    marked(market, "60000")
    traded(market, side, size, "60000")
    end = position(market).liquidation_price
    assert end is not None
    assert (end < 60_000) == (side == "buy")
    waiting = market.order("demo", side, "10", "10000" if side == "buy" else "100000")
    sign = 1 if side == "buy" else -1
    marked(market, f"{end + sign * end / 100_000:f}")
    market.now_ns += 10**9
    market.exchange.advance(market.now_ns)
    assert market.exchange.order("demo", waiting.order_id).status is OrderStatus.OPEN
    heard = market.hear("demo")
    marked(market, f"{end - sign * end / 100_000:f}")
    ticks = round(end / market.book.instrument.tick_units * 10)
    market.book.rest(side == "buy", ticks - sign * 4_000, 10**7, 1)
    market.now_ns += 10**9
    market.exchange.advance(market.now_ns)
    assert market.exchange.order("demo", waiting.order_id).why is RejectCode.FUNDS
    assert market.exchange.positions("demo") == []
    assert market.has("demo", asset) == (D(0), D(0))
    whys = {event.why for event in heard if isinstance(event, BalanceChanged | PositionChanged)}
    assert "liquidation" in whys
    held = position(market, "other").unrealized
    assert held > 0


def test_the_average_price_of_an_inverse_order_is_harmonic():
    market = Market(FREE, [INVERSE])
    market.order("other", "sell", "1000", "50000")
    market.order("other", "sell", "1000", "100000")
    order = market.order("demo", "buy", "2000", "100000")
    assert order.average_price is not None
    assert round(order.average_price, 8) == D("66666.66666667")
    assert [round(one.order.average_price or 0, 8) for one in market.exchange.fills("demo")] == [
        D(50_000),
        D("66666.66666667"),
    ]
    assert round(position(market).entry_price, 5) == D("66666.66667")


def test_a_self_trade_keeps_the_fills_of_both_orders():
    market = Market(FREE, [LINEAR])
    market.order("demo", "sell", "3", "60000")
    market.order("demo", "buy", "3", "60000", self_trade=SelfTradeMode.ALLOW)
    fills = market.exchange.fills("demo")
    assert [(one.trade_id, one.order.order_id, one.is_maker) for one in fills] == [
        (fills[0].trade_id, 1, True),
        (fills[0].trade_id, 2, False),
    ]
