"""A simulated market's events as frames of Coinbase's two feeds.

Documentation:
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/advanced-trade-asyncapi.json
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import ExchangeStream, Frame, MarketView
from kit.simulator.exchange.candles import day_of
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.history import Candle, HistoricalTrade
from kit.simulator.market import MarketStep
from kit.simulator.market_events import BestQuote, Instrument, LevelChange, Trade
from kit.simulator.published_books import PublishedBookChanges, PublishedBooks
from kit.simulator.text_conversion import short
from venues.coinbase.simulator.candles import (
    FEED_INTERVAL,
    CoinbaseTicker,
    advanced_frame,
    advanced_ticker,
    candle_frame,
    exchange_ticker,
    micro_text,
)
from venues.coinbase.simulator.instruments import product_id
from venues.coinbase.simulator.streams import ADVANCED, CHANNELS, EXCHANGE, stream_name

BOOK_INTERVAL_NS = 50 * NANOSECONDS_PER_MILLISECOND
TRADES_INTERVAL_NS = 250 * NANOSECONDS_PER_MILLISECOND
"""Of market_trades. Exchange sends each match at once."""
CANDLES_INTERVAL_NS = NANOSECONDS_PER_SECOND
DEPTH_MAX = 5_000
TRADES_SHOWN = 50
CANDLES_SHOWN = 100
"""What a subscription begins with."""

Levels = Iterable[Sequence[str]]
"""Prices and sizes."""


@dataclass(slots=True)
class _Market:
    """One product: its streams by feed and channel, and what was published."""

    instrument: Instrument
    product: str
    streams: dict[tuple[str, str], ExchangeStream]
    sequence: int = 0
    """Of the last change of the book."""
    quote: BestQuote | None = None
    last: HistoricalTrade | None = None
    traded: bool = False
    """Whether it was traded in this step."""
    unpublished: list[HistoricalTrade] = field(default_factory=list)
    """Trades since the last frame of market_trades."""
    day: Candle | None = None
    day_ns: int = 0
    """When ``day``, the last 24 hours, was computed; it is valid for a second."""


class CoinbaseEncoder:
    """Remembers what the feeds have published, and writes what a subscription begins with."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._books = PublishedBooks()
        self._markets: dict[Instrument, _Market] = {}
        self._by_product: dict[str, _Market] = {}

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step, in the order of the events."""
        frames: list[Frame] = []
        for event in step.events:
            market = self._markets.get(event.instrument) or self._add_market(event.instrument)
            if type(event) is LevelChange:
                market.sequence = event.sequence
            elif type(event) is BestQuote:
                market.quote = event
            elif type(event) is Trade:
                trade = _note_trade(market, event)
                stream = market.streams[EXCHANGE, "matches"]
                if stream in wanted:
                    # Each trade changes a level right after it; the match has that number.
                    frame = _match(market.product, "match", trade, market.sequence + 1)
                    frames.append((stream, frame))
        self._books.note(step)
        for market in self._markets.values():
            frames.extend(self._step_frames(market, step.time_ns, wanted, market_view))
        return frames

    def first_frames(
        self, feed: str, channel: str, product: str, market_view: MarketView
    ) -> list[bytes]:
        """What a subscription begins with; nothing in a replay."""
        market = self._by_product.get(product)
        if market is None:
            return []
        if channel == "ticker":
            ticker = self._ticker(market, market_view)
            if ticker is None:
                return []
            if feed == EXCHANGE:
                return [exchange_ticker(ticker)]
            return [advanced_ticker(market_view.time_ns(), "snapshot", ticker)]
        if channel == "level2":
            return self._snapshot(feed, market, market_view.time_ns())
        if channel == "matches" and market.last is not None:
            return [_match(product, "last_match", market.last, market.sequence)]
        if channel == "market_trades":
            return _recent_trades(market, market_view)
        if channel == "candles":
            found = _candles(market, market_view, CANDLES_SHOWN)
            return [candle_frame(product, market_view.time_ns(), "snapshot", found)]
        return []

    def heartbeat(self, product: str, market_view: MarketView) -> list[bytes]:
        """The heartbeat of a product on Exchange: one frame, or none before the first trade."""
        market = self._by_product.get(product)
        if market is None or market.last is None:
            return []
        beat = {
            "type": "heartbeat",
            "last_trade_id": market.last.trade_id,
            "product_id": product,
            "sequence": market.sequence,
            "time": micro_text(market_view.time_ns()),
        }
        return [msgspec.json.encode(beat)]

    def _add_market(self, instrument: Instrument) -> _Market:
        product = product_id(instrument)
        streams = {
            (feed, channel): self._streams.get(stream_name(feed, channel, product))
            for feed, channels in CHANNELS.items()
            for channel in channels
        }
        market = self._markets[instrument] = _Market(instrument, product, streams)
        self._by_product[product] = market
        return market

    def _step_frames(
        self,
        market: _Market,
        now_ns: int,
        wanted: Collection[ExchangeStream],
        market_view: MarketView,
    ) -> Iterator[Frame]:
        """At the end of a step: what is sent at intervals, and the ticker after trades."""
        if now_ns % BOOK_INTERVAL_NS == 0:
            changes = self._books.changes(market.instrument)
            if changes is not None and changes.previous:
                yield from _book_frames(market, changes, now_ns, wanted)
            elif changes is not None:
                yield from self._snapshots(market, now_ns, wanted)
        if now_ns % TRADES_INTERVAL_NS == 0 and market.unpublished:
            trades, market.unpublished = market.unpublished, []
            stream = market.streams[ADVANCED, "market_trades"]
            if stream in wanted:
                yield stream, _advanced_trades(market.product, now_ns, "update", trades)
        if market.traded:
            market.traded = False
            yield from self._ticker_frames(market, now_ns, wanted, market_view)
        stream = market.streams[ADVANCED, "candles"]
        if now_ns % CANDLES_INTERVAL_NS == 0 and stream in wanted:
            found = _candles(market, market_view, 1)
            yield stream, candle_frame(market.product, now_ns, "update", found)

    def _snapshots(
        self, market: _Market, now_ns: int, wanted: Collection[ExchangeStream]
    ) -> Iterator[Frame]:
        """After the first interval, for subscriptions that are older than the market."""
        for feed in (ADVANCED, EXCHANGE):
            stream = market.streams[feed, "level2"]
            if stream in wanted:
                for frame in self._snapshot(feed, market, now_ns):
                    yield stream, frame

    def _snapshot(self, feed: str, market: _Market, now_ns: int) -> list[bytes]:
        """The book as published so far; nothing before its first interval."""
        book = self._books.snapshot(market.instrument, DEPTH_MAX)
        if not book.sequence:
            return []
        if feed == ADVANCED:
            return [_advanced_book(market.product, now_ns, "snapshot", book.bids, book.asks)]
        sides = {"asks": list(book.asks), "bids": list(book.bids)}
        frame = {"type": "snapshot", "product_id": market.product, **sides}
        return [msgspec.json.encode(frame)]

    def _ticker_frames(
        self,
        market: _Market,
        now_ns: int,
        wanted: Collection[ExchangeStream],
        market_view: MarketView,
    ) -> Iterator[Frame]:
        advanced, exchange = (market.streams[feed, "ticker"] for feed in (ADVANCED, EXCHANGE))
        if advanced not in wanted and exchange not in wanted:
            return
        ticker = self._ticker(market, market_view)
        if ticker is not None and advanced in wanted:
            yield advanced, advanced_ticker(now_ns, "update", ticker)
        if ticker is not None and exchange in wanted:
            yield exchange, exchange_ticker(ticker)

    def _ticker(self, market: _Market, market_view: MarketView) -> CoinbaseTicker | None:
        """None: there was no trade yet, or a side of the book is empty."""
        last, quote, now_ns = market.last, market.quote, market_view.time_ns()
        if last is None or quote is None or not quote.bid_lots or not quote.ask_lots:
            return None
        if market.day is None or now_ns - market.day_ns >= NANOSECONDS_PER_SECOND:
            market.day, market.day_ns = day_of(market_view, market.product), now_ns
            if market.day is None:
                return None
        price_text, size_text = market.instrument.price_text, market.instrument.size_text
        return CoinbaseTicker(
            product=market.product,
            sequence=market.sequence,
            trade=last,
            day=market.day.including(Decimal(last.price)),
            bid=price_text(quote.bid_ticks),
            bid_size=size_text(quote.bid_lots),
            ask=price_text(quote.ask_ticks),
            ask_size=size_text(quote.ask_lots),
        )


def trade_order_ids(trade_id: int) -> tuple[str, str]:
    """The ids of a trade's maker order and taker order when they belong to no account."""
    digits = (f"{trade_id * 2 + party:032x}" for party in (0, 1))
    maker, taker = (
        "-".join((one[:8], one[8:12], one[12:16], one[16:20], one[20:])) for one in digits
    )
    return maker, taker


