"""The world of a seeded market: it runs by the clock, whoever listens."""

from collections.abc import Mapping, Sequence
from functools import partial

from kit import telemetry
from kit.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.dialect import BookSnapshot, Dialect, InstrumentKind, Listing, Mark
from kit.simulator.events import Instrument, Trade
from kit.simulator.history import TradeHistory, TradePrint
from kit.simulator.market import Market, Step
from kit.simulator.marks import MarkProcess
from kit.simulator.venue import Venue

STEP_NS = 5_000_000
"""Market time moves in steps of this length, at multiples of it."""
TIMER_NS = 1_000_000
"""No wait is shorter: event loops round shorter ones to nothing."""
BOOK_LEVELS_MAX = 5_000
BEHIND_NS_MAX = NANOSECONDS_PER_SECOND
"""A market that cannot keep its pace lets go of what it is behind, beyond this."""

_log = telemetry.logger("simulator.simulate")


class MarketFloor:
    """What a simulated market shows of itself."""

    def __init__(self, market: Market, dialect: Dialect) -> None:
        self._market = market
        self._listings = [dialect.list(instrument) for instrument in market.instruments]
        self._instruments: dict[str, Instrument] = {}
        self._marks: dict[str, MarkProcess] = {}
        self._histories: dict[Instrument, TradeHistory[Trade]] = {}
        for instrument, listing in zip(market.instruments, self._listings, strict=True):
            history = TradeHistory(partial(_prints_of, instrument))
            history.note_minutes(market.minutes_before(instrument, market.time_ns))
            self._instruments[listing.symbol] = instrument
            self._histories[instrument] = history
            if listing.kind is not InstrumentKind.SPOT:
                self._marks[listing.symbol] = MarkProcess(instrument, listing.symbol)

    def time_ns(self) -> int:
        return self._market.time_ns

    def listings(self) -> Sequence[Listing]:
        return self._listings

    def history(self, symbol: str) -> TradeHistory[Trade]:
        return self._histories[self._instruments[symbol]]

    async def book(self, symbol: str) -> BookSnapshot | None:
        """The book now."""
        instrument = self._instruments.get(symbol)
        return None if instrument is None else self._book(instrument)

    def books(self) -> Mapping[str, BookSnapshot]:
        """All books now."""
        return {symbol: self._book(one) for symbol, one in self._instruments.items()}

    def _book(self, instrument: Instrument) -> BookSnapshot:
        bids, asks = (
            [
                (instrument.price_text(ticks), instrument.size_text(lots))
                for ticks, lots in self._market.levels(instrument, is_bid, BOOK_LEVELS_MAX)
            ]
            for is_bid in (True, False)
        )
        return BookSnapshot(self._market.sequence(instrument), bids, asks)

    def mark(self, symbol: str) -> Mark | None:
        """What a derivative is worth now."""
        process = self._marks.get(symbol)
        if process is None:
            return None
        now_ns = self._market.time_ns
        return process.at(now_ns, self._market.fair_price(self._instruments[symbol], now_ns))

    def recorded(self, path: str) -> bytes | None:
        """Nothing: this market never was."""
        return None

    def happened(self, step: Step) -> None:
        """Remember the trades."""
        for event in step.events:
            if type(event) is Trade:
                self._histories[event.instrument].note(event)


class MarketRunner:
    """Runs a market at its speed and tells the venue's connections."""

    def __init__(
        self,
        venue: Venue,
        floor: MarketFloor,
        market: Market,
        speed: float | None,
        clock: Clock,
    ) -> None:
        self._venue = venue
        self._floor = floor
        self._market = market
        self._speed = speed
        self._clock = clock

    async def run(self) -> None:
        """Go on until cancelled."""
        if self._speed is None:
            while True:
                await self._venue.audience()
                await self.step(wait=True)
                await self._clock.sleep(0)
        await self._run_paced(self._speed)

    async def step(self, wait: bool) -> None:
        """One step of market time."""
        next_ns = self._market.time_ns - self._market.time_ns % STEP_NS + STEP_NS
        step = self._market.advance(next_ns)
        self._floor.happened(step)
        frames = self._venue.dialect.encode(step, self._venue.wanted, self._floor)
        self._venue.faults.advance(next_ns)
        if frames:
            await self._venue.deliver(frames, wait)

    async def _run_paced(self, speed: float) -> None:
        anchor_ns, opened_ns = self._clock.monotonic_ns(), self._market.time_ns
        while True:
            due_ns = opened_ns + int((self._clock.monotonic_ns() - anchor_ns) * speed)
            behind_ns = due_ns - self._market.time_ns
            if behind_ns < STEP_NS:
                wait_ns = max((STEP_NS - behind_ns) / speed, TIMER_NS)
                await self._clock.sleep(wait_ns / NANOSECONDS_PER_SECOND)
                continue
            if behind_ns > BEHIND_NS_MAX * max(speed, 1.0):
                _log.warning("the market is slower than its pace", extra={"behind_ns": behind_ns})
                anchor_ns, opened_ns = self._clock.monotonic_ns(), self._market.time_ns
                continue
            await self.step(wait=False)


def _prints_of(instrument: Instrument, trade: Trade) -> tuple[TradePrint]:
    told = TradePrint(
        trade.trade_id,
        instrument.price_text(trade.price_ticks),
        instrument.size_text(trade.size_lots),
        trade.time_ns,
        trade.taker_buys,
    )
    return (told,)
