"""A simulated market's events as Binance's frames: spot one way, USD-M futures another.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, ExchangeStream, Frame, MarketView
from kit.simulator.exchange.candles import day_before, open_candles
from kit.simulator.market import MarketStep
from kit.simulator.market_events import BestQuote, Instrument, Trade
from kit.simulator.published_books import PublishedBookChanges, PublishedBooks
from venues.binance.simulator.candles import INTERVALS, candle_event, ticker_event
from venues.binance.simulator.capture import combined
from venues.binance.simulator.streams import BinanceStreamRegistry

SUMMARY_INTERVAL_NS = NANOSECONDS_PER_SECOND
BOOK_INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
"""Of ``@depth@100ms``, the only speed of books here."""
SPOT_DECIMAL_PLACES = 8
TickText = Callable[[int], str]
"""Writes a whole number of ticks, or of lots."""
LevelTexts = Sequence[Sequence[str]]
"""Price and size of each level."""


class FixedPlacesNumber:
    """Writes whole numbers of ticks or lots with the eight places of all numbers of spot."""

    def __init__(self, units: int, scale: int) -> None:
        self._units = units
        self._power = 10**scale
        places = max(scale, 1)
        self._pattern = f"%d.%0{places}d{'0' * (SPOT_DECIMAL_PLACES - places)}"

    def text(self, count: int) -> str:
        """For ticks of 0.01: 6183763 is "61837.63000000"."""
        text: str = self._pattern % divmod(count * self._units, self._power)
        return text


class BinanceSpotMessages:
    """Spot: numbers have eight places."""

    best_match_row: Mapping[str, object] = {"isBestMatch": True}
    """What a trade has besides over REST."""
    best_match_flag: Mapping[str, object] = {"M": True}
    """What an aggregated trade has besides over REST."""

    def price(self, instrument: Instrument) -> TickText:
        return FixedPlacesNumber(instrument.tick_units, instrument.price_scale).text

    def size(self, instrument: Instrument) -> TickText:
        return FixedPlacesNumber(1, instrument.size_scale).text

    def number(self, number: Decimal) -> str:
        return f"{number:.8f}"

    def trade(self, symbol: str, trade: Trade, price: str, size: str) -> str:
        """``{"e":"trade","E","s","t":id,"p","q","T","m":buyer is maker,"M"}``"""
        time_ms = trade.time_ns // NANOSECONDS_PER_MILLISECOND
        return (
            f'{{"e":"trade","E":{time_ms},"s":"{symbol}","t":{trade.trade_id},"p":"{price}",'
            f'"q":"{size}","T":{time_ms},"m":{_maker_bought(trade)},"M":true}}'
        )

    def aggregate(self, symbol: str, trade: Trade, price: str, size: str) -> str:
        """``{"e":"aggTrade","E","s","a":id,"p","q","f":first,"l":last,"T","m","M"}``"""
        time_ms, number = trade.time_ns // NANOSECONDS_PER_MILLISECOND, trade.trade_id
        return (
            f'{{"e":"aggTrade","E":{time_ms},"s":"{symbol}","a":{number},"p":"{price}",'
            f'"q":"{size}","f":{number},"l":{number},"T":{time_ms},'
            f'"m":{_maker_bought(trade)},"M":true}}'
        )

    def quote(self, symbol: str, quote: BestQuote, price: TickText, size: TickText) -> str:
        """``{"u":update id,"s","b":bid,"B":its size,"a":ask,"A":its size}``"""
        return (
            f'{{"u":{quote.sequence},"s":"{symbol}",'
            f'"b":"{price(quote.bid_ticks)}","B":"{size(quote.bid_lots)}",'
            f'"a":"{price(quote.ask_ticks)}","A":"{size(quote.ask_lots)}"}}'
        )

    def book(
        self, symbol: str, changes: PublishedBookChanges, bids: str, asks: str, time_ns: int
    ) -> str:
        """``{"e":"depthUpdate","E","s","U":first,"u":last,"b":[["price","size"]],"a":[]}``"""
        return (
            f'{{"e":"depthUpdate","E":{time_ns // NANOSECONDS_PER_MILLISECOND},"s":"{symbol}",'
            f'"U":{changes.first},"u":{changes.last},"b":[{bids}],"a":[{asks}]}}'
        )

    def depth_answer(
        self, sequence: int, bids: LevelTexts, asks: LevelTexts, time_ns: int
    ) -> bytes:
        """``{"lastUpdateId","bids":[["price","size"]],"asks":[]}``"""
        return msgspec.json.encode({"lastUpdateId": sequence, "bids": bids, "asks": asks})


class BinanceFuturesMessages:
    """USD-M futures: numbers with their own digits, events with two times, books with ``pu``."""

    best_match_row: Mapping[str, object] = {}
    best_match_flag: Mapping[str, object] = {}

    def price(self, instrument: Instrument) -> TickText:
        return instrument.price_text

    def size(self, instrument: Instrument) -> TickText:
        return instrument.size_text

    def number(self, number: Decimal) -> str:
        """With the digits that it has."""
        return f"{number:f}"

    def trade(self, symbol: str, trade: Trade, price: str, size: str) -> str:
        """``{"e":"trade","E","T","s","t":id,"p","q","X":"MARKET","m":buyer is maker}``"""
        time_ms = trade.time_ns // NANOSECONDS_PER_MILLISECOND
        return (
            f'{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"{symbol}","t":{trade.trade_id},'
            f'"p":"{price}","q":"{size}","X":"MARKET","m":{_maker_bought(trade)}}}'
        )

    def aggregate(self, symbol: str, trade: Trade, price: str, size: str) -> str:
        """``{"e":"aggTrade","E","a":id,"s","p","q","f":first,"l":last,"T","m"}``"""
        time_ms, number = trade.time_ns // NANOSECONDS_PER_MILLISECOND, trade.trade_id
        return (
            f'{{"e":"aggTrade","E":{time_ms},"a":{number},"s":"{symbol}","p":"{price}",'
            f'"q":"{size}","f":{number},"l":{number},"T":{time_ms},"m":{_maker_bought(trade)}}}'
        )

    def quote(self, symbol: str, quote: BestQuote, price: TickText, size: TickText) -> str:
        """``{"e":"bookTicker","u":update id,"s","b":bid,"B":its size,"a":ask,"A","T","E"}``"""
        time_ms = quote.time_ns // NANOSECONDS_PER_MILLISECOND
        return (
            f'{{"e":"bookTicker","u":{quote.sequence},"s":"{symbol}",'
            f'"b":"{price(quote.bid_ticks)}","B":"{size(quote.bid_lots)}",'
            f'"a":"{price(quote.ask_ticks)}","A":"{size(quote.ask_lots)}",'
            f'"T":{time_ms},"E":{time_ms}}}'
        )

    def book(
        self, symbol: str, changes: PublishedBookChanges, bids: str, asks: str, time_ns: int
    ) -> str:
        """``{"e":"depthUpdate","E","T","s","U":first,"u":last,"pu":the last u,"b","a"}``"""
        time_ms = time_ns // NANOSECONDS_PER_MILLISECOND
        return (
            f'{{"e":"depthUpdate","E":{time_ms},"T":{time_ms},"s":"{symbol}","U":{changes.first},'
            f'"u":{changes.last},"pu":{changes.previous or changes.first - 1},'
            f'"b":[{bids}],"a":[{asks}]}}'
        )

    def depth_answer(
        self, sequence: int, bids: LevelTexts, asks: LevelTexts, time_ns: int
    ) -> bytes:
        """``{"lastUpdateId","E":now,"T":time of the book,"bids":[["price","size"]],"asks":[]}``"""
        time_ms = time_ns // NANOSECONDS_PER_MILLISECOND
        body = {"lastUpdateId": sequence, "E": time_ms, "T": time_ms}
        return msgspec.json.encode(body | {"bids": bids, "asks": asks})


Messages = BinanceSpotMessages | BinanceFuturesMessages


def _maker_bought(trade: Trade) -> str:
    return "false" if trade.taker_buys else "true"


def native_symbol(instrument: Instrument) -> str:
    """``BTCUSDT``"""
    return instrument.base + instrument.quote


@dataclass(slots=True)
class _Market:
    """One instrument's streams."""

    symbol: str
    price: TickText
    size: TickText
    trade: ExchangeStream
    aggregate: ExchangeStream
    quote: ExchangeStream
    book: ExchangeStream


