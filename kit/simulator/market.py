"""A simulated market: instruments, their books, and the orders that reach them in time order."""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from kit.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.events import Instrument, MarketEvent
from kit.simulator.flow import OrderFlow
from kit.simulator.history import MINUTE_NS, Candle
from kit.simulator.levels import LevelBook, OrderBook
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
IDS_PER_MILLISECOND = 10
"""Ids of a market begin at its opening time, so that a restarted one does not use an id twice."""
HISTORY_MINUTES = 24 * 60
SAMPLES_PER_MINUTE = 4
TRADES_PER_MINUTE = 60


class BookView(Protocol):
    """Reading the books of a market."""

    def levels(self, instrument: Instrument, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        """The best levels of a side as (ticks, lots), best first."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in a short time of a market."""

    time_ns: int
    """Its end."""
    events: Sequence[MarketEvent]
    books: BookView
    """As they are at its end."""


@dataclass(slots=True)
class _Pit:
    """Where one instrument is traded."""

    book: OrderBook
    flow: OrderFlow
    price: PriceProcess


class Market:
    """The same seed and opening time give the same events."""

    def __init__(
        self,
        seed: str,
        opening_ns: int,
        events_per_second: float,
        instruments: Sequence[Instrument],
    ) -> None:
        self.instruments = instruments
        self.time_ns = opening_ns
        self._pits: dict[Instrument, _Pit] = {}
        self._due: list[tuple[int, int]] = []
        self._opening: list[MarketEvent] = []
        shares = sum(instrument.share for instrument in instruments)
        first_id = opening_ns // NANOSECONDS_PER_MILLISECOND * IDS_PER_MILLISECOND
        for index, instrument in enumerate(instruments):
            name = f"{seed}/{instrument.base}/{instrument.quote}"
            rate = events_per_second / EVENTS_PER_ORDER * instrument.share / shares
            book = LevelBook(instrument, first_id)
            price = PriceProcess(instrument, name)
            flow = OrderFlow(instrument, book, price, name, rate)
            self._pits[instrument] = _Pit(book, flow, price)
            self._opening += flow.open(opening_ns)
            heapq.heappush(self._due, (opening_ns + flow.wait_ns(), index))

    def advance(self, time_ns: int) -> Step:
        """Let the market go on until this time."""
        events, self._opening = self._opening, []
        while self._due[0][0] <= time_ns:
            due_ns, index = self._due[0]
            flow = self._pits[self.instruments[index]].flow
            events += flow.act(due_ns)
            heapq.heapreplace(self._due, (due_ns + flow.wait_ns(), index))
        self.time_ns = time_ns
        return Step(time_ns, events, self)

    def levels(self, instrument: Instrument, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        return self._pits[instrument].book.levels(is_bid, count)

    def sequence(self, instrument: Instrument) -> int:
        """Of the last change of a level."""
        return self._pits[instrument].book.sequence

    def fair_price(self, instrument: Instrument, time_ns: int) -> float:
        """Around which it is traded."""
        return self._pits[instrument].price.at(time_ns)

    def minutes_before(self, instrument: Instrument, opening_ns: int) -> list[Candle]:
        """The last day before the opening: candles of the price process, with plain volumes."""
        price = self._pits[instrument].price
        tick = Decimal(instrument.tick_units).scaleb(-instrument.price_scale)
        last = opening_ns - opening_ns % MINUTE_NS
        first = last - HISTORY_MINUTES * MINUTE_NS
        ticks = [
            round(price.smoothed_at(at_ns) / float(tick))
            for at_ns in range(first, last + 1, MINUTE_NS // SAMPLES_PER_MINUTE)
        ]
        found: list[Candle] = []
        for minute, start_ns in enumerate(range(first, last, MINUTE_NS)):
            begin = minute * SAMPLES_PER_MINUTE
            inside = ticks[begin : begin + SAMPLES_PER_MINUTE + 1]
            found.append(_plain_candle(instrument, start_ns, inside, tick))
        return found


def _plain_candle(
    instrument: Instrument, start_ns: int, ticks: Sequence[int], tick: Decimal
) -> Candle:
    moved = sum(abs(later - earlier) for earlier, later in itertools.pairwise(ticks)) / ticks[0]
    trade_count = int(TRADES_PER_MINUTE * (1 + 1000 * moved))
    units = int(instrument.typical_size * 10**instrument.size_scale * trade_count)
    lots = units // instrument.lot_units
    volume, bought = (Decimal(instrument.size_text(one)) for one in (lots, lots // 2))
    close = ticks[-1] * tick
    return Candle(
        start_ns,
        open=ticks[0] * tick,
        high=max(ticks) * tick,
        low=min(ticks) * tick,
        close=close,
        volume=volume,
        quote_volume=volume * close,
        taker_buy_volume=bought,
        taker_buy_quote_volume=bought * close,
        trade_count=trade_count,
    )
