"""What is ordered to happen to a market happens, to what was named, and is shown."""

from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.fault_commands import FaultCommand
from kit.simulator.faults import FaultInjector
from kit.simulator.listing import Listing
from kit.simulator.market import INSTRUMENTS, MarketStep, SimulatedMarket
from kit.simulator.market_actions import MarketActionRunner
from kit.simulator.market_events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.matching.contract import (
    OrderRejected,
    OrderStatus,
    OrderTicket,
    OrderView,
    RejectCode,
)
from kit.simulator.tests.fakes import FakeExchange

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
BTC, ETH = INSTRUMENTS[:2]


class Exchange(FakeExchange):
    def list(self, instrument: Instrument) -> Listing:
        return replace(super().list(instrument), tick_size=instrument.price_text(1))


class World:
    """A market of two instruments to which things can be ordered."""

    def __init__(self) -> None:
        self.market = SimulatedMarket("1", OPENING_NS, 1_000, INSTRUMENTS[:2])
        self.market_view = SimulatedMarketView(self.market, Exchange())
        self.faults = FaultInjector("fake", 1)
        MarketActionRunner(self.market, self.market_view).register_with(self.faults)
        self.second()

    def order(self, fault: str, symbol: str = "BTCUSDT", **fields) -> None:
        self.faults.add(FaultCommand(venue="fake", fault=fault, symbol=symbol, **fields))

    def second(self) -> MarketStep:
        step = self.market.advance(self.market.time_ns + SECOND_NS)
        self.market_view.happened(step)
        return step

    def events_of(self, instrument: Instrument, kind: type) -> list:
        return [
            event
            for event in self.second().events
            if event.instrument is instrument and type(event) is kind
        ]

    def listing(self, symbol: str = "BTCUSDT") -> Listing | None:
        found = [one for one in self.market_view.listings() if one.symbol == symbol]
        return found[0] if found else None


@pytest.fixture
def world() -> World:
    return World()


