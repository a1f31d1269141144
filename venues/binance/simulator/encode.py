"""A simulated market's events as Binance's frames.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from kit.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import BookSnapshot, Channel, Floor, Frame, Listing, Stream
from kit.simulator.events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.market import Step
from venues.binance.simulator.candles import candle_event, interval_start, ticker_event
from venues.binance.simulator.capture import combined
from venues.binance.simulator.rest import depth_body
from venues.binance.simulator.streams import Streams

DECIMAL_PLACES = 8
SPEEDS_NS = {
    "@100ms": 100 * NANOSECONDS_PER_MILLISECOND,
    "": NANOSECONDS_PER_SECOND,
}
"""How often a book stream speaks, by the end of its name."""
SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
PARTIAL_DEPTHS = (5, 10, 20)


class WireNumber:
    """Writes whole numbers of ticks or lots as Binance writes all numbers: with eight places."""

    def __init__(self, units: int, scale: int) -> None:
        self._units = units
        self._power = 10**scale
        places = max(scale, 1)
        self._pattern = f"%d.%0{places}d{'0' * (DECIMAL_PLACES - places)}"

    def text(self, count: int) -> str:
        """For ticks of 0.01: 6183763 is "61837.63000000"."""
        text: str = self._pattern % divmod(count * self._units, self._power)
        return text


def native_symbol(instrument: Instrument) -> str:
    """``BTCUSDT``"""
    return instrument.base + instrument.quote


def price_format(instrument: Instrument) -> WireNumber:
    """Of this instrument's ticks."""
    return WireNumber(instrument.tick_units, instrument.price_scale)


def size_format(instrument: Instrument) -> WireNumber:
    """Of this instrument's lots."""
    return WireNumber(1, instrument.size_scale)


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Binance lists it."""
    return Listing(
        native_symbol(instrument),
        instrument.base,
        instrument.quote,
        tick_size=price_format(instrument).text(1),
        lot_size=size_format(instrument).text(1),
        minimum_notional="0.00010000" if instrument.quote == "BTC" else "5.00000000",
    )


@dataclass(slots=True)
class _Pending:
    """Changes of a book since its stream spoke last."""

    first: int = 0
    last: int = 0
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Desk:
    """One instrument's streams."""

    symbol: str
    price: Callable[[int], str]
    size: Callable[[int], str]
    trade: Stream
    aggregate: Stream
    quote: Stream
    books: dict[str, Stream]
    partials: dict[tuple[int, str], Stream]
    pending: dict[str, _Pending]


