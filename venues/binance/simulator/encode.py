"""A simulated market's events as Binance's frames."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, Frame, MarketView, Stream
from kit.simulator.events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.market import Step
from venues.binance.simulator.candles import DAY_NS, candle_event, interval_start, ticker_event
from venues.binance.simulator.capture import combined
from venues.binance.simulator.messages import BookChange, LevelTexts, Messages, TickText
from venues.binance.simulator.streams import BinanceStreams

SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
PARTIAL_DEPTHS = (5, 10, 20)
SLOW_MARK_INTERVAL_NS = 3 * NANOSECONDS_PER_SECOND
"""Of ``@markPrice``; ``@markPrice@1s`` is as fast as all summaries."""


def native_symbol(instrument: Instrument) -> str:
    """``BTCUSDT``"""
    return instrument.base + instrument.quote


@dataclass(slots=True)
class _Desk:
    """One instrument's streams."""

    symbol: str
    price: TickText
    size: TickText
    trade: Stream
    aggregate: Stream
    quote: Stream
    books: dict[str, Stream]
    partials: dict[tuple[int, str], Stream]
    changes: dict[str, BookChange]


class Encoder:
    """Remembers only what a book stream has not said yet."""

    def __init__(self, streams: BinanceStreams, messages: Messages) -> None:
        self._streams = streams
        self._messages = messages
        self._desks: dict[Instrument, _Desk] = {}

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step, in the order of what happened."""
        frames: list[Frame] = []
        for event in step.events:
            desk = self._desks.get(event.instrument) or self._open_desk(event.instrument)
            if type(event) is LevelChange:
                _note_level(desk, event)
            elif type(event) is BestQuote:
                if desk.quote in wanted:
                    text = self._messages.quote(desk.symbol, event, desk.price, desk.size)
                    frames.append(_frame(desk.quote, text))
            elif type(event) is Trade:
                frames.extend(self._trade_frames(desk, event, wanted))
        for speed, interval_ns in self._messages.speeds_ns.items():
            if step.time_ns % interval_ns == 0:
                for instrument, desk in self._desks.items():
                    frames.extend(self._book_frames(instrument, desk, speed, step, wanted))
        if step.time_ns % SUMMARY_INTERVAL_NS == 0:
            frames.extend(self._summaries(step.time_ns, wanted, market_view))
        return frames

    def _open_desk(self, instrument: Instrument) -> _Desk:
        symbol = native_symbol(instrument)
        name = symbol.lower()
        stream = self._streams.get
        speeds = self._messages.speeds_ns
        desk = self._desks[instrument] = _Desk(
            symbol,
            price=self._messages.price(instrument),
            size=self._messages.size(instrument),
            trade=stream(f"{name}@trade".encode()),
            aggregate=stream(f"{name}@aggTrade".encode()),
            quote=stream(f"{name}@bookTicker".encode()),
            books={speed: stream(f"{name}@depth{speed}".encode()) for speed in speeds},
            partials={
                (count, speed): stream(f"{name}@depth{count}{speed}".encode())
                for count in PARTIAL_DEPTHS
                for speed in speeds
            },
            changes={speed: BookChange() for speed in speeds},
        )
        return desk

    def _trade_frames(
        self, desk: _Desk, trade: Trade, wanted: Collection[Stream]
    ) -> Iterator[Frame]:
        price, size = desk.price(trade.price_ticks), desk.size(trade.size_lots)
        if desk.trade in wanted:
            yield _frame(desk.trade, self._messages.trade(desk.symbol, trade, price, size))
        if desk.aggregate in wanted:
            yield _frame(desk.aggregate, self._messages.aggregate(desk.symbol, trade, price, size))

    def _book_frames(
        self,
        instrument: Instrument,
        desk: _Desk,
        speed: str,
        step: Step,
        wanted: Collection[Stream],
    ) -> Iterator[Frame]:
        change = desk.changes[speed]
        if not change.first:
            return
        desk.changes[speed] = BookChange(previous=change.last)
        stream = desk.books[speed]
        if stream in wanted:
            bids, asks = (
                ",".join(f'["{desk.price(ticks)}","{desk.size(lots)}"]' for ticks, lots in side)
                for side in (change.bids.items(), change.asks.items())
            )
            text = self._messages.book(desk.symbol, change, bids, asks, step.time_ns)
            yield _frame(stream, text)
        for (count, partial_speed), partial in desk.partials.items():
            if partial_speed == speed and partial in wanted:
                top = _top(instrument, desk, step, count)
                data = self._messages.partial(desk.symbol, change, *top, step.time_ns)
                yield partial, combined(partial.name, data)

    def _summaries(
        self, time_ns: int, wanted: Collection[Stream], market_view: MarketView
    ) -> Iterator[Frame]:
        """Candles, tickers and marks, which are sent by the clock. The last frame of a candle says
        that it is closed."""
        symbols = {one.symbol for one in market_view.listings()}
        for stream in wanted:
            if stream.symbol not in symbols:
                continue
            kind = stream.name.partition("@")[2]
            if stream.channel is Channel.CANDLES:
                events = self._candles(stream, kind.partition("_")[2], time_ns, market_view)
            elif stream.channel is Channel.TICKERS:
                events = self._tickers(stream, kind == "miniTicker", time_ns, market_view)
            elif stream.channel is Channel.MARKS:
                slow = kind == "markPrice" and time_ns % SLOW_MARK_INTERVAL_NS
                events = [] if slow else _marks(stream.symbol, time_ns, market_view)
            else:
                continue
            for event in events:
                yield stream, combined(stream.name, msgspec.json.encode(event))

    def _candles(
        self, stream: Stream, interval: str, time_ns: int, market_view: MarketView
    ) -> list[dict[str, Any]]:
        start_of = interval_start(interval)
        if start_of is None:
            return []
        start_ns = start_of(time_ns)
        before_ns = start_of(start_ns - 1)
        first_ns = before_ns if time_ns - start_ns < SUMMARY_INTERVAL_NS else start_ns
        return [
            candle_event(candle, interval, stream.symbol, time_ns, self._messages.number)
            for candle in market_view.history(stream.symbol).candles(start_of, first_ns, time_ns)
        ]

    def _tickers(
        self, stream: Stream, small: bool, time_ns: int, market_view: MarketView
    ) -> list[dict[str, Any]]:
        first_ns = time_ns - DAY_NS
        return [
            ticker_event(day, stream.symbol, time_ns, small, self._messages.number)
            for day in market_view.history(stream.symbol).candles(
                lambda at_ns: first_ns, first_ns, time_ns
            )
        ]


def _frame(stream: Stream, event: str) -> Frame:
    return stream, combined(stream.name, event.encode())


def _note_level(desk: _Desk, event: LevelChange) -> None:
    for change in desk.changes.values():
        if not change.first:
            change.first = event.sequence
            change.previous = change.previous or event.sequence - 1
        change.last = event.sequence
        side = change.bids if event.is_bid else change.asks
        side[event.price_ticks] = event.size_lots


def _marks(symbol: str, time_ns: int, market_view: MarketView) -> list[dict[str, Any]]:
    """``{"e":"markPriceUpdate","E","s","p":mark,"P":settle,"i":index,"r":funding rate,"T"}``"""
    mark = market_view.mark(symbol)
    if mark is None:
        return []
    event = {
        "e": "markPriceUpdate",
        "E": time_ns // NANOSECONDS_PER_MILLISECOND,
        "s": symbol,
        "p": mark.mark_price,
        "P": mark.index_price,
        "i": mark.index_price,
        "r": mark.funding_rate,
        "T": mark.next_funding_time_ns // NANOSECONDS_PER_MILLISECOND,
    }
    return [event]


def _top(
    instrument: Instrument, desk: _Desk, step: Step, count: int
) -> tuple[LevelTexts, LevelTexts]:
    bids, asks = (
        [
            (desk.price(ticks), desk.size(lots))
            for ticks, lots in step.books.levels(instrument, is_bid, count)
        ]
        for is_bid in (True, False)
    )
    return bids, asks
