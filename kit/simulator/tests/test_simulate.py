"""A market runs by the clock while someone takes an interest, and costs nothing otherwise."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.dialect import ExchangeStream, Frame, MarketView, WebsocketSession
from kit.simulator.faults import FaultInjector
from kit.simulator.history import MINUTE_NS
from kit.simulator.market import INSTRUMENTS, MarketStep, SimulatedMarket
from kit.simulator.market_events import LevelChange, Trade
from kit.simulator.market_runner import LEAD_IN_NS, STEP_NS, MarketRunner, SimulatedMarketView
from kit.simulator.matching.contract import OrderStatus, OrderTicket
from kit.simulator.tests.fakes import FakeClock, FakeExchange
from kit.simulator.venue import INTEREST_NS, SimulatedVenue
from tests.support.waiting import WAIT_SECONDS_MAX

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS


class Witness(FakeExchange):
    """Remembers all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[MarketStep] = []
        self.spend: Callable[[], None] = lambda: None
        """Called at each step, for example to let time pass."""

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> Sequence[Frame]:
        self.steps.append(step)
        self.spend()
        return super().encode(step, wanted, market_view)


class Visitor:
    """Stands where a connection would."""

    def __init__(self) -> None:
        self.session = WebsocketSession()
        self.frames_sent = 0
        self.stalled = False
        self.open = True
        self.muted: set[ExchangeStream] = set()


class World:
    """One market, and a clock that runs only while the market sleeps or waits."""

    def __init__(self, speed: float | None = 1.0) -> None:
        self.clock = FakeClock()
        self.exchange = Witness()
        self.venue = SimulatedVenue("fake", self.exchange, FaultInjector("fake", 1), self.clock)
        self.market = SimulatedMarket("1", OPENING_NS, 200, INSTRUMENTS[:2])
        self.market_view = SimulatedMarketView(self.market, self.exchange)
        self.runner = MarketRunner(self.venue, self.market_view, self.market, speed, self.clock)

    async def run_until(self, condition: Callable[[], bool]) -> None:
        running = asyncio.create_task(self.runner.run())
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not condition():
                await asyncio.sleep(0)
        running.cancel()

    def now_ns(self) -> int:
        """Where the market should be."""
        return OPENING_NS + LEAD_IN_NS + self.clock.now_ns - FakeClock().now_ns


def test_a_market_without_clients_stands_still_and_begins_with_a_run_second():
    world = World()
    world.clock.now_ns += HOUR_NS
    assert world.market.time_ns == OPENING_NS
    world.venue.touch()
    assert world.market.time_ns == world.now_ns()
    times_ns = [step.time_ns for step in world.exchange.steps]
    begin_ns = world.now_ns() - LEAD_IN_NS
    assert times_ns == list(range(begin_ns + STEP_NS, world.now_ns() + 1, STEP_NS))
    world.venue.touch()
    assert len(world.exchange.steps) == len(times_ns)


async def test_a_market_without_clients_stands_still_and_resumes_at_the_clock():
    world = World()
    visitor = Visitor()
    world.venue.touch()
    world.venue.join(visitor)
    start_ns = world.now_ns()
    await world.run_until(lambda: world.market.time_ns > start_ns + 2 * INTEREST_NS)
    world.venue.leave(visitor)
    left_ns = world.market.time_ns
    await world.run_until(lambda: world.runner.asleep)
    slept_ns = world.market.time_ns
    assert slept_ns < left_ns + INTEREST_NS + SECOND_NS
    assert slept_ns > left_ns + INTEREST_NS - SECOND_NS
    world.clock.now_ns += HOUR_NS
    assert world.market.time_ns == slept_ns
    world.venue.touch()
    assert world.market.time_ns == pytest.approx(slept_ns + HOUR_NS, abs=SECOND_NS)


async def test_a_pause_leaves_no_hole_in_books_ids_or_candles():
    world = World()
    world.venue.touch()
    first_ns = world.market.time_ns
    world.clock.now_ns += INTEREST_NS
    await world.run_until(lambda: world.runner.asleep)
    world.clock.now_ns += 3 * HOUR_NS
    world.venue.touch()
    events = [event for step in world.exchange.steps for event in step.events]
    for instrument in world.market.instruments:
        mine = [event for event in events if event.instrument is instrument]
        for kind, number in ((Trade, "trade_id"), (LevelChange, "sequence")):
            numbers = [getattr(event, number) for event in mine if isinstance(event, kind)]
            assert len(numbers) > 5
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    symbol = world.market_view.listings()[0].symbol
    history = world.market_view.history(symbol)
    candles = history.candles(lambda at_ns: at_ns - at_ns % MINUTE_NS, 0, world.now_ns())
    starts = [candle.start_ns for candle in candles]
    assert starts == list(range(starts[0], starts[-1] + 1, MINUTE_NS))
    assert starts[0] < first_ns - 23 * HOUR_NS
    assert starts[-1] + 2 * MINUTE_NS > world.now_ns()


