"""A simulated market's events as Kraken's frames.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/book and its neighbours.
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, ExchangeStream, Frame, MarketView
from kit.simulator.exchange.candles import day_before
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.history import Candle, HistoricalTrade
from kit.simulator.market import MarketBookView, MarketStep
from kit.simulator.market_events import BestQuote, Instrument, LevelChange, Trade
from venues.kraken.simulator.candles import (
    INTERVALS,
    candle_frame,
    candle_row,
    day_figures,
    rfc3339,
)
from venues.kraken.simulator.instruments import native_symbol
from venues.kraken.simulator.streams import DEPTHS, TRIGGERS, stream_name, variant_of

CHECKED_LEVELS = 10
"""Of each side, that the checksum is made of."""
TRADES_SHOWN = 50
CANDLES_SHOWN = 12
"""What a subscription begins with."""

Side = Mapping[int, int]
"""Lots by ticks, best level first."""


def checksum(instrument: Instrument, bids: Side, asks: Side) -> int:
    """CRC-32 of the best ten asks, then the best ten bids: the digits of each price and size,
    without point and leading zeros."""
    digits = [
        f"{ticks * instrument.tick_units}{lots * instrument.lot_units}"
        for side in (asks, bids)
        for ticks, lots in list(side.items())[:CHECKED_LEVELS]
    ]
    return zlib.crc32("".join(digits).encode())


@dataclass(slots=True, eq=False)
class _Market:
    """The streams of one instrument, and what they have published."""

    instrument: Instrument
    symbol: str
    trade: ExchangeStream
    books: dict[int, ExchangeStream]
    tickers: dict[str, ExchangeStream]
    published: dict[int, tuple[Side, Side]] = field(default_factory=dict)
    """By depth, bids and asks as the clients of that depth have them."""
    quote: BestQuote | None = None
    last_ticks: int = 0
    """Price of the last trade."""
    traded: bool = False
    """Since the candles were sent."""
    day: Candle | None = None
    day_ns: int = 0
    """When ``day`` was computed."""


@dataclass(slots=True)
class _StepEvents:
    """The events of a step by market, in the order of the first."""

    trades: dict[_Market, list[Trade]] = field(default_factory=dict)
    changed: dict[_Market, None] = field(default_factory=dict)
    quoted: dict[_Market, None] = field(default_factory=dict)


class KrakenEncoder:
    """Writes the frames of a simulated market. Remembers what the streams have published."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._markets: dict[str, _Market] = {}
        self._by_instrument: dict[Instrument, _Market] = {}
        self._now_ns = 0
        self._books: MarketBookView | None = None

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step: trades, books, quotes; once a second candles."""
        self._now_ns, self._books = step.time_ns, step.books
        events = self._events_of(step)
        frames: list[Frame] = []
        for market, trades in events.trades.items():
            if market.trade in wanted:
                prints = map(_print_of, trades)
                frames.append((market.trade, _trade_frame("update", market.symbol, prints)))
        for market in events.changed:
            frames.extend(self._book_frames(market, wanted))
        for market in events.trades:
            frames.extend(self._ticker_frames(market, "trades", wanted, market_view))
        for market in events.quoted:
            frames.extend(self._ticker_frames(market, "bbo", wanted, market_view))
        if step.time_ns % NANOSECONDS_PER_SECOND == 0:
            frames.extend(self._candle_frames(wanted, market_view))
        return frames

    def subscribed(self, stream: ExchangeStream) -> None:
        """A client has subscribed to a stream."""
        market = self._markets.get(stream.symbol)
        if market is not None and stream.channel is Channel.BOOK:
            depth = int(variant_of(stream))
            market.published[depth] = self._top(market, depth)

    def snapshot(self, stream: ExchangeStream, market_view: MarketView) -> bytes | None:
        """The first message of a subscription; None in a replay, and before the first event."""
        market = self._markets.get(stream.symbol)
        if market is None:
            return None
        if stream.channel is Channel.BOOK:
            return self._book_frame("snapshot", market, *self._top(market, int(variant_of(stream))))
        if stream.channel is Channel.TRADES:
            prints = market_view.history(market.symbol).latest(TRADES_SHOWN)
            return _trade_frame("snapshot", market.symbol, prints) if prints else None
        if stream.channel is Channel.TICKERS:
            return self._ticker_frame("snapshot", market, market_view) if market.quote else None
        minutes = int(variant_of(stream))
        first_ns = self._now_ns - (CANDLES_SHOWN - 1) * INTERVALS[minutes].end_ns(0)
        return self._candle_frame("snapshot", market, minutes, first_ns, market_view)

    def _events_of(self, step: MarketStep) -> _StepEvents:
        events = _StepEvents()
        for event in step.events:
            market = self._market_of(event.instrument)
            if type(event) is LevelChange:
                events.changed[market] = None
            elif type(event) is BestQuote:
                events.quoted[market] = None
                market.quote = event
            elif type(event) is Trade:
                events.trades.setdefault(market, []).append(event)
                market.last_ticks, market.traded = event.price_ticks, True
        return events

    def _market_of(self, instrument: Instrument) -> _Market:
        market = self._by_instrument.get(instrument)
        if market is None:
            symbol, stream = native_symbol(instrument), self._streams.get
            market = self._markets[symbol] = self._by_instrument[instrument] = _Market(
                instrument,
                symbol,
                trade=stream(stream_name("trade", symbol)),
                books={depth: stream(stream_name("book", symbol, depth)) for depth in DEPTHS},
                tickers={
                    trigger: stream(stream_name("ticker", symbol, trigger)) for trigger in TRIGGERS
                },
            )
        return market

    def _top(self, market: _Market, depth: int) -> tuple[Side, Side]:
        assert self._books is not None
        bids, asks = (
            dict(self._books.levels(market.instrument, is_bid, depth)) for is_bid in (True, False)
        )
        return bids, asks

    def _book_frames(self, market: _Market, wanted: Collection[ExchangeStream]) -> Iterator[Frame]:
        """The changes; the whole book for a subscription that is older than the market."""
        for depth, stream in market.books.items():
            before = market.published.pop(depth, None)
            if stream not in wanted:
                continue
            market.published[depth] = now = self._top(market, depth)
            if before is None:
                yield stream, self._book_frame("snapshot", market, *now)
                continue
            bids = _changes(before[0], now[0], depth, is_bid=True)
            asks = _changes(before[1], now[1], depth, is_bid=False)
            if bids or asks:
                yield stream, self._book_frame("update", market, bids, asks, *now)

    def _book_frame(self, kind: str, market: _Market, bids: Side, asks: Side, *now: Side) -> bytes:
        """``{"channel":"book","type","data":[{"symbol","bids":[{"price","qty"}],"asks",…}]}``; the
        checksum is of ``now``, or of a snapshot itself."""
        price, size = market.instrument.price_text, market.instrument.size_text
        bid_rows, ask_rows = (
            ",".join(
                [f'{{"price":{price(ticks)},"qty":{size(lots)}}}' for ticks, lots in side.items()]
            )
            for side in (bids, asks)
        )
        crc = checksum(market.instrument, *(now or (bids, asks)))
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{market.symbol}",'
            f'"bids":[{bid_rows}],"asks":[{ask_rows}],"checksum":{crc},'
            f'"timestamp":"{rfc3339(self._now_ns)}"}}]}}'
        ).encode()

    def _ticker_frames(
        self,
        market: _Market,
        trigger: str,
        wanted: Collection[ExchangeStream],
        market_view: MarketView,
    ) -> Iterator[Frame]:
        stream = market.tickers[trigger]
        if stream in wanted:
            yield stream, self._ticker_frame("update", market, market_view)

    def _ticker_frame(self, kind: str, market: _Market, market_view: MarketView) -> bytes:
        """``{"channel":"ticker","type","data":[{"symbol","bid","bid_qty","ask","ask_qty",…}]}``"""
        instrument, quote = market.instrument, market.quote
        assert quote is not None
        if market.day is None or self._now_ns - market.day_ns >= NANOSECONDS_PER_SECOND:
            market.day = day_before(market_view, market.symbol, self._now_ns)
            assert market.day is not None
            market.day_ns = self._now_ns
        last = instrument.price_text(market.last_ticks) if market.last_ticks else market.day.close
        figures = day_figures(
            market.day, Decimal(last), instrument.price_scale, instrument.size_scale
        )
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{market.symbol}",'
            f'"bid":{instrument.price_text(quote.bid_ticks)},'
            f'"bid_qty":{instrument.size_text(quote.bid_lots)},'
            f'"ask":{instrument.price_text(quote.ask_ticks)},'
            f'"ask_qty":{instrument.size_text(quote.ask_lots)},'
            f'{figures},"timestamp":"{rfc3339(self._now_ns)}"}}]}}'
        ).encode()

    def _candle_frames(
        self, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> Iterator[Frame]:
        """The candles of the second that has passed, of instruments that were traded in it."""
        traded = {market.symbol: market for market in self._markets.values() if market.traded}
        for stream in wanted:
            if stream.channel is Channel.CANDLES and stream.symbol in traded:
                minutes = int(variant_of(stream))
                market = traded[stream.symbol]
                frame = self._candle_frame("update", market, minutes, self._now_ns - 1, market_view)
                yield stream, frame
        for market in traded.values():
            market.traded = False

    def _candle_frame(
        self, kind: str, market: _Market, minutes: int, first_ns: int, market_view: MarketView
    ) -> bytes:
        """The candle that a time belongs to, and all after it."""
        start_of = INTERVALS[minutes].start_ns
        history = market_view.history(market.symbol)
        found = history.candles(start_of, start_of(first_ns), self._now_ns)
        instrument = market.instrument
        places = instrument.price_scale, instrument.size_scale
        rows = [candle_row(candle, market.symbol, minutes, *places) for candle in found]
        return candle_frame(kind, rows, self._now_ns)


def _changes(before: Side, now: Side, depth: int, is_bid: bool) -> Side:
    """The changes for a client that cuts its book at the depth: levels that are gone, with size
    0, then those that are new or have another size. A level that was pushed out below a full side
    is left out."""
    full = len(now) == depth
    worst = next(reversed(now)) if full else 0
    changes = {
        ticks: 0
        for ticks in before
        if ticks not in now and not (full and (ticks < worst if is_bid else ticks > worst))
    }
    changes.update({ticks: lots for ticks, lots in now.items() if before.get(ticks) != lots})
    return changes


def _print_of(trade: Trade) -> HistoricalTrade:
    instrument = trade.instrument
    return HistoricalTrade(
        trade.trade_id,
        instrument.price_text(trade.price_ticks),
        instrument.size_text(trade.size_lots),
        trade.time_ns,
        trade.taker_buys,
    )


def _trade_frame(kind: str, symbol: str, prints: Iterable[HistoricalTrade]) -> bytes:
    """``{"channel":"trade","type","data":[{"symbol","side","price","qty","ord_type",…}]}``"""
    rows = [
        f'{{"symbol":"{symbol}","side":"{"buy" if one.taker_buys else "sell"}",'
        f'"price":{one.price},"qty":{one.size},"ord_type":"limit","trade_id":{one.trade_id},'
        f'"timestamp":"{rfc3339(one.time_ns)}"}}'
        for one in prints
    ]
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'.encode()
