"""A simulated market: instruments, their books, and the orders that reach them in time order."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.generated_candles import GeneratedCandles
from kit.simulator.history import MINUTE_NS, Candle
from kit.simulator.market_events import Instrument, MarketEvent
from kit.simulator.matching.order_book import OrderBook
from kit.simulator.order_flow import OrderFlow
from kit.simulator.price import PriceProcess

INSTRUMENTS = (
    Instrument("BTC", "USDT", 2, 5, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USDT", 2, 4, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USDT", 2, 3, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USDT", 4, 1, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USDT", 5, 0, 1, 0.10400, 4_000.0, 0.050, 1.0),
    Instrument("ETH", "BTC", 5, 4, 1, 0.04290, 0.8, 0.015, 0.5),
)
EVENTS_PER_ORDER = 1.2
"""Trades and changes of the best price that one order causes, on average."""
REQUOTE_AFTER_NS = 10 * NANOSECONDS_PER_SECOND
QUOTE_CURRENCIES = {"USDT": "USD", "USDC": "USD"}
"""Assets that trade at the price of another one."""
IDS_PER_MILLISECOND = 10
"""Ids of a market begin at its opening time, so that a restarted one does not use an id twice."""
HISTORY_MINUTES = 24 * 60
"""Minutes before the opening that are kept beside those of trades; earlier ones are computed."""
PAST_DAYS = 30
DAY_NS = 24 * 60 * MINUTE_NS


class MarketBookView(Protocol):
    """Read access to the books of a market."""

    def levels(self, instrument: Instrument, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        """The best levels of a side as (ticks, lots), best first."""


@dataclass(frozen=True, slots=True)
class MarketStep:
    """The events of a short time of a market."""

    time_ns: int
    """The end of the step."""
    events: Sequence[MarketEvent]
    books: MarketBookView
    """As they are at the end of the step."""


@dataclass(slots=True)
class _InstrumentState:
    """The trading of one instrument."""

    book: OrderBook
    flow: OrderFlow
    price: PriceProcess
    halted: bool = False


class SimulatedMarket:
    """The same seed and opening time give the same events, as long as no client trades."""

    def __init__(
        self,
        seed: str,
        opening_ns: int,
        events_per_second: float,
        instruments: Sequence[Instrument],
        price_seed: str | None = None,
    ) -> None:
        """Markets with the same ``price_seed`` trade around the same prices; None: as ``seed``."""
        self.instruments: list[Instrument] = []
        self.opening_ns = self.time_ns = opening_ns
        past_ns = opening_ns - PAST_DAYS * DAY_NS
        self.past_start_ns = past_ns - past_ns % DAY_NS
        """Begin of the first day of which there are candles."""
        self.seed = seed
        self._price_seed = seed if price_seed is None else price_seed
        shares = sum(instrument.share for instrument in instruments)
        self._orders_per_share = events_per_second / EVENTS_PER_ORDER / shares
        self._states: dict[Instrument, _InstrumentState] = {}
        self._due: list[tuple[int, int]] = []
        self._calm_until_ns = 0
        self._early: list[MarketEvent] = []
        """The events since the last step."""
        for instrument in instruments:
            self.open(instrument)

    def open(self, instrument: Instrument) -> None:
        name = f"{self.seed}/{instrument.base}/{instrument.quote}"
        currency = QUOTE_CURRENCIES.get(instrument.quote, instrument.quote)
        price_seed = f"{self._price_seed}/{instrument.base}/{currency}"
        price = PriceProcess(instrument, price_seed, self.time_ns)
        first_id = self.time_ns // NANOSECONDS_PER_MILLISECOND * IDS_PER_MILLISECOND
        book = OrderBook(instrument, first_id)
        rate = self._orders_per_share * instrument.share
        flow = OrderFlow(instrument, book, price, name, rate)
        self._states[instrument] = _InstrumentState(book, flow, price)
        self._early += flow.open(self.time_ns)
        heapq.heappush(self._due, (self.time_ns + flow.wait_ns(), len(self.instruments)))
        self.instruments.append(instrument)

    def advance(self, time_ns: int) -> MarketStep:
        """Advance the market to a time."""
        if time_ns <= self._calm_until_ns:
            self._delay(time_ns - self.time_ns)
        events, self._early = self._early, []
        while self._due and self._due[0][0] <= time_ns:
            due_ns, index = self._due[0]
            state = self._states[self.instruments[index]]
            if state.halted:
                heapq.heappop(self._due)
                continue
            events += state.flow.act(due_ns)
            heapq.heapreplace(self._due, (due_ns + state.flow.wait_ns(), index))
        self.time_ns = time_ns
        return MarketStep(time_ns, events, self)

    def pause(self, time_ns: int) -> None:
        """Skip to a time without events. After a long pause all quotes are replaced."""
        length_ns = time_ns - self.time_ns
        self._delay(length_ns)
        self.time_ns = time_ns
        if length_ns > REQUOTE_AFTER_NS:
            for state in self._states.values():
                if not state.halted:
                    self._early += state.flow.requote(time_ns)

    def calm(self, length_ns: int) -> None:
        """Stop all trading and quoting for so long; 0 ends it."""
        self._calm_until_ns = self.time_ns + length_ns

    def _delay(self, length_ns: int) -> None:
        self._due = [(due_ns + length_ns, index) for due_ns, index in self._due]

    def halt(self, instrument: Instrument) -> None:
        """Stop trading and quoting an instrument; its book stays."""
        self._states[instrument].halted = True

    def resume(self, instrument: Instrument) -> None:
        """Trade a halted instrument again."""
        state = self._states[instrument]
        if state.halted:
            state.halted = False
            index = self.instruments.index(instrument)
            self._due = [one for one in self._due if one[1] != index]
            heapq.heapify(self._due)
            heapq.heappush(self._due, (self.time_ns + state.flow.wait_ns(), index))

    def burst(self, instrument: Instrument, trade_count: int) -> None:
        """Make trades at one moment, each of one lot at the best price."""
        self._early += self._states[instrument].flow.burst(trade_count, self.time_ns)

    def add(self, events: Sequence[MarketEvent]) -> None:
        """Add events of client orders to the next step."""
        self._early += events

    def book(self, instrument: Instrument) -> OrderBook:
        """The book of an instrument."""
        return self._states[instrument].book

    def set_grain(self, instrument: Instrument, ticks: int) -> None:
        """Make new prices multiples of so many ticks."""
        self._states[instrument].flow.grain = ticks

    def levels(self, instrument: Instrument, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        return self._states[instrument].book.levels(is_bid, count)

    def sequence(self, instrument: Instrument) -> int:
        """The sequence of the last change of a level."""
        return self._states[instrument].book.sequence

    def fair_price(self, instrument: Instrument, time_ns: int) -> float:
        """The price around which an instrument is traded."""
        return self._states[instrument].price.at(time_ns)

    def minutes(self, instrument: Instrument, start_ns: int, end_ns: int) -> list[Candle]:
        """Candles of the price process, for minutes in which nothing was traded here: those that
        begin between two times, and not longer than a day before the end."""
        last_ns = end_ns - end_ns % MINUTE_NS
        first_ns = max(start_ns - start_ns % MINUTE_NS, last_ns - HISTORY_MINUTES * MINUTE_NS)
        price = self._states[instrument].price
        return list(GeneratedCandles.minutes(instrument, price, first_ns, last_ns))

    def past(
        self, instrument: Instrument, start_of: Callable[[int], int], start_ns: int, end_ns: int
    ) -> GeneratedCandles:
        """Candles of minutes between two times, the end left out, but not from before
        ``past_start_ns``; those of an interval that begins before the start are left out."""
        first_ns = max(-(-start_ns // MINUTE_NS) * MINUTE_NS, self.past_start_ns)
        price = self._states[instrument].price
        minutes = GeneratedCandles.minutes(instrument, price, first_ns, end_ns - end_ns % MINUTE_NS)
        return minutes.grouped(start_of).between(start_ns, end_ns)