def test_all_times_are_by_the_exchanges_clock():
    world = World()
    world.market_view.skew_ns = 7 * SECOND_NS
    world.venue.touch()
    step = world.exchange.steps[-1]
    assert step.time_ns == world.market.time_ns + 7 * SECOND_NS == world.market_view.time_ns()
    times_ns = [event.time_ns for one in world.exchange.steps[1:] for event in one.events]
    assert min(times_ns) > world.market.time_ns + 6 * SECOND_NS
    trades = world.market_view.history(world.market_view.listings()[0].symbol).latest(100)
    assert all(trade.time_ns > world.market.time_ns for trade in trades)


def test_the_clock_of_the_exchange_runs_on_while_the_market_is_behind():
    world = World()
    world.venue.touch()
    world.market_view.skew_ns = SECOND_NS
    behind_ns = world.market_view.time_ns()
    world.clock.now_ns += 2 * SECOND_NS
    assert world.market_view.time_ns() == behind_ns
    assert world.market_view.clock_ns() == world.now_ns() + SECOND_NS


async def test_a_slow_market_skips_time_to_the_clock():
    world = World()
    world.venue.touch()
    world.venue.join(Visitor())
    world.clock.now_ns += 30 * SECOND_NS
    due_ns = world.now_ns()
    steps = len(world.exchange.steps)
    await world.run_until(lambda: world.market.time_ns >= due_ns)
    assert len(world.exchange.steps) < steps + 10


async def test_a_market_that_is_behind_lets_others_run_after_each_step():
    world = World()
    world.venue.touch()
    world.venue.join(Visitor())
    counts: list[int] = []

    def spend() -> None:
        world.clock.now_ns += 2 * STEP_NS

    def has_run_often() -> bool:
        counts.append(len(world.exchange.steps))
        return counts[-1] > counts[0] + 300

    world.exchange.spend = spend
    await world.run_until(has_run_often)
    assert all(after <= before + 1 for before, after in pairwise(counts))


async def test_at_full_speed_time_stands_still_without_subscribers():
    world = World(speed=None)
    visitor = Visitor()
    world.venue.touch()
    assert world.market.time_ns == OPENING_NS + LEAD_IN_NS
    visitor.send = lambda payloads, wait: asyncio.sleep(0)
    await world.exchange.receive(visitor.session, "status/all", world.market_view)
    world.venue.join(visitor)
    await world.run_until(lambda: world.market.time_ns > OPENING_NS + 5 * SECOND_NS)


async def test_a_client_order_trades_with_the_public_book():
    world = World()
    world.venue.touch()
    engine = world.market_view.engine
    assert engine is not None
    before = await world.market_view.book("BTCUSDT")
    assert before is not None
    price = Decimal(before.bids[0][0]).quantize(Decimal(1), ROUND_DOWN) - 2
    size = Decimal(before.bids[0][1])
    bid = OrderTicket(
        "BTCUSDT", types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_LIMIT, Decimal("0.00001"), price
    )
    resting = engine.place("demo", bid)
    taken = engine.place(
        "demo", OrderTicket("BTCUSDT", types_pb2.SIDE_SELL, orders_pb2.ORDER_TYPE_MARKET, size)
    )
    assert taken.status is OrderStatus.FILLED
    book = await world.market_view.book("BTCUSDT")
    assert book is not None
    assert (book.sequence > before.sequence, book.bids[0] == before.bids[0]) == (True, False)
    await world.runner.step(wait=False)
    step = world.exchange.steps[-1]
    trades = [event for event in step.events if isinstance(event, Trade)]
    (fill,) = engine.fills("demo")
    assert fill.trade_id in [trade.trade_id for trade in trades]
    changes = [
        event
        for event in step.events
        if isinstance(event, LevelChange) and event.instrument is INSTRUMENTS[0]
    ]
    assert [change.sequence for change in changes] == list(
        range(before.sequence + 1, before.sequence + 1 + len(changes))
    )
    for _ in range(100_000):
        await world.runner.step(wait=False)
        if engine.order("demo", resting.order_id).status is OrderStatus.FILLED:
            break
    assert [fill.is_maker for fill in engine.fills("demo")] == [False, True]
