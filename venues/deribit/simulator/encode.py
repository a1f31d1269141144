"""A simulated market's events as Deribit's frames.

Documentation: https://docs.deribit.com/articles/notifications
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, ExchangeStream, Frame, MarketView
from kit.simulator.exchange.candles import open_candles
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import ExchangeBookSnapshot, Listing
from kit.simulator.market import MarketStep
from kit.simulator.market_events import BestQuote, Instrument, Trade
from kit.simulator.published_books import PublishedBooks
from venues.deribit.simulator.candles import INTERVALS, chart_event, number, plain
from venues.deribit.simulator.instruments import is_inverse, listing, native_symbol
from venues.deribit.simulator.rest import tick_direction, ticker, trade_row

START = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
DEPTH_MAX = 10_000


@dataclass(slots=True)
class _Market:
    """The streams of one instrument, and what they have not published yet."""

    instrument: Instrument
    listing: Listing
    trade: ExchangeStream
    quote: ExchangeStream
    book: ExchangeStream
    trades: list[Trade] = field(default_factory=list)
    last_price: Decimal = Decimal(0)
    direction: int = 0
    shown: dict[bool, set[int]] = field(default_factory=lambda: {True: set(), False: set()})
    """Prices, in ticks, of the levels that the book stream has published: bids under True."""

    @property
    def symbol(self) -> str:
        return self.listing.symbol

    def level(self, ticks: int, lots: int) -> str:
        """``37240.0,20.0``"""
        one = self.instrument
        price = plain(ticks * one.tick_units, one.price_scale)
        return f"{price},{plain(lots * one.lot_units, one.size_scale)}"


class DeribitEncoder:
    """Writes the frames of a simulated market. Remembers the published books, and the trades of an
    interval."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._markets: dict[Instrument, _Market] = {}
        self._books = PublishedBooks()

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step, in the order of what happened."""
        frames: list[Frame] = []
        self._books.note(step)
        for event in step.events:
            market = self._markets.get(event.instrument) or self._open_market(event.instrument)
            if type(event) is BestQuote:
                if market.quote in wanted:
                    frames.append((market.quote, _quote_frame(market, event)))
            elif type(event) is Trade:
                market.trades.append(event)
        if step.time_ns % INTERVAL_NS == 0:
            for market in self._markets.values():
                frames.extend(_trade_frames(market, wanted, market_view))
                frames.extend(self._book_frames(market, step, wanted))
        if step.time_ns % SUMMARY_INTERVAL_NS == 0:
            frames.extend(self._summaries(step, wanted, market_view))
        return frames

    def snapshot(self, instrument: Instrument, time_ns: int) -> bytes:
        """The first frame of a book stream: the book as the stream has published it so far."""
        market = self._markets.get(instrument) or self._open_market(instrument)
        book = self._books.snapshot(instrument, DEPTH_MAX)
        bids, asks = _snapshot_side(book.bids), _snapshot_side(book.asks)
        return _book_frame(market, "snapshot", time_ns, book.sequence, "", bids, asks)

    def _open_market(self, instrument: Instrument) -> _Market:
        symbol = native_symbol(instrument)
        stream = self._streams.get
        market = self._markets[instrument] = _Market(
            instrument,
            listing(instrument),
            trade=stream(f"trades.{symbol}.100ms"),
            quote=stream(f"quote.{symbol}"),
            book=stream(f"book.{symbol}.100ms"),
        )
        return market

    def _book_frames(
        self, market: _Market, step: MarketStep, wanted: Collection[ExchangeStream]
    ) -> Iterator[Frame]:
        changes = self._books.changes(market.instrument)
        if changes is None:
            return
        sides = [
            _changed_side(market, is_bid, levels)
            for is_bid, levels in ((True, changes.bids), (False, changes.asks))
        ]
        if market.book in wanted:
            previous = f'"prev_change_id":{changes.previous},'
            payload = _book_frame(market, "change", step.time_ns, changes.last, previous, *sides)
            yield market.book, payload

    def _summaries(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> Iterator[Frame]:
        """Tickers and candles, which are sent each second."""
        markets = {market.symbol: market for market in self._markets.values()}
        listed = {one.symbol: one for one in market_view.listings()}
        for stream in wanted:
            if stream.symbol not in markets or stream.symbol not in listed:
                continue
            if stream.channel is Channel.TICKERS:
                best = _best(markets[stream.symbol], step)
                event = ticker(listed[stream.symbol], best, market_view)
                yield stream, framed_value(stream.name, event)
            elif stream.channel is Channel.CANDLES:
                yield from _candle_frames(stream, step.time_ns, market_view)


def framed(name: str, data: bytes) -> bytes:
    """The frame of a channel."""
    return b'%b%b","data":%b}}' % (START, name.encode(), data)


def framed_value(name: str, data: object) -> bytes:
    """The frame of a channel, with data that is no JSON yet."""
    return framed(name, msgspec.json.encode(data))


def _quote_frame(market: _Market, quote: BestQuote) -> bytes:
    """``{"timestamp","instrument_name","best_bid_price","best_bid_amount",…}``"""
    bid = market.level(quote.bid_ticks, quote.bid_lots).split(",")
    ask = market.level(quote.ask_ticks, quote.ask_lots).split(",")
    data = (
        f'{{"timestamp":{quote.time_ns // NANOSECONDS_PER_MILLISECOND},'
        f'"instrument_name":"{market.symbol}",'
        f'"best_bid_price":{bid[0]},"best_bid_amount":{bid[1]},'
        f'"best_ask_price":{ask[0]},"best_ask_amount":{ask[1]}}}'
    )
    return framed(market.quote.name, data.encode())


def _trade_frames(
    market: _Market, wanted: Collection[ExchangeStream], market_view: MarketView
) -> Iterator[Frame]:
    """All trades of an interval in one frame."""
    trades, market.trades = market.trades, []
    if not trades or market.trade not in wanted:
        return
    mark = market_view.mark(market.symbol)
    rows: list[dict[str, object]] = []
    for trade in trades:
        one = trade.instrument
        price = one.price_text(trade.price_ticks)
        exact = Decimal(price)
        market.direction = tick_direction(market.last_price, exact, market.direction)
        market.last_price = exact
        size = one.size_text(trade.size_lots)
        printed = HistoricalTrade(trade.trade_id, price, size, trade.time_ns, trade.taker_buys)
        rows.append(trade_row(printed, market.direction, market.listing, mark))
    yield market.trade, framed_value(market.trade.name, rows)


def _book_frame(
    market: _Market, kind: str, time_ns: int, change_id: int, previous: str, bids: str, asks: str
) -> bytes:
    """``{"type","timestamp","prev_change_id","instrument_name","change_id","bids","asks"}``"""
    data = (
        f'{{"type":"{kind}","timestamp":{time_ns // NANOSECONDS_PER_MILLISECOND},{previous}'
        f'"instrument_name":"{market.symbol}","change_id":{change_id},'
        f'"bids":[{bids}],"asks":[{asks}]}}'
    )
    return framed(market.book.name, data.encode())


def _changed_side(market: _Market, is_bid: bool, levels: Sequence[tuple[int, int]]) -> str:
    """``["new",36809.5,254870.0],["delete",36779.0,0.0]``; a level that came and went within the
    interval is left out."""
    shown, rows = market.shown[is_bid], []
    for ticks, lots in levels:
        known = ticks in shown
        if lots:
            shown.add(ticks)
            rows.append(f'["{"change" if known else "new"}",{market.level(ticks, lots)}]')
        elif known:
            shown.remove(ticks)
            rows.append(f'["delete",{market.level(ticks, 0)}]')
    return ",".join(rows)


def _snapshot_side(levels: Sequence[Sequence[str]]) -> str:
    rows = [["new", number(price), number(size)] for price, size in levels]
    return msgspec.json.encode(rows)[1:-1].decode()


def _best(market: _Market, step: MarketStep) -> ExchangeBookSnapshot:
    one = market.instrument
    bids, asks = (
        [
            (one.price_text(ticks), one.size_text(lots))
            for ticks, lots in step.books.levels(one, is_bid, 1)
        ]
        for is_bid in (True, False)
    )
    return ExchangeBookSnapshot(0, bids, asks)


def _candle_frames(
    stream: ExchangeStream, time_ns: int, market_view: MarketView
) -> Iterator[Frame]:
    interval = INTERVALS[stream.name.rpartition(".")[2]]
    for candle in open_candles(market_view, stream.symbol, interval, time_ns):
        event = chart_event(candle, is_inverse(stream.symbol))
        yield stream, framed_value(stream.name, event)
