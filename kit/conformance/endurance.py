"""A long feed on which frames are lost, doubled and swapped: is what it says still true?

The faults hit half of the instruments, one kind after another, each for a while. Meanwhile every
state of every book at the exchange is remembered for some seconds, and every trade of the while:

- The best prices and sizes of a proven book must be those of one of the exchange's own states.
- Every trade that happened must be published, or lie in a gap; none may be published twice or be
  made up.
- The other instruments must have no gap, where the venue numbers the frames of each by itself.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import to_decimal
from kit.conformance.connector import Connector, connector
from kit.conformance.exchange import Exchange, exchange
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import Environment, TradeNumbering, VenueFactory
from kit.marketdata.model.batches import Batch, columns_of
from kit.simulator.dialect import Dialect
from kit.simulator.events import Instrument, Trade
from kit.simulator.market import Step

BOOK, TRADES = types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_TRADES
FAULTS = ("drop", "duplicate", "reorder")
SHARE = 0.01
"""Of the frames that are hit."""
EVENTS_PER_SECOND = 2_000
STATES = 4_000
"""Remembered of each book: seconds of them."""
SETTLE_SECONDS_MAX = 60.0
QUIET_SECONDS = 6.0
"""Longer than a trade waits for missing ones before it."""
AFTER_SECONDS = 3.0
LOOK_SECONDS = 0.05
NANOSECONDS_PER_SECOND = 1_000_000_000

Amounts = tuple[Decimal, Decimal]
"""Price and size."""
Best = tuple[Decimal, Decimal, Decimal, Decimal]
"""Bid price and size, ask price and size."""


@dataclass(frozen=True, slots=True)
class Endured:
    """What became of one kind of fault."""

    venue_id: str
    fault: str
    events: int
    """Published of all channels and instruments."""
    checked: int
    """Looks at a proven book."""
    wrong: Sequence[str]
    """What was not true, in words."""
    gaps: int
    missing_trades: int
    """All of them in gaps, or it is said in ``wrong``. Where a venue tells several matches at one
    price as one trade: prices at which volume is missing."""
    recovery_s: Sequence[float]
    """How long each book was in doubt, ascending."""


class Truth:
    """What really happens at the exchange."""

    def __init__(self, pretended: Exchange) -> None:
        self.trades: dict[str, Counter[Amounts]] = {}
        self._states: dict[str, deque[Best]] = {}
        self._symbols: dict[Instrument, str] = {}
        for symbol in pretended.symbols:
            instrument = pretended.watch(symbol, self._happened)
            self._symbols[instrument] = symbol
            self._states[symbol] = deque(maxlen=STATES)
            self.trades[symbol] = Counter()

    def was(self, symbol: str, best: Best) -> bool:
        """Whether the book has looked so within the last seconds."""
        return best in self._states[symbol]

    def _happened(self, step: Step) -> None:
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
) -> list[Endured]:
    """One kind of fault after another, each for its part of so many events. ``share``: of the
    frames that are hit."""
    results: list[Endured] = []
    async with exchange(venue_id, dialect, events_per_second) as pretended:
        truth = Truth(pretended)
        venue = make(Environment("simulate", pretended.url, {}))
        async with connector(venue, pretended.symbols) as connected:
            await connected.until(connected.proven, "proven books")
            for fault in faults:
                phase = _Phase(pretended, connected, truth, fault, share)
                results.append(await phase.run(events // len(faults)))
    return results


class _Phase:
    """One kind of fault, until so many events have come and all books are proven again."""

    def __init__(
        self, pretended: Exchange, connected: Connector, truth: Truth, fault: str, share: float
    ) -> None:
        self._exchange = pretended
        self._connector = connected
        self._truth = truth
        self._fault = fault
        self._share = share
        self._symbols = pretended.symbols
        self._hit = self._symbols[: len(self._symbols) // 2]
        self._wrong: list[str] = []
        self._checked = self._events = 0

    async def run(self, events: int) -> Endured:
        connected = self._connector
        await self._settle()
        connected.batches.clear()
        trades_before = {symbol: Counter(of) for symbol, of in self._truth.trades.items()}
        for symbol in self._hit:
            self._exchange.order(self._fault, symbol, probability=self._share, count=0)
        seen = 0
        while self._events < events:
            await connected.next_batch()
            seen = self._look(seen)
        self._exchange.clear()
        # A frame that was kept back comes with the next one after it.
        await asyncio.sleep(AFTER_SECONDS)
        await self._settle()
        self._look(seen)
        missing = self._check_trades(trades_before)
        gaps = [gap for batch in connected.batches for gap in batch.gaps]
        self._check_others(gaps)
        recovery = [seconds for symbol in self._hit for seconds in self._recovery_s(symbol)]
        return Endured(
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
        """Count what is new, and compare the proven books."""
        for batch in self._connector.batches[seen:]:
            columns = columns_of(batch)
            self._events += len(columns.instrument) if columns is not None else 0
        for symbol in self._symbols:
            book = self._connector.book(symbol)
            if book.state is BookState.SYNCHRONIZED:
                best = _best(book)
                self._checked += 1
                if best is not None and not self._truth.was(symbol, best):
                    self._wrong.append(f"{symbol}: {best} was never there")
        return len(self._connector.batches)

    async def _settle(self) -> None:
        """Wait until all is told, in a calm: no trade is then still under way."""
        connected = self._connector
        with self._exchange.calm():
            deadline = connected.now_s() + SETTLE_SECONDS_MAX
            quiet_since = connected.now_s()
            while connected.now_s() < min(deadline, quiet_since + QUIET_SECONDS):
                before = len(connected.batches)
                await asyncio.sleep(LOOK_SECONDS)
                if any(map(_tells, connected.batches[before:])) or not connected.proven():
                    quiet_since = connected.now_s()
            if not connected.proven():
                self._wrong.append(f"not proven within {SETTLE_SECONDS_MAX:.0f} s")

    def _check_trades(self, before: dict[str, Counter[Amounts]]) -> int:
        """Returns how many are missing."""
        count = 0
        for symbol in self._symbols:
            happened = self._truth.trades[symbol] - before[symbol]
            published: Counter[Amounts] = Counter()
            for scale, columns, row in self._connector.scaled_rows(TRADES, symbol):
                price = to_decimal(columns.price[row], scale.price)
                published[price, to_decimal(columns.size[row], scale.size)] += 1
            made_up = self._surplus(published, happened)
            missing = self._surplus(happened, published)
            if made_up:
                self._wrong.append(f"{symbol}: {made_up} trades twice or made up")
            told = self._connector.gaps(TRADES, symbol)
            if missing and not told and self._ids_show_holes(symbol):
                self._wrong.append(f"{symbol}: {missing} trades are missing in silence")
            count += missing
        return count

    def _surplus(self, some: Counter[Amounts], others: Counter[Amounts]) -> int:
        """Trades that only the first have; where the venue tells several matches at one price as
        one trade, prices of which the first have more volume."""
        if self._connector.venue.profile.trade_numbering is not TradeNumbering.SKIPPING:
            return sum((some - others).values())
        ours, theirs = _volumes(some), _volumes(others)
        return sum(volume > theirs.get(price, 0) for price, volume in ours.items())

    def _ids_show_holes(self, symbol: str) -> bool:
        """Not where the venue's ids are texts, which have no order."""
        rows = self._connector.rows(TRADES, symbol)
        return not any(columns.trade_id_text for columns, _ in rows)

    def _check_others(self, gaps: Sequence[types_pb2.Gap]) -> None:
        if self._connector.venue.connection_sequence is not None:
            return
        others = set(self._symbols) - set(self._hit)
        disturbed = {gap.symbol for gap in gaps} & {*others, ""}
        if disturbed:
            self._wrong.append(f"disturbed: {sorted(disturbed)}")

    def _recovery_s(self, symbol: str) -> list[float]:
        """From each gap of a book to its next snapshot."""
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


def _tells(batch: Batch) -> bool:
    """Whether there is a trade or a change of a book in it; tickers go on in a calm, too."""
    return batch.channel in (BOOK, TRADES) and columns_of(batch) is not None


def _volumes(trades: Counter[Amounts]) -> dict[Decimal, Decimal]:
    """What was traded at each price."""
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
