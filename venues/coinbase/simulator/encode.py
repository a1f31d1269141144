"""A simulated market's events as frames of Coinbase's two feeds."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Frame, MarketView, Stream
from kit.simulator.events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.history import Candle, TradePrint
from kit.simulator.listing import Listing
from kit.simulator.market import Step
from kit.simulator.published import Changes, PublishedBooks
from venues.coinbase.simulator import advanced, exchange
from venues.coinbase.simulator.candles import FEED_INTERVAL_S, Ticker, interval_start
from venues.coinbase.simulator.streams import (
    ADVANCED,
    ADVANCED_CHANNELS,
    EXCHANGE,
    EXCHANGE_CHANNELS,
    HEARTBEATS,
    CoinbaseStreams,
)

BOOK_INTERVAL_NS = 50 * NANOSECONDS_PER_MILLISECOND
TRADES_INTERVAL_NS = 250 * NANOSECONDS_PER_MILLISECOND
"""Of market_trades; matches come as they happen."""
CANDLES_INTERVAL_NS = NANOSECONDS_PER_SECOND
BATCH_INTERVAL_NS = 5 * NANOSECONDS_PER_SECOND
"""Of ticker_batch."""
DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
DEPTH_MAX = 5_000
RECENT_TRADES = 50
"""With which a subscription to market_trades begins."""
RECENT_CANDLES = 100


def product_id(instrument: Instrument) -> str:
    """``BTC-USD``"""
    return f"{instrument.base}-{instrument.quote}"


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Coinbase lists it."""
    return Listing(
        product_id(instrument),
        instrument.base,
        instrument.quote,
        tick_size=instrument.price_text(1),
        lot_size=instrument.size_text(1),
        minimum_notional="0.000016" if instrument.quote == "BTC" else "1",
    )


@dataclass(slots=True)
class _Desk:
    """What is known of one product, and its streams by feed and channel."""

    instrument: Instrument
    product: str
    streams: dict[tuple[str, str], Stream]
    sequence: int = 0
    """Of the last change of the book."""
    quote: BestQuote | None = None
    last: TradePrint | None = None
    traded: bool = False
    """Within this step."""
    gathered: list[TradePrint] = field(default_factory=list)
    """Trades that market_trades has not told yet."""
    day: Candle | None = None
    day_ns: int = 0
    """When the last 24 hours were added up; they are again after a second."""


