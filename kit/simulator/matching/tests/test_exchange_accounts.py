"""Orders of accounts in a spot market."""

from dataclasses import replace
from decimal import Decimal

import pytest

from kit.accounting.fees import FeeAsset, FeeTier
from kit.simulator.market_events import BestQuote, LevelChange, Trade
from kit.simulator.matching.contract import (
    BalanceChanged,
    ClientIdScope,
    MatchingRules,
    OrderChanged,
    OrderEventCause,
    OrderRejected,
    OrderStatus,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.matching.instrument_book import COUNTED_MAX
from kit.simulator.matching.tests.markets import FOK, IOC, SPOT, Market

D = Decimal
TIERS = (FeeTier(D("0.001"), D("0.002")),)


def refusal(action) -> RejectCode:
    with pytest.raises(OrderRejected) as caught:
        action()
    return caught.value.refusal


def test_two_accounts_meet_and_pay():
    market = Market(MatchingRules(tiers=TIERS))
    sold = market.order("other", "sell", "2", "100")
    assert market.has("other", "COIN") == (D(1000), D(2))
    bought = market.order("demo", "buy", "3", "101")
    assert (bought.status, bought.filled, bought.filled_value) == (
        OrderStatus.PARTLY_FILLED,
        D(2),
        D(200),
    )
    assert market.exchange.order("other", sold.order_id).status is OrderStatus.FILLED
    assert market.has("demo", "COIN") == (D(1002) - D("0.004"), D(0))
    assert market.has("demo", "USDT") == (D(1_000_000) - 200, D(101))
    assert market.has("other", "USDT") == (D(1_000_200) - D("0.2"), D(0))
    (fill,) = market.exchange.fills("demo")
    assert (fill.price, fill.size, fill.fee, fill.fee_asset) == (D(100), D(2), D("0.004"), "COIN")
    assert not fill.is_maker
    (other,) = market.exchange.fills("other")
    assert (other.is_maker, other.trade_id, other.fee) == (True, fill.trade_id, D("0.2"))
    (trade,) = [event for event in market.events if type(event) is Trade]
    assert (trade.trade_id, trade.price_ticks, trade.size_lots) == (fill.trade_id, 10_000, 2_000)
    assert market.book.levels(True, 5) == [(10_100, 1_000)]


def test_the_crowd_meets_orders_by_price_and_time():
    market = Market()
    market.book.rest(False, 10_000, 500, 1)
    first = market.order("demo", "sell", "1", "100")
    market.book.rest(False, 10_000, 700, 2)
    second = market.order("other", "sell", "1", "100")
    assert market.book.levels(False, 1) == [(10_000, 3_200)]
    events = market.book.take(True, 10_000, 900, 3)
    assert [event.size_lots for event in events if type(event) is Trade] == [500, 400]
    assert market.exchange.order("demo", first.order_id).filled == D("0.4")
    assert market.book.cancel(False, 10_000, 10_000, 4)
    assert market.book.levels(False, 1) == [(10_000, 1_600)]
    market.book.take(True, 10_000, 5_000, 5)
    assert market.exchange.order("other", second.order_id).status is OrderStatus.FILLED
    assert market.book.best(False) is None


def test_what_the_crowd_quotes_across_an_order_trades_with_it():
    market = Market()
    bid = market.order("demo", "buy", "1", "100")
    events = market.book.rest(False, 9_900, 1_500, 1)
    assert [type(event) for event in events][:2] == [Trade, LevelChange]
    assert market.exchange.order("demo", bid.order_id).filled_value == D(100)
    assert market.book.levels(False, 1) == [(9_900, 500)]


@pytest.mark.parametrize(
    ("size", "more", "status", "filled"),
    [
        ("3", {}, OrderStatus.EXPIRED, "2"),
        ("1.5", {}, OrderStatus.FILLED, "1.5"),
        ("3", {"price": "100", "time_in_force": IOC}, OrderStatus.EXPIRED, "1"),
        ("1.5", {"price": "100", "time_in_force": FOK}, OrderStatus.EXPIRED, "0"),
        ("1.5", {"price": "101", "time_in_force": FOK}, OrderStatus.FILLED, "1.5"),
        ("0", {"value": "150.6"}, OrderStatus.FILLED, "1.5"),
        ("0", {"value": "150.7"}, OrderStatus.FILLED, "1.501"),
    ],
)
def test_what_does_not_wait_is_final_at_once(size, more, status, filled):
    market = Market()
    market.order("other", "sell", "1", "100")
    market.order("other", "sell", "1", "101")
    order = market.order("demo", "buy", size, **more)
    assert (order.status, order.filled) == (status, D(filled))
    assert order.why is (RejectCode.WOULD_NOT_FILL if filled == "0" else None)
    assert market.exchange.open_orders("demo") == []
    assert market.has("demo", "USDT")[1] == 0


def test_what_is_refused_changes_nothing():
    market = Market(MatchingRules(price_band=D("0.5"), open_orders_max=2))
    market.order("other", "sell", "1", "100")
    market.order("demo", "buy", "0.5", "100")
    before = market.exchange.balances("demo"), market.book.levels(False, 5)
    cases = [
        (RejectCode.SIZE_MIN, {"size": "1E-30", "price": "100"}),
        (RejectCode.MALFORMED, {"size": "-1", "price": "100"}),
        (RejectCode.MALFORMED, {"size": "0", "price": "100"}),
        (RejectCode.MALFORMED, {"size": "1E+999999", "price": "100"}),
        (RejectCode.MALFORMED, {"size": "NaN", "price": "100"}),
        (RejectCode.MALFORMED, {"size": "sNaN", "price": "100"}),
        (RejectCode.MALFORMED, {"size": "1", "price": "sNaN"}),
        (RejectCode.LOT, {"size": "0.0011", "price": "100"}),
        (RejectCode.TICK, {"size": "1", "price": "100.001"}),
        (RejectCode.NOTIONAL_MIN, {"size": "0.049", "price": "100"}),
        (RejectCode.PRICE_BAND, {"size": "1", "price": "151"}),
        (RejectCode.FUNDS, {"size": "20000", "price": "60"}),
        (RejectCode.WOULD_TAKE, {"size": "1", "price": "100", "post_only": True}),
        (RejectCode.UNKNOWN_SYMBOL, {"size": "1", "price": "100", "symbol": "OTHER"}),
    ]
    for expected, fields in cases:
        assert refusal(lambda fields=fields: market.order("demo", "buy", **fields)) is expected
    assert (market.exchange.balances("demo"), market.book.levels(False, 5)) == before
    for _ in range(2):
        market.order("demo", "buy", "1", "90")
    assert refusal(lambda: market.order("demo", "buy", "1", "90")) is RejectCode.TOO_MANY


@pytest.mark.parametrize("fee_asset", FeeAsset)
def test_all_that_an_account_has_can_be_spent(fee_asset):
    market = Market(MatchingRules(tiers=TIERS, fee_asset=fee_asset, start={"COIN": D(30_000)}))
    for price in ("100", "100.01", "99.99"):
        market.order("other", "sell", "5000", price)
    assert market.order("demo", "buy", "9970", "100.01").status is OrderStatus.FILLED
    total, locked = market.has("demo", "USDT")
    assert (locked, total >= 0) == (D(0), True)


def test_an_order_that_is_cancelled_frees_what_it_held():
    market = Market()
    order = market.order("demo", "buy", "2", "100")
    market.order("other", "sell", "0.5", "100")
    cancelled = market.exchange.cancel("demo", order.order_id)
    assert (cancelled.status, cancelled.filled, cancelled.left) == (
        OrderStatus.CANCELLED,
        D("0.5"),
        D("1.5"),
    )
    assert market.has("demo", "USDT") == (D(1_000_000) - 50, D(0))
    assert market.book.best(True) is None
    assert refusal(lambda: market.exchange.cancel("demo", order.order_id)) is RejectCode.FINISHED
    assert (
        refusal(lambda: market.exchange.cancel("other", order.order_id)) is RejectCode.UNKNOWN_ORDER
    )


def test_an_order_that_gets_smaller_keeps_its_place():
    market = Market()
    first = market.order("demo", "sell", "2", "100")
    second = market.order("other", "sell", "2", "100")
    smaller = market.exchange.amend("demo", first.order_id, D(1), None)
    assert (smaller.ticket.size, smaller.amended) == (D(1), 1)
    market.book.take(True, 10_000, 1_000, 1)
    assert market.exchange.order("demo", first.order_id).status is OrderStatus.FILLED
    market.exchange.amend("other", second.order_id, D(3), D("99"))
    assert market.book.levels(False, 5) == [(9_900, 3_000)]
    assert market.has("other", "COIN") == (D(1000), D(3))
    market.order("demo", "buy", "1", "98")
    taken = market.exchange.amend("other", second.order_id, None, D("98"))
    assert taken.filled == D(1)
    for refused in ({"size": D(1)}, {"size": D(2000)}):
        with pytest.raises(OrderRejected):
            market.exchange.amend("other", second.order_id, price=None, **refused)
    assert market.exchange.order("other", second.order_id) == taken


@pytest.mark.parametrize(
    ("scope", "while_open", "afterwards"),
    [
        (ClientIdScope.NONE, "new", "new"),
        (ClientIdScope.OPEN, RejectCode.DUPLICATE_ID, "new"),
        (ClientIdScope.EVER, RejectCode.DUPLICATE_ID, RejectCode.DUPLICATE_ID),
        (ClientIdScope.RETURNS, "same", "same"),
    ],
)
def test_a_client_id_is_the_only_one_within_its_scope(scope, while_open, afterwards):
    market = Market(MatchingRules(id_scope=scope))

    def again() -> object:
        try:
            found = market.order("demo", "buy", "1", "90", client_order_id="mine")
        except OrderRejected as refused:
            return refused.refusal
        return "same" if found.order_id == first.order_id else "new"

    first = market.order("demo", "buy", "1", "90", client_order_id="mine")
    market.order("other", "buy", "1", "90", client_order_id="mine")
    assert again() == while_open
    market.exchange.cancel_all("demo")
    assert again() == afterwards
    newest = market.exchange.by_client_id("demo", "mine")
    assert newest is not None
    assert newest.account == "demo"


@pytest.mark.parametrize(
    ("mode", "resting", "taking", "filled"),
    [
        (SelfTradeMode.ALLOW, OrderStatus.FILLED, OrderStatus.FILLED, "2"),
        (SelfTradeMode.CANCEL_NEWEST, OrderStatus.OPEN, OrderStatus.CANCELLED, "0.5"),
        (SelfTradeMode.CANCEL_OLDEST, OrderStatus.CANCELLED, OrderStatus.FILLED, "2"),
        (SelfTradeMode.CANCEL_BOTH, OrderStatus.CANCELLED, OrderStatus.CANCELLED, "0.5"),
    ],
)
def test_orders_of_one_account_that_meet(mode, resting, taking, filled):
    market = Market(MatchingRules(self_trade=mode))
    market.order("other", "sell", "0.5", "100")
    own = market.order("demo", "sell", "1", "100")
    market.order("other", "sell", "1", "100" if mode is SelfTradeMode.ALLOW else "101")
    size = "2" if mode is SelfTradeMode.ALLOW else "1.5"
    taker = market.order("demo", "buy", size, "101")
    filled = size if taking is OrderStatus.FILLED else filled
    assert (taker.status, taker.filled) == (taking, D(filled))
    assert market.exchange.order("demo", own.order_id).status is resting
    if taking is OrderStatus.CANCELLED:
        assert taker.why is RejectCode.SELF_TRADE


def test_a_price_that_was_one_is_none_under_another_tick():
    market = Market()
    market.order("demo", "buy", "1", "99.98")
    market.exchange.relist(replace(SPOT, tick_size="0.05"))
    assert refusal(lambda: market.order("demo", "buy", "1", "99.98")) is RejectCode.TICK
    market.order("demo", "buy", "1", "99.95")
    market.exchange.relist(SPOT)
    market.order("demo", "buy", "1", "99.98")
    assert market.book.levels(True, 5) == [(9_998, 2_000), (9_995, 1_000)]


def test_the_best_prices_are_reported_whenever_orders_change_them():
    market = Market()
    best = market.order("demo", "buy", "1", "100")
    market.order("demo", "buy", "2", "99")
    market.order("other", "buy", "3", "100")
    market.exchange.amend("demo", best.order_id, D("0.5"), None)
    market.exchange.cancel_all("other")
    market.exchange.cancel("demo", best.order_id)
    quotes = [(one.bid_ticks, one.bid_lots) for one in market.events if type(one) is BestQuote]
    expected = [(10_000, 1_000), (10_000, 4_000), (10_000, 3_500), (10_000, 500), (9_900, 2_000)]
    assert quotes == expected


def test_sizes_are_counted_right_however_many_there_were():
    book = Market().exchange._engine.books[SPOT.symbol]
    for lots in (*range(1, COUNTED_MAX + 3), 7):
        for size in (D(lots) / 1000, D(lots * 10) / 10_000):
            assert book.lots(size) == lots
    assert len(book._lots_of) < COUNTED_MAX


def test_an_account_hears_all_in_order():
    market = Market()
    heard = market.hear("demo")
    market.order("other", "sell", "1", "100")
    order = market.order("demo", "buy", "2", "100", time_in_force=IOC)
    changes = [event for event in heard if isinstance(event, OrderChanged)]
    assert [event.cause for event in changes] == [
        OrderEventCause.NEW,
        OrderEventCause.FILLED,
        OrderEventCause.EXPIRED,
    ]
    assert changes[1].fill == market.exchange.fills("demo")[0]
    assert changes[2].order == order
    balances = [event.balance for event in heard if isinstance(event, BalanceChanged)]
    assert balances[-1] in market.exchange.balances("demo")
    assert next(one.locked for one in balances if one.asset == "USDT") == D(200)


def test_a_tier_begins_at_its_volume():
    tiers = (FeeTier(D("0.001"), D("0.002")), FeeTier(D("-0.0001"), D("0.0005"), D(100)))
    market = Market(MatchingRules(tiers=tiers, fee_asset=FeeAsset.QUOTE))
    for _ in range(2):
        market.order("other", "sell", "1", "100")
        market.order("demo", "buy", "1")
    assert [fill.fee for fill in market.exchange.fills("demo")] == [D("0.2"), D("0.05")]
    assert [fill.fee for fill in market.exchange.fills("other")] == [D("0.1"), D("-0.01")]


def test_the_withdraw_key_says_what_it_may():
    exchange = Market().exchange
    assert {key.account for key in exchange.keys} == {"demo", "other"}
    key = exchange.key("withdraw-key")
    assert key is not None
    assert key.may_withdraw
    assert exchange.key("nobody") is None
