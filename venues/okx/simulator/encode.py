"""A simulated market's events as OKX's frames.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

import itertools
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.numbers import format_scaled
from kit.simulator.dialect import Channel, ExchangeStream, Frame, MarketView
from kit.simulator.exchange.candles import open_candles
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from kit.simulator.market import MarketBookView, MarketStep
from kit.simulator.market_events import BestQuote, Instrument, LevelChange, Trade
from venues.okx.simulator.candles import INTERVALS, candle_row, milliseconds, ticker_row
from venues.okx.simulator.instruments import TYPES, OkxInstrumentType
from venues.okx.simulator.streams import CANDLE, argument

BOOK_LEVELS, CHECKSUM_LEVELS = 400, 25
QUOTE_INTERVAL_NS = 10 * NANOSECONDS_PER_MILLISECOND
BOOK_INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
MARK_INTERVAL_NS = 200 * NANOSECONDS_PER_MILLISECOND
SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
FUNDING_INTERVAL_NS = 60 * NANOSECONDS_PER_SECOND
FUNDING_PERIOD_NS = 8 * 3_600 * NANOSECONDS_PER_SECOND
QUIET_BOOK_NS = 60 * NANOSECONDS_PER_SECOND
"""An empty update is sent when a book has not changed for so long."""
NO_PREVIOUS = -1
"""prevSeqId of a snapshot."""
INDEX_DAY = ("high24h", "low24h", "open24h", "sodUtc0", "sodUtc8")

Side = Mapping[int, int]
"""Lots by ticks, best level first. In an update 0 lots: the level is no longer among the best."""
Row = Mapping[str, object]


@dataclass(slots=True)
class _Book:
    """The best levels of a book, as published to all subscribers."""

    sequence: int
    bids: Side
    asks: Side
    time_ns: int
    """When the last frame was sent."""


@dataclass(slots=True)
class _Market:
    """One instrument: its streams, and what is not published yet."""

    instrument: Instrument
    listing: Listing
    trades: ExchangeStream
    quote: ExchangeStream
    book: ExchangeStream
    sequence: int = 0
    """The sequence of the last change of a level."""
    matches: list[Trade] = field(default_factory=list)
    """The trades of the step."""
    best: BestQuote | None = None
    published: _Book | None = None
    """None: the book has no subscribers."""
    restarted_at: int = 0
    """The sequence after which the ids start again; see ``OkxEncoder.restart``."""

    def number(self, sequence: int) -> int:
        """The seqId of a sequence."""
        return sequence - self.restarted_at

    def price(self, ticks: int) -> str:
        return format_scaled(ticks * self.instrument.tick_units, self.instrument.price_scale)

    def size(self, lots: int) -> str:
        return format_scaled(lots * self.instrument.lot_units, self.instrument.size_scale)

    def levels(self, side: Side) -> str:
        """``[["price","size","0","orders"]]``; each level counts as one order."""
        texts = [
            f'["{self.price(ticks)}","{self.size(lots)}","0","{1 if lots else 0}"]'
            for ticks, lots in side.items()
        ]
        return f"[{','.join(texts)}]"

    def frame(self, action: str, bids: Side, asks: Side, previous: int, book: _Book) -> bytes:
        """``{"arg","action","data":[{"asks","bids","ts","checksum","prevSeqId","seqId"}]}``"""
        return (
            f'{{"arg":{argument(self.book).decode()},"action":"{action}","data":[{{'
            f'"asks":{self.levels(asks)},"bids":{self.levels(bids)},'
            f'"ts":"{milliseconds(book.time_ns)}","checksum":{self._checksum(book)},'
            f'"prevSeqId":{previous},"seqId":{self.number(book.sequence)}}}]}}'
        ).encode()

    def snapshot(self, book: _Book) -> bytes:
        """A frame with the whole book."""
        return self.frame("snapshot", book.bids, book.asks, NO_PREVIOUS, book)

    def update(self, before: _Book, book: _Book) -> bytes:
        """A frame with the levels that have changed."""
        bids, asks = _changes(before.bids, book.bids), _changes(before.asks, book.asks)
        return self.frame("update", bids, asks, self.number(before.sequence), book)

    def _checksum(self, book: _Book) -> int:
        """CRC-32, signed, of "bid:size:ask:size:…" over the best 25 levels per side."""
        sides = (itertools.islice(one.items(), CHECKSUM_LEVELS) for one in (book.bids, book.asks))
        texts: list[str] = []
        for pair in itertools.zip_longest(*sides):
            for ticks, lots in filter(None, pair):
                texts += (self.price(ticks), self.size(lots))
        unsigned = zlib.crc32(":".join(texts).encode())
        return unsigned - 2**32 if unsigned >= 2**31 else unsigned


class OkxEncoder:
    """Writes the frames of a simulated market. Remembers what each book has published."""

    def __init__(self, streams: StreamRegistry, segment: OkxInstrumentType) -> None:
        self._streams = streams
        self._segment = segment
        self._markets: dict[Instrument, _Market] = {}
        self._by_symbol: dict[str, _Market] = {}
        self._books: MarketBookView | None = None

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step."""
        opening, self._books = self._books is None, step.books
        for event in step.events:
            market = self._markets.get(event.instrument) or self._open_market(event.instrument)
            if type(event) is LevelChange:
                market.sequence = event.sequence
            elif type(event) is BestQuote:
                market.best = event
            elif type(event) is Trade:
                market.matches.append(event)
        frames: list[Frame] = []
        if opening:  # for subscriptions from before the first step
            frames += [(one, text) for one in wanted for text in self.first(one, market_view)]
        for market in self._markets.values():
            frames.extend(_trade_frames(market, wanted))
            if step.time_ns % QUOTE_INTERVAL_NS == 0:
                frames.extend(_quote_frames(market, wanted))
            if step.time_ns % BOOK_INTERVAL_NS == 0:
                frames.extend(self._book_frames(market, step.time_ns, wanted))
        if step.time_ns % MARK_INTERVAL_NS == 0:
            frames.extend(self._summaries(step.time_ns, wanted, market_view))
        return frames

    def first(self, stream: ExchangeStream, market_view: MarketView) -> list[bytes]:
        """The first frames of a subscription: the book, or the newest values. None before the first
        step, and in a replay."""
        market = self._by_symbol.get(stream.symbol)
        if market is None:
            return []
        now_ns = market_view.time_ns()
        if stream is market.book:
            # A later subscriber gets the published book, so that the next update follows it.
            market.published = market.published or self._book_now(market, now_ns)
            return [market.snapshot(market.published)]
        return [text for _, text in self._summary(stream, now_ns, market_view)]

    def published(self, symbol: str) -> ExchangeBookSnapshot | None:
        """The book as published; None: it has no subscribers."""
        market = self._by_symbol.get(symbol)
        if market is None or market.published is None:
            return None
        book = market.published
        bids, asks = (
            [(market.price(ticks), market.size(lots)) for ticks, lots in side.items()]
            for side in (book.bids, book.asks)
        )
        return ExchangeBookSnapshot(market.number(book.sequence), bids, asks)

    def restart(self, stream: ExchangeStream) -> bytes | None:
        """Start the ids of a book again, as after maintenance: an empty update whose seqId is below
        its prevSeqId. None: the stream is no published book."""
        market = self._by_symbol.get(stream.symbol)
        if market is None or stream is not market.book or market.published is None:
            return None
        book = market.published
        previous = market.number(book.sequence)
        market.restarted_at = book.sequence - 1
        return market.frame("update", {}, {}, previous, book)

    def _open_market(self, instrument: Instrument) -> _Market:
        listing = self._segment.listing(instrument)
        stream, symbol = self._streams.get, listing.symbol
        market = _Market(
            instrument,
            listing,
            trades=stream(f"trades:{symbol}"),
            quote=stream(f"bbo-tbt:{symbol}"),
            book=stream(f"books:{symbol}"),
        )
        self._markets[instrument] = self._by_symbol[symbol] = market
        return market

    def _top(self, market: _Market, count: int) -> tuple[Side, Side]:
        """The best bids and asks now."""
        assert self._books is not None
        levels = self._books.levels
        bids, asks = (dict(levels(market.instrument, is_bid, count)) for is_bid in (True, False))
        return bids, asks

    def _book_now(self, market: _Market, time_ns: int) -> _Book:
        return _Book(market.sequence, *self._top(market, BOOK_LEVELS), time_ns)

    def _book_frames(
        self, market: _Market, time_ns: int, wanted: Collection[ExchangeStream]
    ) -> Iterator[Frame]:
        before = market.published
        if before is None:
            return
        if market.book not in wanted:
            market.published = None
        elif market.sequence != before.sequence:
            market.published = self._book_now(market, time_ns)
            yield market.book, market.update(before, market.published)
        elif time_ns - before.time_ns >= QUIET_BOOK_NS:
            before.time_ns = time_ns
            yield market.book, market.update(before, before)

    def _summaries(
        self, time_ns: int, wanted: Collection[ExchangeStream], market_view: MarketView
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

    def _summary(
        self, stream: ExchangeStream, time_ns: int, market_view: MarketView
    ) -> Iterator[Frame]:
        market = self._by_symbol.get(stream.symbol)
        if market is None:
            return
        channel, _, name = stream.name.partition(":")
        row: Row | None = None
        if stream.channel is Channel.CANDLES:
            interval = INTERVALS[channel.removeprefix(CANDLE)]
            start_ns = interval.start_ns(time_ns)
            for candle in open_candles(market_view, stream.symbol, interval, time_ns):
                values = candle_row(candle, market.listing, candle.start_ns < start_ns)
                yield stream, _framed(stream, msgspec.json.encode(values))
        elif stream.channel is Channel.TICKERS:
            row = ticker_row(market_view, market.listing, self._best(market))
        elif stream.channel is Channel.MARKS:
            row = _mark_row(market.listing, channel, name, market_view)
        if row is not None:
            yield stream, _framed(stream, msgspec.json.encode(row))

    def _best(self, market: _Market) -> list[str]:
        """Bid, its size, ask, its size; empty texts for an empty side."""
        found: list[str] = []
        for side in self._top(market, 1):
            level = next(iter(side.items()), None)
            found += (market.price(level[0]), market.size(level[1])) if level else ("", "")
        return found


def funding_row(mark: DerivativeMark, listing: Listing, now_ns: int) -> Row:
    """The rate, when it is exchanged (``fundingTime``), and when the next one is."""
    return {
        "formulaType": "withRate",
        "fundingRate": mark.funding_rate,
        "fundingTime": milliseconds(mark.next_funding_time_ns),
        "instId": listing.symbol,
        "instType": TYPES[listing.kind],
        "method": "current_period",
        "nextFundingRate": "",
        "nextFundingTime": milliseconds(mark.next_funding_time_ns + FUNDING_PERIOD_NS),
        "ts": milliseconds(now_ns),
    }


def _mark_row(listing: Listing, channel: str, name: str, market_view: MarketView) -> Row | None:
    mark, now_ns = market_view.mark(listing.symbol), market_view.time_ns()
    if mark is None:
        return None
    if channel == "funding-rate":
        return funding_row(mark, listing, now_ns)
    named = {"instId": name, "ts": milliseconds(now_ns)}
    if channel == "index-tickers":
        return {**named, "idxPx": mark.index_price, **dict.fromkeys(INDEX_DAY, mark.index_price)}
    return {**named, "instType": TYPES[listing.kind], "markPx": mark.mark_price}


def _changes(before: Side, after: Side) -> Side:
    """New sizes by price; 0 for a level that is gone, or has fallen out of the depth."""
    changed = dict.fromkeys(before.keys() - after.keys(), 0)
    changed.update(after.items() - before.items())
    return changed


def _framed(stream: ExchangeStream, row: bytes) -> bytes:
    """``{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[…]}``"""
    return b'{"arg":%b,"data":[%b]}' % (argument(stream), row)


def _trade_frames(market: _Market, wanted: Collection[ExchangeStream]) -> Iterator[Frame]:
    """Successive matches at one price are one row, with the id of the last."""
    matches, market.matches = market.matches, []
    if market.trades not in wanted:
        return
    for _, run in itertools.groupby(matches, lambda one: (one.price_ticks, one.taker_buys)):
        trades = list(run)
        yield market.trades, _framed(market.trades, _trade_row(market, trades))


def _trade_row(market: _Market, trades: Sequence[Trade]) -> bytes:
    """``{"instId","tradeId","px","sz","side":the taker's,"ts","source","count","seqId"}``"""
    last, lots = trades[-1], sum(one.size_lots for one in trades)
    return (
        f'{{"instId":"{market.listing.symbol}","tradeId":"{last.trade_id}",'
        f'"px":"{market.price(last.price_ticks)}","sz":"{market.size(lots)}",'
        f'"side":"{"buy" if last.taker_buys else "sell"}",'
        f'"ts":"{milliseconds(last.time_ns)}","source":"0",'
        f'"count":"{len(trades)}","seqId":{market.number(market.sequence)}}}'
    ).encode()


def _quote_frames(market: _Market, wanted: Collection[ExchangeStream]) -> Iterator[Frame]:
    """``{"asks":[["price","size","0","orders"]],"bids":[…],"ts","seqId"}``: the newest only."""
    best, market.best = market.best, None
    if best is None or market.quote not in wanted:
        return
    sides = ((best.ask_ticks, best.ask_lots), (best.bid_ticks, best.bid_lots))
    asks, bids = (market.levels({ticks: lots} if lots else {}) for ticks, lots in sides)
    row = (
        f'{{"asks":{asks},"bids":{bids},"ts":"{milliseconds(best.time_ns)}",'
        f'"seqId":{market.number(best.sequence)}}}'
    )
    yield market.quote, _framed(market.quote, row.encode())