class Encoder:
    """Remembers what the feeds have not said yet, and with what a new subscription begins."""

    def __init__(self, streams: CoinbaseStreams) -> None:
        self._streams = streams
        self._books = PublishedBooks()
        self._desks: dict[Instrument, _Desk] = {}
        self._by_product: dict[str, _Desk] = {}

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step, in the order of what happened."""
        frames: list[Frame] = []
        for event in step.events:
            desk = self._desks.get(event.instrument) or self._open_desk(event.instrument)
            if type(event) is LevelChange:
                desk.sequence = event.sequence
            elif type(event) is BestQuote:
                desk.quote = event
            elif type(event) is Trade:
                one = _note_trade(desk, event)
                stream = desk.streams[EXCHANGE, "matches"]
                if stream in wanted:
                    # Each trade changes a level right after it; the match has that number.
                    frame = exchange.match(desk.product, "match", one, desk.sequence + 1)
                    frames.append((stream, frame))
        self._books.note(step)
        for desk in self._desks.values():
            frames.extend(self._at_the_end(desk, step.time_ns, wanted, market_view))
        return frames

    def first_frames(
        self, feed: str, channel: str, product: str, market_view: MarketView
    ) -> list[bytes]:
        """With what a subscription begins. Nothing, where no market is simulated."""
        desk = self._by_product.get(product)
        if desk is None:
            return []
        now_ns = market_view.time_ns()
        if feed == EXCHANGE:
            return list(self._first_of_exchange(desk, channel, market_view))
        return list(self._first_of_advanced(desk, channel, now_ns, market_view))

    def heartbeat(self, product: str, market_view: MarketView) -> list[bytes]:
        """Of a product, on Exchange."""
        desk = self._by_product.get(product)
        if desk is None or desk.last is None:
            return []
        now_ns, last_id = market_view.time_ns(), desk.last.trade_id
        return [exchange.heartbeat(product, desk.sequence, last_id, now_ns)]

    def _open_desk(self, instrument: Instrument) -> _Desk:
        product = product_id(instrument)
        names = [(ADVANCED, channel) for channel in ADVANCED_CHANNELS if channel != HEARTBEATS]
        names += [(EXCHANGE, channel) for channel in EXCHANGE_CHANNELS]
        streams = {name: self._streams.get(*name, product) for name in names}
        known = {name: stream for name, stream in streams.items() if stream is not None}
        desk = self._desks[instrument] = _Desk(instrument, product, known)
        self._by_product[product] = desk
        return desk

    def _at_the_end(
        self, desk: _Desk, now_ns: int, wanted: Collection[Stream], market_view: MarketView
    ) -> Iterator[Frame]:
        """Of a step: what is told by the clock, and the ticker of what was traded."""
        if now_ns % BOOK_INTERVAL_NS == 0:
            changes = self._books.changes(desk.instrument)
            if changes is not None and changes.previous:
                yield from _book_frames(desk, changes, now_ns, wanted)
            elif changes is not None:
                yield from self._whole_books(desk, now_ns, wanted)
        if now_ns % TRADES_INTERVAL_NS == 0 and desk.gathered:
            gathered, desk.gathered = desk.gathered, []
            stream = desk.streams[ADVANCED, "market_trades"]
            if stream in wanted:
                yield stream, advanced.trades(desk.product, now_ns, "update", gathered)
        if desk.traded:
            desk.traded = False
            yield from self._ticker_frames(desk, "ticker", now_ns, wanted, market_view)
        if now_ns % BATCH_INTERVAL_NS == 0:
            yield from self._ticker_frames(desk, "ticker_batch", now_ns, wanted, market_view)
        stream = desk.streams[ADVANCED, "candles"]
        if now_ns % CANDLES_INTERVAL_NS == 0 and stream in wanted:
            yield (
                stream,
                advanced.candles(desk.product, now_ns, "update", _candles(desk, market_view, 1)),
            )

    def _whole_books(self, desk: _Desk, now_ns: int, wanted: Collection[Stream]) -> Iterator[Frame]:
        """At the end of the first interval, for those who were there before the market opened."""
        book = self._books.snapshot(desk.instrument, DEPTH_MAX)
        stream = desk.streams[ADVANCED, "level2"]
        if stream in wanted:
            yield stream, advanced.book(desk.product, now_ns, "snapshot", book.bids, book.asks)
        stream = desk.streams[EXCHANGE, "level2"]
        if stream in wanted:
            yield stream, exchange.snapshot(desk.product, book.bids, book.asks)

    def _ticker_frames(
        self,
        desk: _Desk,
        channel: str,
        now_ns: int,
        wanted: Collection[Stream],
        market_view: MarketView,
    ) -> Iterator[Frame]:
        of_advanced, of_exchange = desk.streams[ADVANCED, channel], desk.streams[EXCHANGE, channel]
        if of_advanced not in wanted and of_exchange not in wanted:
            return
        one = self._ticker(desk, market_view)
        if one is not None and of_advanced in wanted:
            yield of_advanced, advanced.ticker(channel, now_ns, "update", one)
        if one is not None and of_exchange in wanted:
            yield of_exchange, exchange.ticker(one)

    def _first_of_advanced(
        self, desk: _Desk, channel: str, now_ns: int, market_view: MarketView
    ) -> Iterator[bytes]:
        product = desk.product
        if channel == "level2":
            book = self._books.snapshot(desk.instrument, DEPTH_MAX)
            if book.sequence:
                yield advanced.book(product, now_ns, "snapshot", book.bids, book.asks)
        elif channel == "market_trades":
            told = desk.gathered[0].trade_id if desk.gathered else None
            recent = market_view.history(product).latest(RECENT_TRADES + len(desk.gathered))
            prints = [one for one in recent if told is None or one.trade_id < told]
            if prints:  # a snapshot without a trade ends the receive loop of ccxt
                yield advanced.trades(product, now_ns, "snapshot", prints)
        elif channel == "candles":
            yield advanced.candles(
                product, now_ns, "snapshot", _candles(desk, market_view, RECENT_CANDLES)
            )
        elif channel in ("ticker", "ticker_batch"):
            one = self._ticker(desk, market_view)
            if one is not None:
                yield advanced.ticker(channel, now_ns, "snapshot", one)

    def _first_of_exchange(
        self, desk: _Desk, channel: str, market_view: MarketView
    ) -> Iterator[bytes]:
        if channel == "level2":
            book = self._books.snapshot(desk.instrument, DEPTH_MAX)
            if book.sequence:
                yield exchange.snapshot(desk.product, book.bids, book.asks)
        elif channel == "matches" and desk.last is not None:
            yield exchange.match(desk.product, "last_match", desk.last, desk.sequence)
        elif channel in ("ticker", "ticker_batch"):
            one = self._ticker(desk, market_view)
            if one is not None:
                yield exchange.ticker(one)

    def _ticker(self, desk: _Desk, market_view: MarketView) -> Ticker | None:
        """None: there was no trade yet, or a side of the book is empty."""
        last, quote, now_ns = desk.last, desk.quote, market_view.time_ns()
        if last is None or quote is None or not quote.bid_lots or not quote.ask_lots:
            return None
        if desk.day is None or now_ns - desk.day_ns >= NANOSECONDS_PER_SECOND:
            first_ns = now_ns - DAY_NS
            history = market_view.history(desk.product)
            days = history.candles(lambda at_ns: first_ns, first_ns, now_ns)
            if not days:
                return None
            desk.day, desk.day_ns = days[0], now_ns
        price_text, size_text = desk.instrument.price_text, desk.instrument.size_text
        return Ticker(
            product=desk.product,
            sequence=desk.sequence,
            trade_id=last.trade_id,
            price=last.price,
            size=last.size,
            taker_buys=last.taker_buys,
            time_ns=last.time_ns,
            open=f"{desk.day.open:f}",
            high=f"{desk.day.high:f}",
            low=f"{desk.day.low:f}",
            volume=f"{desk.day.volume:f}",
            bid=price_text(quote.bid_ticks),
            bid_size=size_text(quote.bid_lots),
            ask=price_text(quote.ask_ticks),
            ask_size=size_text(quote.ask_lots),
        )


def _note_trade(desk: _Desk, trade: Trade) -> TradePrint:
    one = desk.last = TradePrint(
        trade.trade_id,
        desk.instrument.price_text(trade.price_ticks),
        desk.instrument.size_text(trade.size_lots),
        trade.time_ns,
        trade.taker_buys,
    )
    desk.traded = True
    desk.gathered.append(one)
    return one


def _book_frames(
    desk: _Desk, changes: Changes, now_ns: int, wanted: Collection[Stream]
) -> Iterator[Frame]:
    price_text, size_text = desk.instrument.price_text, desk.instrument.size_text
    bids, asks = (
        [(price_text(ticks), size_text(lots)) for ticks, lots in side]
        for side in (changes.bids, changes.asks)
    )
    of_advanced, of_exchange = desk.streams[ADVANCED, "level2"], desk.streams[EXCHANGE, "level2"]
    if of_advanced in wanted:
        yield of_advanced, advanced.book(desk.product, now_ns, "update", bids, asks)
    if of_exchange in wanted:
        yield of_exchange, exchange.update(desk.product, now_ns, bids, asks)


def _candles(desk: _Desk, market_view: MarketView, count: int) -> list[Candle]:
    """The newest of five minutes."""
    start_of = interval_start(FEED_INTERVAL_S)
    now_ns = market_view.time_ns()
    first_ns = start_of(now_ns) - (count - 1) * FEED_INTERVAL_S * NANOSECONDS_PER_SECOND
    return list(market_view.history(desk.product).candles(start_of, first_ns, now_ns))
