"""Accounts trade in a market with its crowd: what the public sees stays right."""

import random
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import side_of
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market import INSTRUMENTS, SimulatedMarket
from kit.simulator.market_events import Instrument, MarketEvent
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from kit.simulator.matching.contract import (
    FillView,
    MatchingRules,
    OrderRejected,
    OrderTicket,
    OrderView,
    SelfTradeMode,
)
from kit.simulator.tests.fakes import FakeExchange
from kit.simulator.tests.test_market import OPENING_NS, Rebuilt, rebuild

BTC = INSTRUMENTS[0]
STEPS = 400
ACCOUNTS = ("demo", "other")
STOPS = (
    orders_pb2.ORDER_TYPE_STOP,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    orders_pb2.ORDER_TYPE_STOP_LIMIT,
    orders_pb2.ORDER_TYPE_TRAILING_STOP,
)


class Spot(FakeExchange):
    matching_rules = MatchingRules(
        self_trade=SelfTradeMode.CANCEL_OLDEST, stops_trigger_at_once=True, open_orders_max=50
    )

    def list(self, instrument: Instrument) -> Listing:
        return replace(super().list(instrument), tick_size="0.01", minimum_notional="0")


class Perpetual(Spot):
    def list(self, instrument: Instrument) -> Listing:
        return replace(
            super().list(instrument), kind=InstrumentKind.PERPETUAL, settle=instrument.quote
        )


class Trading:
    """Two accounts that do this and that, between the steps of a market."""

    def __init__(self, exchange: FakeExchange) -> None:
        self.market = SimulatedMarket("1", OPENING_NS, 2_000, [BTC])
        self.market_view = SimulatedMarketView(self.market, exchange)
        engine = self.market_view.engine
        assert engine is not None
        self.engine = engine
        self.events: list[MarketEvent] = []
        self._random = random.Random(5)

    def run(self) -> None:
        for number in range(STEPS):
            self.step()
            if number % 100 == 50:
                self.skip(20_000_000_000)

    def step(self) -> None:
        for _ in range(self._random.randint(0, 3)):
            with suppress(OrderRejected):
                self.act()
        self.market_view.advance(self.market.time_ns)
        step = self.market.advance(self.market.time_ns + STEP_NS)
        self.market_view.happened(step)
        self.events += step.events

    def skip(self, length_ns: int) -> None:
        self.market_view.advance(self.market.time_ns + length_ns)
        self.market.pause(self.market.time_ns + length_ns)

    def act(self) -> None:
        source, engine = self._random, self.engine
        account, chance = source.choice(ACCOUNTS), source.random()
        waiting = engine.open_orders(account)
        if chance < 0.15 and waiting:
            engine.cancel(account, source.choice(waiting).order_id)
        elif chance < 0.25 and waiting:
            order = source.choice(waiting)
            engine.amend(account, order.order_id, self.size(), self.price(30))
        elif chance < 0.45:
            self.stop(account)
        else:
            self.limit(account)

    def limit(self, account: str) -> OrderView:
        source, expires_ns = self._random, 0
        time_in_force = source.choice(orders_pb2.TimeInForce.values()[1:])
        if time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME:
            expires_ns = self.market.time_ns + source.randint(1, 300_000_000)
        return self.engine.place(
            account,
            OrderTicket(
                "BTCUSDT",
                side_of(source.random() < 0.5),
                orders_pb2.ORDER_TYPE_LIMIT,
                self.size(),
                self.price(30),
                time_in_force=time_in_force,
                expire_time_ns=expires_ns,
                reduce_only=source.random() < 0.2,
            ),
        )

    def stop(self, account: str) -> OrderView:
        kind, trails = self._random.choice(STOPS), Decimal(self._random.randint(1, 500)) / 100
        is_trailing = kind == orders_pb2.ORDER_TYPE_TRAILING_STOP
        return self.engine.place(
            account,
            OrderTicket(
                "BTCUSDT",
                side_of(self._random.random() < 0.5),
                kind,
                self.size(),
                self.price(5) if kind == orders_pb2.ORDER_TYPE_STOP_LIMIT else None,
                None if is_trailing else self.price(5),
                trails if is_trailing else None,
            ),
        )

    def size(self) -> Decimal:
        return Decimal(self._random.randint(1, 100_000)) / 100_000

    def price(self, spread: float) -> Decimal:
        bid = self.market.levels(BTC, True, 1)[0][0]
        return Decimal(bid + round(self._random.gauss(0, spread * 10))) / 100

    def fills(self) -> list[FillView]:
        return [fill for account in ACCOUNTS for fill in self.engine.fills(account)]


@pytest.mark.parametrize("exchange", [Spot, Perpetual])
def test_the_public_sees_a_consistent_market(exchange: type[FakeExchange]):
    trading = Trading(exchange())
    trading.run()
    times_ns = [event.time_ns for event in trading.events]
    assert times_ns == sorted(times_ns)
    rebuilt: dict[Instrument, Rebuilt] = {}
    rebuild(rebuilt, trading.events)
    book = rebuilt[BTC]
    public = {event.trade_id: event for event in trading.events if hasattr(event, "taker_buys")}
    assert {fill.is_maker for fill in trading.fills()} == {True, False}
    for fill in trading.fills():
        trade = public[fill.trade_id]
        seen = Decimal(BTC.price_text(trade.price_ticks)), Decimal(BTC.size_text(trade.size_lots))
        assert (fill.price, fill.size, fill.time_ns) == (*seen, trade.time_ns)
        assert trade.taker_buys is (fill.order.ticket.buys is not fill.is_maker)
    for is_bid in (True, False):
        assert dict(trading.market.levels(BTC, is_bid, 10_000)) == book.sides[is_bid]
        resting: dict[int, int] = {}
        for account in ACCOUNTS:
            for order in trading.engine.open_orders(account):
                price, ticket = order.ticket.price, order.ticket
                if price is not None and ticket.buys is is_bid and order.status != "untriggered":
                    ticks = int(price * 100)
                    resting[ticks] = resting.get(ticks, 0) + int(order.left * 100_000)
        for ticks, lots in resting.items():
            assert book.sides[is_bid][ticks] >= lots, "what waits is seen"


def test_the_same_seed_and_orders_give_the_same_market():
    runs = []
    for _ in range(2):
        trading = Trading(Spot())
        trading.run()
        seen = [repr(event) for event in trading.events]
        runs.append((trading.fills(), seen, trading.engine.balances("demo")))
    assert runs[0] == runs[1]
