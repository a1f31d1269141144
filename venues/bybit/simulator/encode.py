"""A simulated market's events as Bybit's frames.

Documentation: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.numbers import format_scaled
from kit.simulator.dialect import Channel, ExchangeStream, Frame, MarketView
from kit.simulator.exchange.candles import day_before, open_candles
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.market import MarketBookView, MarketStep
from kit.simulator.market_events import Instrument, LevelChange, Trade
from venues.bybit.simulator.candles import INTERVALS, candle_event, ticker_event
from venues.bybit.simulator.instruments import native_symbol

INTERVALS_NS = {
    1: 10 * NANOSECONDS_PER_MILLISECOND,
    50: 20 * NANOSECONDS_PER_MILLISECOND,
    200: 200 * NANOSECONDS_PER_MILLISECOND,
    1000: 200 * NANOSECONDS_PER_MILLISECOND,
}
"""How often a book topic publishes, by its depth."""
QUIET_NS_MAX = 3 * NANOSECONDS_PER_SECOND
"""A best quote that has not changed for so long is sent again."""
SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
TRADES_PER_FRAME_MAX = 1024
UPDATE_IDS_BEGIN = 200_000_000
RESTART_UPDATE_ID = 1


@dataclass(slots=True)
class BookTopic:
    """An ``orderbook`` topic and the book that it has published so far, as lots by ticks."""

    market: "_Market"
    stream: ExchangeStream
    depth: int
    update_id: int = UPDATE_IDS_BEGIN
    bids: Mapping[int, int] = field(default_factory=dict)
    asks: Mapping[int, int] = field(default_factory=dict)
    behind: bool = True
    """The book may have changed since."""
    published_ns: int = 0
    """When it sent its last frame; 0: never."""

    def book(self) -> ExchangeBookSnapshot:
        """The book as it was published."""
        bids, asks = (
            [(self.market.price(ticks), self.market.size(lots)) for ticks, lots in side.items()]
            for side in (self.bids, self.asks)
        )
        return ExchangeBookSnapshot(self.update_id, bids, asks)

    def snapshot(self, time_ns: int) -> bytes:
        """The whole book as one frame."""
        return self.frame("snapshot", self.bids.items(), self.asks.items(), time_ns)

    def frame(
        self,
        kind: str,
        bids: Iterable[tuple[int, int]],
        asks: Iterable[tuple[int, int]],
        time_ns: int,
    ) -> bytes:
        """``{"topic","ts","type","data":{"s","b":[["price","size"]],"a","u","seq"},"cts"}``"""
        market = self.market
        return (
            f'{{"topic":"{self.stream.name}","ts":{time_ns // NANOSECONDS_PER_MILLISECOND},'
            f'"type":"{kind}","data":{{"s":"{market.symbol}","b":[{market.levels(bids)}],'
            f'"a":[{market.levels(asks)}],"u":{self.update_id},"seq":{market.sequence}}},'
            f'"cts":{market.changed_ns // NANOSECONDS_PER_MILLISECOND}}}'
        ).encode()


@dataclass(slots=True)
class _Market:
    """One instrument."""

    instrument: Instrument
    symbol: str
    trades: ExchangeStream
    books: list[BookTopic] = field(default_factory=list)
    sequence: int = 0
    changed_ns: int = 0

    def price(self, ticks: int) -> str:
        """As Bybit writes prices: without trailing zeros."""
        return format_scaled(ticks * self.instrument.tick_units, self.instrument.price_scale)

    def size(self, lots: int) -> str:
        return format_scaled(lots * self.instrument.lot_units, self.instrument.size_scale)

    def levels(self, levels: Iterable[tuple[int, int]]) -> str:
        """``["61837.6","0.02"],…``"""
        return ",".join(f'["{self.price(ticks)}","{self.size(lots)}"]' for ticks, lots in levels)


class BybitEncoder:
    """Writes the frames of a simulated market. Remembers what each book topic has published."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._markets: dict[Instrument, _Market] = {}
        self._topics: dict[ExchangeStream, BookTopic] = {}
        self._books: MarketBookView | None = None
        self._time_ns = 0
        self._followed: Collection[ExchangeStream] = ()
        """The streams that someone was subscribed to at the last step."""

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step: trades, then books, then what is sent by the clock."""
        self._books, self._time_ns, self._followed = step.books, step.time_ns, wanted
        trades: dict[Instrument, list[Trade]] = {}
        for event in step.events:
            market = self._markets.get(event.instrument) or self._open_market(event.instrument)
            if type(event) is LevelChange:
                market.sequence, market.changed_ns = event.sequence, event.time_ns
                for topic in market.books:
                    topic.behind = True
            elif type(event) is Trade and market.trades in wanted:
                trades.setdefault(event.instrument, []).append(event)
        frames: list[Frame] = []
        for instrument, happened in trades.items():
            frames.extend(_trade_frames(self._markets[instrument], happened, step.time_ns))
        for topic in self._topics.values():
            if step.time_ns % INTERVALS_NS[topic.depth] == 0 and topic.stream in wanted:
                frames.extend(self._book_frames(topic, step))
        if step.time_ns % SUMMARY_INTERVAL_NS == 0:
            frames.extend(_summaries(step.time_ns, wanted, market_view))
        return frames

    def book(self, stream: ExchangeStream) -> BookTopic | None:
        """The book that a new subscriber gets first, so that the next update follows it. None:
        there is no simulated market, or it has not begun."""
        topic = self._topics.get(stream)
        if topic is not None and stream not in self._followed and self._books is not None:
            self._catch_up(topic, self._books)
        return topic

    def snapshot(self, stream: ExchangeStream) -> bytes | None:
        """The same as a frame."""
        topic = self.book(stream)
        return None if topic is None else topic.snapshot(self._time_ns)

    def restart(self, stream: ExchangeStream) -> bytes | None:
        """A service restart of the exchange: the update ids of a book start again, with a
        snapshot. None: the stream is no simulated book."""
        topic = self._topics.get(stream)
        if topic is None:
            return None
        topic.update_id = RESTART_UPDATE_ID
        return topic.snapshot(self._time_ns)

    def _open_market(self, instrument: Instrument) -> _Market:
        symbol = native_symbol(instrument)
        stream = self._streams.get
        market = _Market(instrument, symbol, stream(f"publicTrade.{symbol}"))
        for depth in INTERVALS_NS:
            topic = BookTopic(market, stream(f"orderbook.{depth}.{symbol}"), depth)
            self._topics[topic.stream] = topic
            market.books.append(topic)
        self._markets[instrument] = market
        return market

    def _book_frames(self, topic: BookTopic, step: MarketStep) -> Iterator[Frame]:
        first = not topic.published_ns
        bids, asks = self._catch_up(topic, step.books)
        if bids or asks:
            if first or topic.depth == 1:
                yield topic.stream, topic.snapshot(step.time_ns)
            else:
                yield topic.stream, topic.frame("delta", bids, asks, step.time_ns)
        elif topic.depth == 1 and step.time_ns - topic.published_ns >= QUIET_NS_MAX:
            topic.published_ns = step.time_ns
            yield topic.stream, topic.snapshot(step.time_ns)

    def _catch_up(self, topic: BookTopic, books: MarketBookView) -> tuple["_Changes", "_Changes"]:
        """Bring a topic to the current book. Returns the changes of its bids and asks."""
        if not topic.behind:
            return [], []
        instrument = topic.market.instrument
        bids, asks = (dict(books.levels(instrument, side, topic.depth)) for side in (True, False))
        changes = _changes(topic.bids, bids), _changes(topic.asks, asks)
        topic.bids, topic.asks, topic.behind = bids, asks, False
        if any(changes):
            topic.update_id += 1
            topic.published_ns = self._time_ns
        return changes


_Changes = list[tuple[int, int]]


def _changes(before: Mapping[int, int], after: Mapping[int, int]) -> _Changes:
    """New sizes by price; 0 for a level that is gone, or has fallen out of the depth."""
    gone = [(ticks, 0) for ticks in before if ticks not in after]
    return [level for level in after.items() if before.get(level[0]) != level[1]] + gone


def _trade_frames(market: _Market, trades: Sequence[Trade], time_ns: int) -> Iterator[Frame]:
    """``{"topic","ts","type":"snapshot","data":[{"i","T","p","v","S","seq","s","BT","RPI"},…]}``"""
    for first in range(0, len(trades), TRADES_PER_FRAME_MAX):
        rows = ",".join(
            f'{{"i":"{trade.trade_id}",'
            f'"T":{trade.time_ns // NANOSECONDS_PER_MILLISECOND},'
            f'"p":"{market.price(trade.price_ticks)}","v":"{market.size(trade.size_lots)}",'
            f'"S":"{"Buy" if trade.taker_buys else "Sell"}","seq":{market.sequence},'
            f'"s":"{market.symbol}","BT":false,"RPI":false}}'
            for trade in trades[first : first + TRADES_PER_FRAME_MAX]
        )
        yield (
            market.trades,
            f'{{"topic":"{market.trades.name}","ts":{time_ns // NANOSECONDS_PER_MILLISECOND},'
            f'"type":"snapshot","data":[{rows}]}}'.encode(),
        )


def _summaries(
    time_ns: int, wanted: Collection[ExchangeStream], market_view: MarketView
) -> Iterator[Frame]:
    """Candles and tickers, which are sent each second. The last frame of a candle says that it is
    closed."""
    symbols = {one.symbol for one in market_view.listings()}
    for stream in wanted:
        if stream.symbol not in symbols:
            continue
        if stream.channel is Channel.CANDLES:
            yield from _candle_frames(stream, time_ns, market_view)
        elif stream.channel is Channel.TICKERS:
            yield from _ticker_frames(stream, time_ns, market_view)


def _candle_frames(
    stream: ExchangeStream, time_ns: int, market_view: MarketView
) -> Iterator[Frame]:
    interval = stream.name.split(".")[1]
    for candle in open_candles(market_view, stream.symbol, INTERVALS[interval], time_ns):
        event = {
            "topic": stream.name,
            "data": [candle_event(candle, interval, time_ns)],
            "ts": time_ns // NANOSECONDS_PER_MILLISECOND,
            "type": "snapshot",
        }
        yield stream, msgspec.json.encode(event)


def _ticker_frames(
    stream: ExchangeStream, time_ns: int, market_view: MarketView
) -> Iterator[Frame]:
    day = day_before(market_view, stream.symbol, time_ns)
    if day is not None:
        event = {
            "topic": stream.name,
            "ts": time_ns // NANOSECONDS_PER_MILLISECOND,
            "type": "snapshot",
            "cs": day.last_trade_id,
            "data": ticker_event(day, stream.symbol),
        }
        yield stream, msgspec.json.encode(event)
