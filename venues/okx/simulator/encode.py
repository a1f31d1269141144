"""A simulated market's events as OKX's frames.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.numbers import format_scaled
from kit.simulator.dialect import Channel, Frame, MarketView, Stream
from kit.simulator.events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.listing import BookSnapshot, Listing
from kit.simulator.market import BookView, Step
from venues.okx.simulator.books import BOOK_LEVELS, SMALL_BOOK_LEVELS, SaidBook, Side, Writing
from venues.okx.simulator.candles import bar_start, candle_row
from venues.okx.simulator.listings import Segment
from venues.okx.simulator.rest import funding_row, index_row, mark_row, ticker_row
from venues.okx.simulator.streams import CANDLE, OkxStreams, argument, parts

QUOTE_INTERVAL_NS = 10 * NANOSECONDS_PER_MILLISECOND
BOOK_INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
MARK_INTERVAL_NS = 200 * NANOSECONDS_PER_MILLISECOND
SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
FUNDING_INTERVAL_NS = 60 * NANOSECONDS_PER_SECOND
QUIET_BOOK_NS = 60 * NANOSECONDS_PER_SECOND
"""A book in which nothing happens says that it is still there, this often."""


@dataclass(slots=True)
class _Desk:
    """One instrument's streams, and what they have not said yet."""

    instrument: Instrument
    listing: Listing
    writing: Writing
    trades: Stream
    every_trade: Stream
    quote: Stream
    book: Stream
    small_book: Stream
    sequence: int = 0
    """Of the last change of a level."""
    matches: list[Trade] = field(default_factory=list)
    """Of the step."""
    best: BestQuote | None = None
    """The newest, while it was not told."""
    said: SaidBook | None = None
    """None while nobody asks for the book."""
    restarted_at: int = 0
    """The sequence after which the numbering was begun anew; see ``Encoder.restart``."""

    def number(self, sequence: int) -> int:
        """The seqId of a sequence."""
        return sequence - self.restarted_at


