"""A simulated market's events as Kraken's frames.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/book and its neighbours.
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, Frame, MarketView, Stream
from kit.simulator.events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.history import Candle, TradePrint
from kit.simulator.listing import Listing
from kit.simulator.market import BookView, Step
from venues.kraken.simulator.candles import (
    DAY_NS,
    MINUTE_NS,
    candle_frame,
    candle_row,
    day_figures,
    interval_start,
    rfc3339,
)
from venues.kraken.simulator.streams import DEPTHS, TRIGGERS, KrakenStreams, variant_of

CHECKED_LEVELS = 10
"""Of each side, that the checksum is made of."""
TRADES_SHOWN = 50
CANDLES_SHOWN = 12
"""What a subscription begins with."""

Side = Mapping[int, int]
"""Lots by ticks, best level first."""


def native_symbol(instrument: Instrument) -> str:
    """``BTC/USDT``"""
    return f"{instrument.base}/{instrument.quote}"


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Kraken lists it."""
    return Listing(
        native_symbol(instrument),
        instrument.base,
        instrument.quote,
        tick_size=instrument.price_text(1),
        lot_size=instrument.size_text(1),
        minimum_notional="0.00002" if instrument.quote == "BTC" else "0.5",
    )


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
class _Desk:
    """One instrument's streams, and what they have said."""

    instrument: Instrument
    symbol: str
    trade: Stream
    books: dict[int, Stream]
    tickers: dict[str, Stream]
    said: dict[int, tuple[Side, Side]] = field(default_factory=dict)
    """By depth, bids and asks as the clients of that depth have them now."""
    quote: BestQuote | None = None
    last_ticks: int = 0
    """Price of the last trade."""
    traded: bool = False
    """Since the candles were sent."""
    day: Candle | None = None
    day_ns: int = 0
    """When the figures of the day were made."""


@dataclass(slots=True)
class _Heard:
    """What a step is about, by desk, in the order of first mention."""

    trades: dict[_Desk, list[Trade]] = field(default_factory=dict)
    changed: dict[_Desk, None] = field(default_factory=dict)
    quoted: dict[_Desk, None] = field(default_factory=dict)