class BinanceEncoder:
    """Remembers only the changes that a book stream has not sent yet."""

    def __init__(self, streams: BinanceStreamRegistry, messages: Messages) -> None:
        self._streams = streams
        self._messages = messages
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
                    text = self._messages.quote(market.symbol, event, market.price, market.size)
                    frames.append(_frame(market.quote, text))
            elif type(event) is Trade:
                frames.extend(self._trade_frames(market, event, wanted))
        if step.time_ns % BOOK_INTERVAL_NS == 0:
            for instrument, market in self._markets.items():
                changes = self._books.changes(instrument)
                if changes is not None and market.book in wanted:
                    frames.append(self._book_frame(market, changes, step.time_ns))
        if step.time_ns % SUMMARY_INTERVAL_NS == 0:
            frames.extend(self._summaries(step.time_ns, wanted, market_view))
        return frames

    def _open_market(self, instrument: Instrument) -> _Market:
        symbol = native_symbol(instrument)
        name, stream = symbol.lower(), self._streams.get
        market = self._markets[instrument] = _Market(
            symbol,
            price=self._messages.price(instrument),
            size=self._messages.size(instrument),
            trade=stream(f"{name}@trade"),
            aggregate=stream(f"{name}@aggTrade"),
            quote=stream(f"{name}@bookTicker"),
            book=stream(f"{name}@depth@100ms"),
        )
        return market

    def _trade_frames(
        self, market: _Market, trade: Trade, wanted: Collection[ExchangeStream]
    ) -> Iterator[Frame]:
        price, size = market.price(trade.price_ticks), market.size(trade.size_lots)
        if market.trade in wanted:
            yield _frame(market.trade, self._messages.trade(market.symbol, trade, price, size))
        if market.aggregate in wanted:
            yield _frame(
                market.aggregate, self._messages.aggregate(market.symbol, trade, price, size)
            )

    def _book_frame(self, market: _Market, changes: PublishedBookChanges, time_ns: int) -> Frame:
        bids, asks = (
            ",".join(f'["{market.price(ticks)}","{market.size(lots)}"]' for ticks, lots in side)
            for side in (changes.bids, changes.asks)
        )
        text = self._messages.book(market.symbol, changes, bids, asks, time_ns)
        return _frame(market.book, text)

    def _summaries(
        self, time_ns: int, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> Iterator[Frame]:
        """Candles, tickers and marks, which are sent by the clock."""
        symbols = {one.symbol for one in market_view.listings()}
        for stream in wanted:
            if stream.symbol in symbols:
                for event in self._events(stream, time_ns, market_view):
                    yield stream, combined(stream.name, msgspec.json.encode(event))

    def _events(
        self, stream: ExchangeStream, time_ns: int, market_view: MarketView
    ) -> Iterator[dict[str, object]]:
        number, symbol = self._messages.number, stream.symbol
        if stream.channel is Channel.CANDLES:
            interval = stream.name.partition("_")[2]
            for candle in open_candles(market_view, symbol, INTERVALS[interval], time_ns):
                yield candle_event(candle, interval, symbol, time_ns, number)
        elif stream.channel is Channel.TICKERS:
            day = day_before(market_view, symbol, time_ns)
            if day is not None:
                yield ticker_event(
                    day, symbol, time_ns, stream.name.endswith("@miniTicker"), number
                )
        elif stream.channel is Channel.MARKS:
            yield from _marks(symbol, time_ns, market_view)


def _frame(stream: ExchangeStream, event: str) -> Frame:
    return stream, combined(stream.name, event.encode())


def _marks(symbol: str, time_ns: int, market_view: MarketView) -> Iterator[dict[str, object]]:
    """``{"e":"markPriceUpdate","E","s","p":mark,"P":settle,"i":index,"r":funding rate,"T"}``"""
    mark = market_view.mark(symbol)
    if mark is not None:
        yield {
            "e": "markPriceUpdate",
            "E": time_ns // NANOSECONDS_PER_MILLISECOND,
            "s": symbol,
            "p": mark.mark_price,
            "P": mark.index_price,
            "i": mark.index_price,
            "r": mark.funding_rate,
            "T": mark.next_funding_time_ns // NANOSECONDS_PER_MILLISECOND,
        }
