"""Where profit is paid once a day, fills change a balance by their fees only."""

from dataclasses import replace

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.matching.contract import BookingCause
from kit.simulator.matching.tests.markets import Market
from kit.simulator.matching.tests.test_bookings import check_balances
from kit.simulator.matching.tests.test_margin import FREE, INVERSE, LINEAR, D, marked, traded

HOUR_NS = 3_600 * NANOSECONDS_PER_SECOND
DAY_NS = 24 * HOUR_NS
DAILY = replace(FREE, settlement_time_ns=8 * HOUR_NS)


def at(market: Market, time_ns: int) -> None:
    market.now_ns = time_ns
    market.exchange.advance(time_ns)


def unsettled(market: Market, account: str = "demo"):
    return market.exchange.balances(account)[-1].unsettled


def settled(market: Market, account: str = "demo"):
    return [
        one.amount
        for one in market.exchange.bookings(account)
        if one.cause is BookingCause.SETTLEMENT
    ]


def test_a_settlement_pays_what_was_realised_and_what_is_open():
    market = Market(DAILY, [LINEAR])
    at(market, 7 * HOUR_NS)
    traded(market, "buy", "10", "60000")
    traded(market, "sell", "4", "61000")
    marked(market, "62000")
    assert market.has("demo", "USDT")[0] == D(10_000)
    assert unsettled(market) == D(40)
    at(market, 8 * HOUR_NS - NANOSECONDS_PER_SECOND)
    assert settled(market) == []
    at(market, 8 * HOUR_NS)
    assert settled(market) == [D(40 + 120)]
    assert settled(market, "other") == [D(-160)]
    assert market.has("demo", "USDT")[0] == D(10_160)
    assert unsettled(market) == 0
    traded(market, "sell", "6", "61500")
    assert (market.has("demo", "USDT")[0], unsettled(market)) == (D(10_160), D(-30))
    at(market, 8 * HOUR_NS + DAY_NS)
    assert settled(market) == [D(160), D(-30)]
    check_balances(market)


def test_each_day_has_one_settlement():
    market = Market(DAILY, [LINEAR])
    at(market, 9 * HOUR_NS)
    traded(market, "buy", "10", "60000")
    for hour, price in ((20, "60100"), (31, "60200"), (33, "60300"), (55, "60400"), (57, "60500")):
        marked(market, price)
        at(market, hour * HOUR_NS)
    assert settled(market) == [D(30), D(20)]


def test_profit_that_is_not_paid_yet_is_margin():
    market = Market(DAILY, [LINEAR])
    at(market, 9 * HOUR_NS)
    marked(market, "60000")
    traded(market, "buy", "160", "60000")
    traded(market, "sell", "160", "62500")
    marked(market, "62500")
    # 10,000 are paid, and 4,000 are not yet.
    assert market.order("demo", "buy", "220", "62500").filled == 0
    assert market.has("demo", "USDT") == (D(10_000), D(10_000))


def test_a_loss_that_is_not_paid_yet_lets_an_account_be_liquidated():
    market = Market(DAILY, [INVERSE])
    at(market, 9 * HOUR_NS)
    marked(market, "60000")
    traded(market, "buy", "300000", "60000")
    traded(market, "sell", "290000", "50000")
    assert unsettled(market) < D("-0.9")
    marked(market, "30000")
    market.book.rest(True, round(30_000 / market.book.instrument.tick_units * 10), 10**7, 1)
    at(market, 10 * HOUR_NS)
    assert market.exchange.positions("demo") == []
    owed = [
        one.amount
        for one in market.exchange.bookings("demo")
        if one.cause is BookingCause.LIQUIDATION
    ]
    assert len(owed) == 1
    assert market.has("demo", "BTC")[0] + unsettled(market) == 0
    check_balances(market)
