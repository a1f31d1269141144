"""Run a connector on a long feed in which frames are lost, repeated and swapped.

The faults concern half of the instruments, one kind after another. Meanwhile the states of every
book at the exchange are recorded for some seconds, and every trade:

- The best prices and sizes of a synchronized book must be those of a recorded state.
- Every trade of the exchange must be published or be in a gap; none may be published twice or
  invented.
- The other instruments must have no gap, unless the venue numbers all frames of a connection
  together.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.numbers import to_decimal
from kit.conformance.connector_under_test import ConnectorUnderTest, connector
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import Environment, TradeNumbering, VenueFactory
from kit.marketdata.model.batches import Batch, columns_of
from kit.simulator.dialect import Dialect
from kit.simulator.market import MarketStep
from kit.simulator.market_events import Instrument, Trade

BOOK, TRADES = types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_TRADES
FAULTS = ("drop", "duplicate", "reorder")
SHARE = 0.01
"""Share of the frames that get a fault."""
EVENTS_PER_SECOND = 2_000
STATES = 4_000
"""States recorded of each book, enough for some seconds."""
SETTLE_SECONDS_MAX = 60.0
QUIET_SECONDS = 6.0
"""Longer than a trade waits for missing ones before it."""
AFTER_SECONDS = 3.0
LOOK_SECONDS = 0.05

Amounts = tuple[Decimal, Decimal]
"""Price and size."""
Best = tuple[Decimal, Decimal, Decimal, Decimal]
"""Bid price and size, ask price and size."""

ShowEvents = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class EnduranceResult:
    """The result of one kind of fault."""

    venue_id: str
    fault: str
    events: int
    """Events published, of all channels and instruments."""
    checked: int
    """Comparisons of a synchronized book."""
    wrong: Sequence[str]
    """What was wrong, in words."""
    gaps: int
    missing_trades: int
    """Trades that were not published. Where a venue sums up trades at one price: prices at which
    volume is missing. Trades that are missing without a gap are in ``wrong``."""
    recovery_s: Sequence[float]
    """How long each book was in doubt, in ascending order."""


class ExchangeStateLog:
    """Trades and recent books of the exchange."""

    def __init__(self, simulated: SimulatedExchange) -> None:
        self.trades: dict[str, Counter[Amounts]] = {}
        self._states: dict[str, deque[Best]] = {}
        self._symbols: dict[Instrument, str] = {}
        for symbol in simulated.symbols:
            instrument = simulated.watch(symbol, self._on_step)
            self._symbols[instrument] = symbol
            self._states[symbol] = deque(maxlen=STATES)
            self.trades[symbol] = Counter()

    def was(self, symbol: str, best: Best) -> bool:
        """Whether these were the best prices and sizes within the last seconds."""
        return best in self._states[symbol]

    def _on_step(self, step: MarketStep) -> None:
        touched = set()
        for event in step.events:
            symbol = self._symbols[event.instrument]
            touched.add(event.instrument)
            if type(event) is Trade:
                self.trades[symbol][_amounts(event)] += 1
        for instrument in touched:
            sides = [step.books.levels(instrument, is_bid, 1) for is_bid in (True, False)]
            if all(sides):
                self._states[self._symbols[instrument]].append(_best_of(instrument, sides))


async def endure(
    venue_id: str,
    make: VenueFactory,
    dialect: Callable[[], Dialect],
    events: int,
    faults: Sequence[str] = FAULTS,
    events_per_second: int = EVENTS_PER_SECOND,
    share: float = SHARE,
    on_events: ShowEvents = lambda fault, count: None,
) -> list[EnduranceResult]:
    """Inject one kind of fault after another, each for its part of ``events``, into a share of the
    frames. ``on_events`` receives the number of events so far of each fault."""
    results: list[EnduranceResult] = []
    async with exchange(venue_id, dialect, events_per_second) as simulated:
        record = ExchangeStateLog(simulated)
        venue = make(Environment("simulate", simulated.url, {}))
        async with connector(venue, simulated.symbols) as connected:
            await connected.until(connected.synchronized, "synchronized books")
            for fault in faults:
                phase = _FaultPhase(simulated, connected, record, fault, share, on_events)
                results.append(await phase.run(events // len(faults)))
    return results


class _FaultPhase:
    """One kind of fault, until enough events have come and all books are synchronized again."""

    def __init__(
        self,
        simulated: SimulatedExchange,
        connected: ConnectorUnderTest,
        record: ExchangeStateLog,
        fault: str,
        share: float,
        on_events: ShowEvents,
    ) -> None:
        self._exchange = simulated
        self._connector = connected
        self._record = record
        self._fault = fault
        self._share = share
        self._on_events = on_events
        self._symbols = simulated.symbols
        profile = connected.venue.profile
        self._ids_show_missing_trades = profile.trade_numbering is not TradeNumbering.NONE
        self._faulty = self._symbols[: len(self._symbols) // 2]
        self._wrong: list[str] = []
        self._checked = self._events = 0

    async def run(self, events: int) -> EnduranceResult:
        connected = self._connector
        await self._settle()
        connected.batches.clear()
        trades_before = {symbol: Counter(of) for symbol, of in self._record.trades.items()}
        for symbol in self._faulty:
            self._exchange.order(self._fault, symbol, probability=self._share, count=0)
        seen = 0
        while self._events < events:
            await connected.next_batch()
            seen = self._look(seen)
            self._on_events(self._fault, self._events)
        self._exchange.clear()
        # A frame that was kept back comes with the next one after it.
        await asyncio.sleep(AFTER_SECONDS)
        await self._settle()
        self._look(seen)
        missing = self._check_trades(trades_before)
        gaps = [gap for batch in connected.batches for gap in batch.gaps]
        self._check_others(gaps)
        recovery = [seconds for symbol in self._faulty for seconds in self._recovery_s(symbol)]
        return EnduranceResult(
            connected.venue.venue_id,
            self._fault,
            self._events,
            self._checked,
            self._wrong,
            len(gaps),
            missing,
            sorted(recovery),
        )

    def _look(self, seen: int) -> int:
        """Count new events, and compare the synchronized books."""
        for batch in self._connector.batches[seen:]:
            columns = columns_of(batch)
            self._events += len(columns.instrument) if columns is not None else 0
        for symbol in self._symbols:
            book = self._connector.book(symbol)
            if book.state is BookState.SYNCHRONIZED:
                best = _best(book)
                self._checked += 1
                if best is not None and not self._record.was(symbol, best):
                    self._wrong.append(f"{symbol}: {best} was never at the exchange")
        return len(self._connector.batches)

    async def _settle(self) -> None:
        """Stop the market and wait until nothing more is published."""
        connected = self._connector
        with self._exchange.calm():
            deadline = connected.now_s() + SETTLE_SECONDS_MAX
            quiet_since = connected.now_s()
            while connected.now_s() < min(deadline, quiet_since + QUIET_SECONDS):
                before = len(connected.batches)
                await asyncio.sleep(LOOK_SECONDS)
                if (
                    any(map(_has_market_events, connected.batches[before:]))
                    or not connected.synchronized()
                ):
                    quiet_since = connected.now_s()
            if not connected.synchronized():
                self._wrong.append(f"not synchronized within {SETTLE_SECONDS_MAX:.0f} s")

    def _check_trades(self, before: dict[str, Counter[Amounts]]) -> int:
        """Compare all trades. Returns how many are missing."""
        count = 0
        for symbol in self._symbols:
            happened = self._record.trades[symbol] - before[symbol]
            published: Counter[Amounts] = Counter()
            for scale, columns, row in self._connector.scaled_rows(TRADES, symbol):
                price = to_decimal(columns.price[row], scale.price)
                published[price, to_decimal(columns.size[row], scale.size)] += 1
            invented = self._surplus(published, happened)
            missing = self._surplus(happened, published)
            if invented:
                self._wrong.append(f"{symbol}: {invented} trades published twice or invented")
            gaps = self._connector.gaps(TRADES, symbol)
            if missing and not gaps and self._ids_show_missing_trades:
                self._wrong.append(f"{symbol}: {missing} trades are missing without a gap")
            count += missing
        return count

    def _surplus(self, some: Counter[Amounts], others: Counter[Amounts]) -> int:
        """Number of trades that only the first have. Where the venue sums up trades at one price:
        number of prices at which the first have more volume."""
        if self._connector.venue.profile.trade_numbering is not TradeNumbering.SKIPPING:
            return sum((some - others).values())
        ours, theirs = _volumes(some), _volumes(others)
        return sum(volume > theirs.get(price, 0) for price, volume in ours.items())

    def _check_others(self, gaps: Sequence[types_pb2.Gap]) -> None:
        if self._connector.venue.connection_sequence is not None:
            return
        others = set(self._symbols) - set(self._faulty)
        disturbed = {gap.symbol for gap in gaps} & {*others, ""}
        if disturbed:
            self._wrong.append(f"disturbed: {sorted(disturbed)}")

    def _recovery_s(self, symbol: str) -> list[float]:
        """Seconds from each gap of a book to its next snapshot."""
        found, since_ns = [], 0
        for batch in self._connector.batches:
            if batch.channel != BOOK:
                continue
            if any(gap.symbol in ("", symbol) for gap in batch.gaps):
                since_ns = since_ns or batch.published_time_ns
            snapshots = (
                batch.instruments[place].symbol == symbol
                for place, whole in zip(batch.book.instrument, batch.book.snapshot, strict=True)
                if whole
            )
            if since_ns and any(snapshots):
                found.append((batch.published_time_ns - since_ns) / NANOSECONDS_PER_SECOND)
                since_ns = 0
        return found


def _has_market_events(batch: Batch) -> bool:
    """Whether a batch has a trade or a book update; tickers go on in a calm, too."""
    return batch.channel in (BOOK, TRADES) and columns_of(batch) is not None


def _volumes(trades: Counter[Amounts]) -> dict[Decimal, Decimal]:
    """Volume traded at each price."""
    sums: dict[Decimal, Decimal] = {}
    for (price, size), count in trades.items():
        sums[price] = sums.get(price, Decimal(0)) + size * count
    return sums


def _amounts(trade: Trade) -> Amounts:
    one = trade.instrument
    return Decimal(one.price_text(trade.price_ticks)), Decimal(one.size_text(trade.size_lots))


def _best_of(instrument: Instrument, sides: Sequence[Sequence[tuple[int, int]]]) -> Best:
    (bid_ticks, bid_lots), (ask_ticks, ask_lots) = (side[0] for side in sides)
    return (
        Decimal(instrument.price_text(bid_ticks)),
        Decimal(instrument.size_text(bid_lots)),
        Decimal(instrument.price_text(ask_ticks)),
        Decimal(instrument.size_text(ask_lots)),
    )


def _best(book: SynchronizedBook) -> Best | None:
    bids, asks = book.book.bids(1), book.book.asks(1)
    if not bids or not asks:
        return None
    (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
    price, size = book.scale.price, book.scale.size
    return (
        to_decimal(bid, price),
        to_decimal(bid_size, size),
        to_decimal(ask, price),
        to_decimal(ask_size, size),
    )