def _note_trade(market: _Market, trade: Trade) -> HistoricalTrade:
    one = market.last = HistoricalTrade(
        trade.trade_id,
        market.instrument.price_text(trade.price_ticks),
        market.instrument.size_text(trade.size_lots),
        trade.time_ns,
        trade.taker_buys,
    )
    market.traded = True
    market.unpublished.append(one)
    return one


def _recent_trades(market: _Market, market_view: MarketView) -> list[bytes]:
    """Those that no frame will have any more; ccxt fails on a snapshot without trades."""
    first = market.unpublished[0].trade_id if market.unpublished else None
    recent = market_view.history(market.product).latest(TRADES_SHOWN + len(market.unpublished))
    found = [one for one in recent if first is None or one.trade_id < first]
    if not found:
        return []
    return [_advanced_trades(market.product, market_view.time_ns(), "snapshot", found)]


def _candles(market: _Market, market_view: MarketView, count: int) -> list[Candle]:
    """The newest candles, oldest first."""
    now_ns, length_ns = market_view.time_ns(), FEED_INTERVAL.seconds * NANOSECONDS_PER_SECOND
    first_ns = FEED_INTERVAL.start_ns(now_ns) - (count - 1) * length_ns
    history = market_view.history(market.product)
    return list(history.candles(FEED_INTERVAL.start_ns, first_ns, now_ns))