class Encoder:
    """Remembers only what the streams have said."""

    def __init__(self, streams: KrakenStreams) -> None:
        self._streams = streams
        self._desks: dict[str, _Desk] = {}
        self._by_instrument: dict[Instrument, _Desk] = {}
        self._now_ns = 0
        self._books: BookView | None = None

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step: trades, books, quotes; once a second candles."""
        self._now_ns, self._books = step.time_ns, step.books
        heard = self._hear(step)
        frames: list[Frame] = []
        for desk, trades in heard.trades.items():
            if desk.trade in wanted:
                prints = map(_print_of, trades)
                frames.append((desk.trade, _trade_frame("update", desk.symbol, prints)))
        for desk in heard.changed:
            frames.extend(self._book_frames(desk, wanted))
        for desk in heard.trades:
            frames.extend(self._ticker_frames(desk, "trades", wanted, market_view))
        for desk in heard.quoted:
            frames.extend(self._ticker_frames(desk, "bbo", wanted, market_view))
        if step.time_ns % NANOSECONDS_PER_SECOND == 0:
            frames.extend(self._candle_frames(wanted, market_view))
        return frames

    def subscribed(self, stream: Stream) -> None:
        """A client hears a stream from now on."""
        desk = self._desks.get(stream.symbol)
        if desk is not None and stream.channel is Channel.BOOK:
            depth = int(variant_of(stream))
            desk.said[depth] = self._top(desk, depth)

    def snapshot(self, stream: Stream, market_view: MarketView) -> bytes | None:
        """What a subscription to a stream begins with; None in a world where it would be made up,
        and where there is nothing yet."""
        desk = self._desks.get(stream.symbol)
        if desk is None:
            return None
        if stream.channel is Channel.BOOK:
            return self._book_frame("snapshot", desk, *self._top(desk, int(variant_of(stream))))
        if stream.channel is Channel.TRADES:
            prints = market_view.history(desk.symbol).latest(TRADES_SHOWN)
            return _trade_frame("snapshot", desk.symbol, prints) if prints else None
        if stream.channel is Channel.TICKERS:
            return self._ticker_frame("snapshot", desk, market_view) if desk.quote else None
        minutes = int(variant_of(stream))
        first_ns = self._now_ns - (CANDLES_SHOWN - 1) * minutes * MINUTE_NS
        return self._candle_frame("snapshot", desk, minutes, first_ns, market_view)

    def _hear(self, step: Step) -> _Heard:
        heard = _Heard()
        for event in step.events:
            desk = self._desk_of(event.instrument)
            if type(event) is LevelChange:
                heard.changed[desk] = None
            elif type(event) is BestQuote:
                heard.quoted[desk] = None
                desk.quote = event
            elif type(event) is Trade:
                heard.trades.setdefault(desk, []).append(event)
                desk.last_ticks, desk.traded = event.price_ticks, True
        return heard

    def _desk_of(self, instrument: Instrument) -> _Desk:
        desk = self._by_instrument.get(instrument)
        if desk is None:
            symbol, stream = native_symbol(instrument), self._streams.get
            desk = self._desks[symbol] = self._by_instrument[instrument] = _Desk(
                instrument,
                symbol,
                trade=stream("trade", symbol),
                books={depth: stream("book", symbol, depth) for depth in DEPTHS},
                tickers={trigger: stream("ticker", symbol, trigger) for trigger in TRIGGERS},
            )
        return desk

    def _top(self, desk: _Desk, depth: int) -> tuple[Side, Side]:
        assert self._books is not None
        bids, asks = (
            dict(self._books.levels(desk.instrument, is_bid, depth)) for is_bid in (True, False)
        )
        return bids, asks

    def _book_frames(self, desk: _Desk, wanted: Collection[Stream]) -> Iterator[Frame]:
        """What has changed; the whole book where the subscription was there before the market."""
        for depth, stream in desk.books.items():
            before = desk.said.pop(depth, None)
            if stream not in wanted:
                continue
            desk.said[depth] = now = self._top(desk, depth)
            if before is None:
                yield stream, self._book_frame("snapshot", desk, *now)
                continue
            bids = _changes(before[0], now[0], depth, is_bid=True)
            asks = _changes(before[1], now[1], depth, is_bid=False)
            if bids or asks:
                yield stream, self._book_frame("update", desk, bids, asks, *now)

    def _book_frame(self, kind: str, desk: _Desk, bids: Side, asks: Side, *now: Side) -> bytes:
        """``{"channel":"book","type","data":[{"symbol","bids":[{"price","qty"}],"asks",…}]}``; the
        checksum is of the book as it is now, if that is another than what is said."""
        price, size = desk.instrument.price_text, desk.instrument.size_text
        said_bids, said_asks = (
            ",".join(
                [f'{{"price":{price(ticks)},"qty":{size(lots)}}}' for ticks, lots in side.items()]
            )
            for side in (bids, asks)
        )
        crc = checksum(desk.instrument, *(now or (bids, asks)))
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{desk.symbol}",'
            f'"bids":[{said_bids}],"asks":[{said_asks}],"checksum":{crc},'
            f'"timestamp":"{rfc3339(self._now_ns)}"}}]}}'
        ).encode()

    def _ticker_frames(
        self, desk: _Desk, trigger: str, wanted: Collection[Stream], market_view: MarketView
    ) -> Iterator[Frame]:
        stream = desk.tickers[trigger]
        if stream in wanted:
            yield stream, self._ticker_frame("update", desk, market_view)

    def _ticker_frame(self, kind: str, desk: _Desk, market_view: MarketView) -> bytes:
        """``{"channel":"ticker","type","data":[{"symbol","bid","bid_qty","ask","ask_qty",…}]}``"""
        instrument, quote = desk.instrument, desk.quote
        assert quote is not None
        if desk.day is None or self._now_ns - desk.day_ns >= NANOSECONDS_PER_SECOND:
            first_ns = self._now_ns - DAY_NS
            history = market_view.history(desk.symbol)
            (desk.day,) = history.candles(lambda at_ns: first_ns, first_ns, self._now_ns)
            desk.day_ns = self._now_ns
        last = instrument.price_text(desk.last_ticks) if desk.last_ticks else desk.day.close
        figures = day_figures(
            desk.day, Decimal(last), instrument.price_scale, instrument.size_scale
        )
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{desk.symbol}",'
            f'"bid":{instrument.price_text(quote.bid_ticks)},'
            f'"bid_qty":{instrument.size_text(quote.bid_lots)},'
            f'"ask":{instrument.price_text(quote.ask_ticks)},'
            f'"ask_qty":{instrument.size_text(quote.ask_lots)},'
            f'{figures},"timestamp":"{rfc3339(self._now_ns)}"}}]}}'
        ).encode()

    def _candle_frames(
        self, wanted: Collection[Stream], market_view: MarketView
    ) -> Iterator[Frame]:
        """The candles of the second that has passed, of instruments that were traded in it."""
        traded = {desk.symbol: desk for desk in self._desks.values() if desk.traded}
        for stream in wanted:
            if stream.channel is Channel.CANDLES and stream.symbol in traded:
                minutes = int(variant_of(stream))
                desk = traded[stream.symbol]
                frame = self._candle_frame("update", desk, minutes, self._now_ns - 1, market_view)
                yield stream, frame
        for desk in traded.values():
            desk.traded = False

    def _candle_frame(
        self, kind: str, desk: _Desk, minutes: int, first_ns: int, market_view: MarketView
    ) -> bytes:
        """Of the interval in which a time lies, and of all after it."""
        start_of = interval_start(minutes)
        found = market_view.history(desk.symbol).candles(start_of, start_of(first_ns), self._now_ns)
        instrument = desk.instrument
        places = instrument.price_scale, instrument.size_scale
        rows = [candle_row(candle, desk.symbol, minutes, *places) for candle in found]
        return candle_frame(kind, rows, self._now_ns)


def _changes(before: Side, now: Side, depth: int, is_bid: bool) -> Side:
    """What turns one into the other in the hands of a client that cuts at the depth: levels that
    went first, with size 0, then those that are new or other. A level that was pushed out below a
    full side is not mentioned."""
    full = len(now) == depth
    worst = next(reversed(now)) if full else 0
    changes = {
        ticks: 0
        for ticks in before
        if ticks not in now and not (full and (ticks < worst if is_bid else ticks > worst))
    }
    changes.update({ticks: lots for ticks, lots in now.items() if before.get(ticks) != lots})
    return changes


def _print_of(trade: Trade) -> TradePrint:
    instrument = trade.instrument
    return TradePrint(
        trade.trade_id,
        instrument.price_text(trade.price_ticks),
        instrument.size_text(trade.size_lots),
        trade.time_ns,
        trade.taker_buys,
    )


def _trade_frame(kind: str, symbol: str, prints: Iterable[TradePrint]) -> bytes:
    """``{"channel":"trade","type","data":[{"symbol","side","price","qty","ord_type",…}]}``"""
    rows = [
        f'{{"symbol":"{symbol}","side":"{"buy" if one.taker_buys else "sell"}",'
        f'"price":{one.price},"qty":{one.size},"ord_type":"limit","trade_id":{one.trade_id},'
        f'"timestamp":"{rfc3339(one.time_ns)}"}}'
        for one in prints
    ]
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'.encode()