class Encoder:
    """Remembers what was said of books, and what has not been said yet."""

    def __init__(self, streams: OkxStreams, segment: Segment) -> None:
        self._streams = streams
        self._segment = segment
        self._desks: dict[Instrument, _Desk] = {}
        self._by_symbol: dict[str, _Desk] = {}
        self._books: BookView | None = None

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step."""
        opening, self._books = self._books is None, step.books
        for event in step.events:
            desk = self._desks.get(event.instrument) or self._open_desk(event.instrument)
            if type(event) is LevelChange:
                desk.sequence = event.sequence
            elif type(event) is BestQuote:
                desk.best = event
            elif type(event) is Trade:
                desk.matches.append(event)
        frames: list[Frame] = []
        if opening:
            # For those who were there before there was anything to say.
            frames += [(one, text) for one in wanted for text in self.greeting(one, market_view)]
        for desk in self._desks.values():
            frames.extend(_trade_frames(desk, wanted))
            if step.time_ns % QUOTE_INTERVAL_NS == 0:
                frames.extend(_quote_frames(desk, wanted))
            if step.time_ns % BOOK_INTERVAL_NS == 0:
                frames.extend(self._book_frames(desk, step.time_ns, wanted))
        if step.time_ns % MARK_INTERVAL_NS == 0:
            frames.extend(self._summaries(step.time_ns, wanted, market_view))
        return frames

    def greeting(self, stream: Stream, market_view: MarketView) -> list[bytes]:
        """What a subscription begins with: the book, or the newest figures. Nothing where there
        was no step, as with a tape: that says only what was said."""
        desk = self._by_symbol.get(stream.symbol)
        if desk is None:
            return []
        now_ns = market_view.time_ns()
        if stream is desk.book:
            # Whoever comes later joins what the others know, so that the next update fits all.
            desk.said = desk.said or self._book_now(desk, now_ns)
            return [desk.said.snapshot(stream, desk.writing, desk.number(desk.said.sequence))]
        if stream is desk.small_book:
            return [self._small_book_frame(desk, now_ns)]
        return [text for _, text in self._summary(stream, now_ns, market_view)]

    def told(self, symbol: str) -> BookSnapshot | None:
        """A book as it was told last. None while nobody follows it."""
        desk = self._by_symbol.get(symbol)
        if desk is None or desk.said is None:
            return None
        writing = desk.writing
        bids, asks = (
            [(writing.price(ticks), writing.size(lots)) for ticks, lots in side.items()]
            for side in (desk.said.bids, desk.said.asks)
        )
        return BookSnapshot(desk.number(desk.said.sequence), bids, asks)

    def restart(self, stream: Stream) -> bytes | None:
        """Begin the numbering of a book anew, as after maintenance: an update with nothing in it,
        whose seqId is below its prevSeqId. None: nobody was told of this book."""
        desk = self._by_symbol.get(stream.symbol)
        if desk is None or stream is not desk.book or desk.said is None:
            return None
        said = desk.said
        before = desk.number(said.sequence)
        desk.restarted_at = said.sequence - 1
        return said.update(stream, desk.writing, (before, desk.number(said.sequence)), said)

    def _open_desk(self, instrument: Instrument) -> _Desk:
        listing = self._segment.listing(instrument)
        symbol = listing.symbol
        tick, lot = instrument.tick_units, instrument.lot_units
        stream = self._streams.get
        desk = _Desk(
            instrument,
            listing,
            Writing(
                price=lambda ticks: format_scaled(ticks * tick, instrument.price_scale),
                size=lambda lots: format_scaled(lots * lot, instrument.size_scale),
            ),
            trades=stream("trades", symbol),
            every_trade=stream("trades-all", symbol),
            quote=stream("bbo-tbt", symbol),
            book=stream("books", symbol),
            small_book=stream("books5", symbol),
        )
        self._desks[instrument] = self._by_symbol[symbol] = desk
        return desk

    def _top(self, desk: _Desk, count: int) -> tuple[Side, Side]:
        """The best bids and asks now."""
        assert self._books is not None
        levels = self._books.levels
        bids, asks = (levels(desk.instrument, is_bid, count) for is_bid in (True, False))
        return dict(bids), dict(asks)

    def _book_now(self, desk: _Desk, time_ns: int) -> SaidBook:
        return SaidBook(desk.sequence, *self._top(desk, BOOK_LEVELS), time_ns)

    def _book_frames(
        self, desk: _Desk, time_ns: int, wanted: Collection[Stream]
    ) -> Iterator[Frame]:
        if desk.small_book in wanted:
            yield desk.small_book, self._small_book_frame(desk, time_ns)
        before = desk.said
        if before is None:
            return
        if desk.book not in wanted:
            desk.said = None
            return
        if desk.sequence != before.sequence:
            now = desk.said = self._book_now(desk, time_ns)
        elif time_ns - before.time_ns >= QUIET_BOOK_NS:
            now = before
            now.time_ns = time_ns
        else:
            return
        numbers = desk.number(before.sequence), desk.number(now.sequence)
        yield desk.book, now.update(desk.book, desk.writing, numbers, before)

    def _small_book_frame(self, desk: _Desk, time_ns: int) -> bytes:
        bids, asks = map(desk.writing.levels, self._top(desk, SMALL_BOOK_LEVELS))
        row = (
            f'{{"asks":{asks},"bids":{bids},"instId":"{desk.listing.symbol}",'
            f'"ts":"{_milliseconds(time_ns)}","seqId":{desk.number(desk.sequence)}}}'
        )
        return wrapped(desk.small_book, row.encode())

    def _summaries(
        self, time_ns: int, wanted: Collection[Stream], market_view: MarketView
    ) -> Iterator[Frame]:
        """What is sent by the clock."""
        for stream in wanted:
            if stream.name.startswith("funding-rate"):
                interval_ns = FUNDING_INTERVAL_NS
            elif stream.channel is Channel.MARKS:
                interval_ns = MARK_INTERVAL_NS
            elif stream.channel in (Channel.TICKERS, Channel.CANDLES):
                interval_ns = SUMMARY_INTERVAL_NS
            else:
                continue
            if time_ns % interval_ns == 0:
                yield from self._summary(stream, time_ns, market_view)

    def _summary(self, stream: Stream, time_ns: int, market_view: MarketView) -> Iterator[Frame]:
        desk = self._by_symbol.get(stream.symbol)
        if desk is None:
            return
        channel, name = parts(stream)
        rows: list[Any] = []
        if channel.startswith(CANDLE):
            rows = self._candles(desk, channel.removeprefix(CANDLE), time_ns, market_view)
        elif stream.channel is Channel.TICKERS:
            rows = self._ticker(desk, market_view)
        elif stream.channel is Channel.MARKS:
            rows = _mark(desk, channel, name, market_view)
        for row in rows:
            yield stream, wrapped(stream, msgspec.json.encode(row))

    def _candles(self, desk: _Desk, bar: str, time_ns: int, market_view: MarketView) -> list[Any]:
        """The candle now, and before it, for a second, the one that has just ended."""
        start_of = bar_start(bar)
        if start_of is None:
            return []
        start_ns = start_of(time_ns)
        just_ended = time_ns - start_ns < SUMMARY_INTERVAL_NS
        first_ns = start_of(start_ns - 1) if just_ended else start_ns
        found = market_view.history(desk.listing.symbol).candles(start_of, first_ns, time_ns)
        return [candle_row(candle, desk.listing, candle.start_ns < start_ns) for candle in found]

    def _ticker(self, desk: _Desk, market_view: MarketView) -> list[Any]:
        writing = desk.writing
        best = [
            text
            for side in self._top(desk, 1)
            for ticks, lots in (side or {0: 0}).items()
            for text in ((writing.price(ticks), writing.size(lots)) if lots else ("", ""))
        ]
        row = ticker_row(market_view, desk.listing, best)
        return [] if row is None else [row]


def wrapped(stream: Stream, row: bytes) -> bytes:
    """``{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[…]}``"""
    return b'{"arg":%b,"data":[%b]}' % (argument(*parts(stream)), row)


def _trade_frames(desk: _Desk, wanted: Collection[Stream]) -> Iterator[Frame]:
    """Matches in a row at one price are one row, under the id of the last."""
    matches, desk.matches = desk.matches, []
    if desk.trades in wanted:
        for _, run in itertools.groupby(matches, lambda one: (one.price_ticks, one.taker_buys)):
            *others, last = run
            lots = sum(one.size_lots for one in others) + last.size_lots
            rest = f',"count":"{len(others) + 1}","seqId":{desk.number(desk.sequence)}'
            yield desk.trades, wrapped(desk.trades, _trade_row(desk, last, lots, rest))
    if desk.every_trade in wanted:
        for one in matches:
            row = _trade_row(desk, one, one.size_lots, "")
            yield desk.every_trade, wrapped(desk.every_trade, row)


def _trade_row(desk: _Desk, trade: Trade, lots: int, rest: str) -> bytes:
    """``{"instId","tradeId","px","sz","side":the taker's,"ts","source","count","seqId"}``"""
    row = (
        f'{{"instId":"{desk.listing.symbol}","tradeId":"{trade.trade_id}",'
        f'"px":"{desk.writing.price(trade.price_ticks)}","sz":"{desk.writing.size(lots)}",'
        f'"side":"{"buy" if trade.taker_buys else "sell"}",'
        f'"ts":"{_milliseconds(trade.time_ns)}","source":"0"{rest}}}'
    )
    return row.encode()


def _quote_frames(desk: _Desk, wanted: Collection[Stream]) -> Iterator[Frame]:
    """``{"asks":[["price","size","0","orders"]],"bids":[…],"ts","seqId"}``: the newest only."""
    best, desk.best = desk.best, None
    if best is None or desk.quote not in wanted:
        return
    sides = ((best.ask_ticks, best.ask_lots), (best.bid_ticks, best.bid_lots))
    asks, bids = (desk.writing.levels({ticks: lots} if lots else {}) for ticks, lots in sides)
    row = (
        f'{{"asks":{asks},"bids":{bids},"ts":"{_milliseconds(best.time_ns)}",'
        f'"seqId":{desk.number(best.sequence)}}}'
    )
    yield desk.quote, wrapped(desk.quote, row.encode())


def _mark(desk: _Desk, channel: str, name: str, market_view: MarketView) -> list[Any]:
    mark = market_view.mark(desk.listing.symbol)
    if mark is None:
        return []
    if channel == "index-tickers":
        return [index_row(mark, name, market_view.time_ns())]
    make = mark_row if channel == "mark-price" else funding_row
    return [make(mark, desk.listing, market_view.time_ns())]


def _milliseconds(time_ns: int) -> int:
    return time_ns // NANOSECONDS_PER_MILLISECOND