def _book_frames(
    market: _Market, changes: PublishedBookChanges, now_ns: int, wanted: Collection[ExchangeStream]
) -> Iterator[Frame]:
    price_text, size_text = market.instrument.price_text, market.instrument.size_text
    bids, asks = (
        [(price_text(ticks), size_text(lots)) for ticks, lots in side]
        for side in (changes.bids, changes.asks)
    )
    advanced, exchange = (market.streams[feed, "level2"] for feed in (ADVANCED, EXCHANGE))
    if advanced in wanted:
        yield advanced, _advanced_book(market.product, now_ns, "update", bids, asks)
    if exchange in wanted:
        yield exchange, _exchange_update(market.product, now_ns, bids, asks)


def _advanced_book(product: str, time_ns: int, kind: str, bids: Levels, asks: Levels) -> bytes:
    """``{"channel":"l2_data",…}``; ``kind`` is "snapshot" or "update"."""
    at = micro_text(time_ns)
    updates = [
        f'{{"side":"{side}","event_time":"{at}","price_level":"{short(price)}",'
        f'"new_quantity":"{short(size)}"}}'
        for side, levels in (("bid", bids), ("offer", asks))
        for price, size in levels
    ]
    event = f'{{"type":"{kind}","product_id":"{product}","updates":[{",".join(updates)}]}}'
    return advanced_frame("l2_data", time_ns, event, '"client_id":"",')


def _advanced_trades(
    product: str, time_ns: int, kind: str, prints: Sequence[HistoricalTrade]
) -> bytes:
    """``{"channel":"market_trades",…}``, newest first; the side is the maker's."""
    rows = [
        f'{{"product_id":"{product}","trade_id":"{one.trade_id}","price":"{short(one.price)}",'
        f'"size":"{short(one.size)}","time":"{micro_text(one.time_ns)}",'
        f'"side":"{"SELL" if one.taker_buys else "BUY"}"}}'
        for one in reversed(prints)
    ]
    event = f'{{"type":"{kind}","trades":[{",".join(rows)}]}}'
    return advanced_frame("market_trades", time_ns, event)


def _exchange_update(product: str, time_ns: int, bids: Levels, asks: Levels) -> bytes:
    """``{"type":"l2update",…}``; numbers have all their decimal places."""
    changes = ",".join(
        f'["{side}","{price}","{size}"]'
        for side, levels in (("buy", bids), ("sell", asks))
        for price, size in levels
    )
    return (
        f'{{"type":"l2update","product_id":"{product}","changes":[{changes}],'
        f'"time":"{micro_text(time_ns)}"}}'
    ).encode()


def _match(product: str, kind: str, one: HistoricalTrade, sequence: int) -> bytes:
    """``kind`` is "match", or "last_match" for the trade before a subscription; the side is the
    maker's."""
    maker, taker = trade_order_ids(one.trade_id)
    return (
        f'{{"type":"{kind}","trade_id":{one.trade_id},"maker_order_id":"{maker}",'
        f'"taker_order_id":"{taker}","side":"{"sell" if one.taker_buys else "buy"}",'
        f'"size":"{short(one.size)}","price":"{short(one.price)}","product_id":"{product}",'
        f'"sequence":{sequence},"time":"{micro_text(one.time_ns)}"}}'
    ).encode()