class Encoder:
    """Remembers only what a book stream has not said yet."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._desks: dict[Instrument, _Desk] = {}

    def encode(self, step: Step, wanted: Collection[Stream], floor: Floor) -> list[Frame]:
        """The frames of a step, in the order of what happened."""
        frames: list[Frame] = []
        for event in step.events:
            desk = self._desks.get(event.instrument) or self._open_desk(event.instrument)
            if type(event) is LevelChange:
                _note_level(desk, event)
            elif type(event) is BestQuote:
                if desk.quote in wanted:
                    frames.append((desk.quote, _quote_frame(desk, event)))
            elif type(event) is Trade:
                frames.extend(_trade_frames(desk, event, wanted))
        for speed, interval_ns in SPEEDS_NS.items():
            if step.time_ns % interval_ns == 0:
                for instrument, desk in self._desks.items():
                    frames.extend(self._book_frames(instrument, desk, speed, step, wanted))
        if step.time_ns % SUMMARY_INTERVAL_NS == 0:
            frames.extend(_summaries(step.time_ns, wanted, floor))
        return frames

    def _open_desk(self, instrument: Instrument) -> _Desk:
        symbol = native_symbol(instrument)
        name = symbol.lower()
        stream = self._streams.get
        desk = self._desks[instrument] = _Desk(
            symbol,
            price=price_format(instrument).text,
            size=size_format(instrument).text,
            trade=stream(f"{name}@trade".encode()),
            aggregate=stream(f"{name}@aggTrade".encode()),
            quote=stream(f"{name}@bookTicker".encode()),
            books={speed: stream(f"{name}@depth{speed}".encode()) for speed in SPEEDS_NS},
            partials={
                (count, speed): stream(f"{name}@depth{count}{speed}".encode())
                for count in PARTIAL_DEPTHS
                for speed in SPEEDS_NS
            },
            pending={speed: _Pending() for speed in SPEEDS_NS},
        )
        return desk

    def _book_frames(
        self,
        instrument: Instrument,
        desk: _Desk,
        speed: str,
        step: Step,
        wanted: Collection[Stream],
    ) -> Iterator[Frame]:
        pending = desk.pending[speed]
        if not pending.first:
            return
        desk.pending[speed] = _Pending()
        stream = desk.books[speed]
        if stream in wanted:
            yield stream, _book_frame(stream, desk, pending, step.time_ns)
        for (count, partial_speed), partial in desk.partials.items():
            if partial_speed == speed and partial in wanted:
                book = BookSnapshot(pending.last, *_top(instrument, desk, step, count))
                yield partial, combined(partial.name, depth_body(book, count))


def _note_level(desk: _Desk, change: LevelChange) -> None:
    for pending in desk.pending.values():
        if not pending.first:
            pending.first = change.sequence
        pending.last = change.sequence
        side = pending.bids if change.is_bid else pending.asks
        side[change.price_ticks] = change.size_lots


def _trade_frames(desk: _Desk, trade: Trade, wanted: Collection[Stream]) -> Iterator[Frame]:
    """``{"e":"trade","E","s","t":id,"p","q","T","m":buyer is maker,"M"}``; an aggregate trade is
    here always one trade."""
    price, size = desk.price(trade.price_ticks), desk.size(trade.size_lots)
    maker = "false" if trade.taker_buys else "true"
    time_ms = trade.time_ns // NANOSECONDS_PER_MILLISECOND
    common = f'"p":"{price}","q":"{size}"'
    if desk.trade in wanted:
        data = (
            f'{{"e":"trade","E":{time_ms},"s":"{desk.symbol}","t":{trade.trade_id},{common},'
            f'"T":{time_ms},"m":{maker},"M":true}}'
        )
        yield desk.trade, combined(desk.trade.name, data.encode())
    if desk.aggregate in wanted:
        data = (
            f'{{"e":"aggTrade","E":{time_ms},"s":"{desk.symbol}","a":{trade.trade_id},{common},'
            f'"f":{trade.trade_id},"l":{trade.trade_id},"T":{time_ms},"m":{maker},"M":true}}'
        )
        yield desk.aggregate, combined(desk.aggregate.name, data.encode())


def _quote_frame(desk: _Desk, quote: BestQuote) -> bytes:
    """``{"u":update id,"s","b":bid,"B":its size,"a":ask,"A":its size}``"""
    data = (
        f'{{"u":{quote.sequence},"s":"{desk.symbol}",'
        f'"b":"{desk.price(quote.bid_ticks)}",'
        f'"B":"{desk.size(quote.bid_lots)}",'
        f'"a":"{desk.price(quote.ask_ticks)}",'
        f'"A":"{desk.size(quote.ask_lots)}"}}'
    )
    return combined(desk.quote.name, data.encode())


def _book_frame(stream: Stream, desk: _Desk, pending: _Pending, time_ns: int) -> bytes:
    """``{"e":"depthUpdate","E","s","U":first,"u":last,"b":[["price","size"]],"a":[]}``"""
    bids, asks = (
        ",".join(f'["{desk.price(ticks)}","{desk.size(lots)}"]' for ticks, lots in side.items())
        for side in (pending.bids, pending.asks)
    )
    data = (
        f'{{"e":"depthUpdate","E":{time_ns // NANOSECONDS_PER_MILLISECOND},"s":"{desk.symbol}",'
        f'"U":{pending.first},"u":{pending.last},"b":[{bids}],"a":[{asks}]}}'
    )
    return combined(stream.name, data.encode())


def _summaries(time_ns: int, wanted: Collection[Stream], floor: Floor) -> Iterator[Frame]:
    """Candles and tickers, which are sent by the clock. The last frame of a candle says that it is
    closed."""
    symbols = {one.symbol for one in floor.listings()}
    for stream in wanted:
        if stream.symbol not in symbols:
            continue
        kind = stream.name.partition("@")[2]
        if stream.channel is Channel.CANDLES:
            yield from _candle_frames(stream, kind.partition("_")[2], time_ns, floor)
        elif stream.channel is Channel.TICKERS:
            yield from _ticker_frames(stream, kind == "miniTicker", time_ns, floor)


def _candle_frames(stream: Stream, interval: str, time_ns: int, floor: Floor) -> Iterator[Frame]:
    start_of = interval_start(interval)
    if start_of is None:
        return
    start_ns = start_of(time_ns)
    before_ns = start_of(start_ns - 1)
    first_ns = before_ns if time_ns - start_ns < SUMMARY_INTERVAL_NS else start_ns
    for candle in floor.history(stream.symbol).candles(start_of, first_ns, time_ns):
        event = candle_event(candle, interval, stream.symbol, time_ns)
        yield stream, combined(stream.name, msgspec.json.encode(event))


def _ticker_frames(stream: Stream, small: bool, time_ns: int, floor: Floor) -> Iterator[Frame]:
    first_ns = time_ns - DAY_NS
    for day in floor.history(stream.symbol).candles(lambda at_ns: first_ns, first_ns, time_ns):
        event = ticker_event(day, stream.symbol, time_ns, small)
        yield stream, combined(stream.name, msgspec.json.encode(event))


def _top(
    instrument: Instrument, desk: _Desk, step: Step, count: int
) -> Iterator[Sequence[tuple[str, str]]]:
    for is_bid in (True, False):
        yield [
            (desk.price(ticks), desk.size(lots))
            for ticks, lots in step.books.levels(instrument, is_bid, count)
        ]