def test_a_burst_is_so_many_trades_at_one_moment(world: World):
    world.order("burst", value="1500")
    now_ns = world.market.time_ns
    trades = world.events_of(BTC, Trade)
    assert len([one for one in trades if one.time_ns == now_ns and one.size_lots == 1]) == 1500
    ids = [one.trade_id for one in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_calm_stops_all_trading_for_its_time(world: World):
    world.order("calm", seconds=2)
    assert [list(world.second().events) for _ in range(2)] == [[], []]
    assert len(world.second().events) > 100
    world.order("calm", seconds=60)
    assert list(world.second().events) == []
    world.order("calm", seconds=0)
    assert len(world.second().events) > 100


def test_a_halted_instrument_is_listed_and_does_nothing_until_it_resumes(world: World):
    world.order("halt")
    world.second()
    halted = world.listing()
    assert halted is not None
    assert halted.halted
    before = world.market_view.books()
    assert world.events_of(BTC, LevelChange) == []
    assert world.market_view.books()["BTCUSDT"] == before["BTCUSDT"]
    assert world.events_of(ETH, LevelChange)
    world.order("resume")
    assert world.events_of(BTC, LevelChange)
    resumed = world.listing()
    assert resumed is not None
    assert not resumed.halted


def test_a_delisted_instrument_is_gone_until_it_is_listed_again(world: World):
    world.order("delist")
    world.second()
    assert world.listing() is None
    assert world.listing("ETHUSDT") is not None
    assert world.events_of(BTC, BestQuote) == []
    with pytest.raises(ValueError, match="no such symbol; listed are ETHUSDT"):
        world.order("halt")
    world.order("list")
    assert world.listing() is not None
    assert world.events_of(BTC, BestQuote)
    with pytest.raises(ValueError, match="was not delisted"):
        world.order("list")


async def test_a_new_instrument_is_listed_and_traded(world: World):
    world.order("list", value="PEPE")
    assert world.listing("PEPEUSDT") is not None
    events = world.second().events
    new = [event for event in events if event.instrument.base == "PEPE"]
    assert {type(event) for event in new} == {Trade, LevelChange, BestQuote}
    book = await world.market_view.book("PEPEUSDT")
    assert book is not None
    assert book.bids
    assert world.market_view.history("PEPEUSDT").latest(1)
    with pytest.raises(ValueError, match="known already"):
        world.order("list", value="PEPE")
    assert len(world.market.instruments) == 3


def test_prices_follow_a_new_tick_size(world: World):
    world.order("tick_size", value="0.10")
    listing = world.listing()
    assert listing is not None
    assert listing.tick_size == "0.10"
    before = set(world.market.levels(BTC, True, 10_000) + world.market.levels(BTC, False, 10_000))
    known = {ticks for ticks, _ in before}
    for _ in range(20):
        changes = world.events_of(BTC, LevelChange)
        assert changes
        assert all(one.price_ticks % 10 == 0 for one in changes if one.price_ticks not in known)
    world.order("tick_size", value="0.01")
    fresh = [one for _ in range(20) for one in world.events_of(BTC, LevelChange)]
    assert any(one.price_ticks % 10 for one in fresh)


@pytest.mark.parametrize("value", ["", "0", "-1", "0.015", "NaN", "a tick", "1000"])
def test_a_tick_size_must_be_possible(world: World, value: str):
    with pytest.raises(ValueError, match="tick size"):
        world.order("tick_size", value=value)


@pytest.mark.parametrize("value", ["0", "many", "-5", "1000000"])
def test_a_burst_must_be_possible(world: World, value: str):
    with pytest.raises(ValueError, match="number of trades"):
        world.order("burst", value=value)


def test_an_unlisted_instrument_cannot_be_halted(world: World):
    for fault in ("burst", "halt", "resume", "delist", "tick_size"):
        with pytest.raises(ValueError, match="no such symbol"):
            world.order(fault, "NOPE", value="1")


def test_the_exchanges_clock_goes_wrong_in_whole_steps(world: World):
    world.order("clock_skew", seconds=-2.0031)
    assert world.market_view.time_ns() - world.market.time_ns == -2_005_000_000
    world.order("clock_skew", seconds=0)
    assert world.market_view.time_ns() == world.market.time_ns


def test_orders_wait_out_a_halt_and_end_with_the_listing(world: World):
    engine = world.market_view.engine
    assert engine is not None

    def bid(symbol: str = "BTCUSDT") -> OrderView:
        ticket = OrderTicket(
            symbol, types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_LIMIT, Decimal(1), Decimal(100)
        )
        return engine.place("demo", ticket)

    waiting, other = bid(), bid("ETHUSDT")
    world.order("halt")
    with pytest.raises(OrderRejected) as refused:
        bid()
    assert refused.value.refusal is RejectCode.HALTED
    world.second()
    assert engine.order("demo", waiting.order_id).status is OrderStatus.OPEN
    world.order("resume")
    bid()
    world.order("delist")
    assert engine.order("demo", waiting.order_id).why is RejectCode.UNKNOWN_SYMBOL
    assert engine.open_orders("demo") == [other]
    with pytest.raises(OrderRejected) as refused:
        bid()
    assert refused.value.refusal is RejectCode.UNKNOWN_SYMBOL
    world.order("list")
    assert bid().status is OrderStatus.OPEN
    world.order("list", value="PEPE")
    assert bid("PEPEUSDT").status is OrderStatus.OPEN
    assert "PEPE" in {balance.asset for balance in engine.balances("demo")}


def test_orders_keep_to_a_new_tick_size(world: World):
    engine = world.market_view.engine
    assert engine is not None
    world.order("tick_size", value="0.5")
    for price, fits in (("100.5", True), ("100.25", False)):
        ticket = OrderTicket(
            "BTCUSDT", types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_LIMIT, Decimal(1), Decimal(price)
        )
        with nullcontext() if fits else pytest.raises(OrderRejected):
            engine.place("demo", ticket)
