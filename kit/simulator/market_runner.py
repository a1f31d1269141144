"""The world of a seeded market: it runs by the clock while a client is active."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.dialect import Dialect, Frame
from kit.simulator.history import HistoricalTrade, InstrumentTradeHistory
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, InstrumentKind, Listing
from kit.simulator.mark_price_model import FUNDING_INTERVAL_NS, MarkPriceModel
from kit.simulator.market import MarketStep, SimulatedMarket
from kit.simulator.market_events import Instrument, Trade
from kit.simulator.matching.contract import MatchingEngine
from kit.simulator.matching.exchange_accounts import ExchangeAccounts
from kit.simulator.venue import SimulatedVenue

STEP_NS = 5_000_000
"""Market time moves in steps of this length, at multiples of it."""
TIMER_NS = 1_000_000
"""No wait is shorter: event loops round shorter ones to nothing."""
LEAD_IN_NS = NANOSECONDS_PER_SECOND
"""How long a market runs before a client sees it, so that every stream has published once."""
BOOK_LEVELS_MAX = 5_000
TRADES_MAX = 10_000
"""Trades of one instrument in its history."""
BEHIND_NS_MAX = NANOSECONDS_PER_SECOND
"""A market that is further behind its pace skips the time."""

_log = telemetry.logger("simulator.simulate")


class SimulatedMarketView:
    """``MarketView`` of a simulated market."""

    def __init__(
        self,
        market: SimulatedMarket,
        dialect: Dialect,
        funding_interval_ns: int = FUNDING_INTERVAL_NS,
    ) -> None:
        self._funding_interval_ns = funding_interval_ns
        self.skew_ns = 0
        """How far the exchange's clock is ahead of the market's."""
        self.due_ns: Callable[[], int] = lambda: market.time_ns
        """Returns the time up to which the market should have run."""
        self.watchers: list[Callable[[MarketStep], None]] = []
        """Called with each step of the market, first of all."""
        self._market = market
        self._dialect = dialect
        self._listings: dict[str, Listing] = {}
        self._delisted: dict[str, Listing] = {}
        self._instruments: dict[str, Instrument] = {}
        self._marks: dict[str, MarkPriceModel] = {}
        self._newest_marks: dict[str, tuple[int, DerivativeMark | None]] = {}
        """With their times: trading accounts read them often."""
        self._histories: dict[Instrument, InstrumentTradeHistory[Trade]] = {}
        rules = dialect.matching_rules
        self._engine = ExchangeAccounts(
            rules, lambda: market.time_ns, self._exchange_time, market.add, self.mark
        )
        for instrument in market.instruments:
            self.enter(instrument)
            self._histories[instrument].past = partial(market.past, instrument)
        self.paused(0, market.time_ns)

    def time_ns(self) -> int:
        return self._market.time_ns + self.skew_ns

    def clock_ns(self) -> int:
        return max(self._market.time_ns, self.due_ns()) + self.skew_ns

    def listings(self) -> Sequence[Listing]:
        return list(self._listings.values())

    def history(self, symbol: str) -> InstrumentTradeHistory[Trade]:
        return self._histories[self._instruments[symbol]]

    async def book(self, symbol: str) -> ExchangeBookSnapshot | None:
        instrument = self._instruments.get(symbol)
        return None if instrument is None else self._book(instrument)

    def books(self) -> Mapping[str, ExchangeBookSnapshot]:
        return {symbol: self._book(one) for symbol, one in self._instruments.items()}

    def best_levels(self, symbol: str, count: int) -> ExchangeBookSnapshot:
        """The first levels of the book of an instrument."""
        return self._book(self._instruments[symbol], count)

    def _book(self, instrument: Instrument, count: int = BOOK_LEVELS_MAX) -> ExchangeBookSnapshot:
        bids, asks = (
            [
                (instrument.price_text(ticks), instrument.size_text(lots))
                for ticks, lots in self._market.levels(instrument, is_bid, count)
            ]
            for is_bid in (True, False)
        )
        return ExchangeBookSnapshot(self._market.sequence(instrument), bids, asks)

    def mark(self, symbol: str) -> DerivativeMark | None:
        """The current mark of a derivative."""
        process = self._marks.get(symbol)
        if process is None:
            return None
        now_ns = self._market.time_ns
        known_ns, mark = self._newest_marks.get(symbol, (-1, None))
        if known_ns != now_ns:
            mark = process.at(now_ns, self._market.fair_price(self._instruments[symbol], now_ns))
            self._newest_marks[symbol] = now_ns, mark
        return mark

    def instrument(self, symbol: str) -> Instrument:
        """The instrument of a listed symbol. Raises ValueError."""
        if symbol not in self._listings:
            raise ValueError(f"no such symbol; listed are {', '.join(self._listings)}")
        return self._instruments[symbol]

    def enter(self, instrument: Instrument) -> None:
        """List and trade an instrument. Raises ValueError when its symbol is taken."""
        listing = self._dialect.list(instrument)
        symbol = listing.symbol
        if symbol in self._instruments:
            raise ValueError(f"{symbol} is known already")
        if instrument not in self._market.instruments:
            self._market.open(instrument)
        self._listings[symbol] = listing
        self._instruments[symbol] = instrument
        self._histories[instrument] = InstrumentTradeHistory(
            partial(_prints_of, instrument), TRADES_MAX
        )
        self._engine.enter(instrument, listing, self._market.book(instrument))
        if listing.kind is not InstrumentKind.SPOT:
            seed = f"{self._market.seed}/{symbol}"
            self._marks[symbol] = MarkPriceModel(instrument, seed, self._funding_interval_ns)

    def relist(self, symbol: str, **changes: Any) -> None:
        """Change the listing of a symbol."""
        self._listings[symbol] = replace(self._listings[symbol], **changes)
        self._engine.relist(self._listings[symbol])

    def delist(self, symbol: str) -> None:
        """Remove a symbol from the list."""
        self._delisted[symbol] = self._listings.pop(symbol)
        self._engine.delist(symbol)

    def list_again(self, symbol: str) -> Instrument:
        """List a delisted symbol again. Raises ValueError."""
        if symbol not in self._delisted:
            raise ValueError(f"{symbol} was not delisted")
        self._listings[symbol] = self._delisted.pop(symbol)
        self._engine.relist(self._listings[symbol])
        return self._instruments[symbol]

    def paused(self, start_ns: int, end_ns: int) -> None:
        """Note a time without trades; its candles come from the price process."""
        for instrument, history in self._histories.items():
            history.note_minutes(partial(self._market.minutes, instrument, start_ns, end_ns))

    @property
    def engine(self) -> MatchingEngine | None:
        return self._engine

    def recorded(self, path: str) -> bytes | None:
        """None: there is no capture."""
        return None

    def advance(self, time_ns: int) -> None:
        """Advance the accounts to a time."""
        self._engine.advance(time_ns)

    def _exchange_time(self, time_ns: int) -> int:
        return time_ns + self.skew_ns

    def happened(self, step: MarketStep) -> None:
        """Record the trades of a step."""
        for watch in self.watchers:
            watch(step)
        for event in step.events:
            if type(event) is Trade:
                self._histories[event.instrument].note(event)


class MarketRunner:
    """Runs a market at its speed and delivers its frames. While no client is active it does
    nothing, and the market stands still."""

    def __init__(
        self,
        venue: SimulatedVenue,
        market_view: SimulatedMarketView,
        market: SimulatedMarket,
        speed: float | None,
        clock: Clock,
    ) -> None:
        self._venue = venue
        self._market_view = market_view
        self._market = market
        self._speed = speed
        self._clock = clock
        self._awake = asyncio.Event()
        self._anchor = (clock.monotonic_ns(), market.time_ns + LEAD_IN_NS)
        market_view.due_ns = self._due_ns
        venue.on_activity = self.wake
        venue.faults.advance(market.time_ns)

    @property
    def asleep(self) -> bool:
        """Whether the market stands still because no client is active."""
        return not self._awake.is_set()

    def wake(self) -> None:
        """Bring a market that stood still to the current time and run its last second, so that a
        new client finds published books."""
        if not self.asleep:
            return
        self._awake.set()
        now_ns = self._due_ns()
        self._skip(now_ns - LEAD_IN_NS)
        while self._market.time_ns + STEP_NS <= now_ns:
            self._advance_market()

    async def run(self) -> None:
        while True:
            await self._awake.wait()
            if self._speed is None:
                await self._venue.wait_for_subscribers()
                await self.step(wait=True)
                await self._clock.sleep(0)
            elif self._venue.is_active:
                await self._keep_pace(self._speed)
            else:
                self._awake.clear()

    async def step(self, wait: bool) -> None:
        """Run one step of market time."""
        frames = self._advance_market()
        if frames:
            await self._venue.deliver(frames, wait)

    async def _keep_pace(self, speed: float) -> None:
        """Run a step if it is due; otherwise wait until it is."""
        behind_ns = self._due_ns() - self._market.time_ns
        if behind_ns < STEP_NS:
            wait_ns = max((STEP_NS - behind_ns) / speed, TIMER_NS)
            await self._clock.sleep(wait_ns / NANOSECONDS_PER_SECOND)
            return
        if behind_ns > BEHIND_NS_MAX * max(speed, 1.0):
            _log.warning("the market is slower than its pace", extra={"behind_ns": behind_ns})
            self._skip(self._market.time_ns + behind_ns)
        await self.step(wait=False)
        # Clients are served also while the market catches up.
        await self._clock.sleep(0)

    def _advance_market(self) -> Sequence[Frame]:
        self._market_view.advance(self._market.time_ns)
        next_ns = self._market.time_ns - self._market.time_ns % STEP_NS + STEP_NS
        step = _with_skew(self._market.advance(next_ns), self._market_view.skew_ns)
        self._market_view.happened(step)
        frames = self._venue.dialect.encode(step, self._venue.wanted, self._market_view)
        self._venue.faults.advance(next_ns)
        return frames

    def _skip(self, time_ns: int) -> None:
        """Skip to a time without events."""
        before_ns, time_ns = self._market.time_ns, time_ns - time_ns % STEP_NS
        if time_ns > before_ns:
            self._market_view.advance(time_ns)
            self._market.pause(time_ns)
            self._market_view.paused(before_ns, time_ns)

    def _due_ns(self) -> int:
        """The market time by the clock; at full speed, a little after its opening."""
        started_ns, opened_ns = self._anchor
        elapsed_ns = self._clock.monotonic_ns() - started_ns
        return opened_ns + int(elapsed_ns * (self._speed or 0))


def _with_skew(step: MarketStep, skew_ns: int) -> MarketStep:
    """The step by the exchange's clock."""
    if not skew_ns:
        return step
    events = [msgspec.structs.replace(one, time_ns=one.time_ns + skew_ns) for one in step.events]
    return MarketStep(step.time_ns + skew_ns, events, step.books)


def _prints_of(instrument: Instrument, trades: Sequence[Trade]) -> Iterator[HistoricalTrade]:
    for trade in trades:
        yield HistoricalTrade(
            trade.trade_id,
            instrument.price_text(trade.price_ticks),
            instrument.size_text(trade.size_lots),
            trade.time_ns,
            trade.taker_buys,
        )
