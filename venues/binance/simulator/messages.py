"""How Binance writes what its markets do: spot one way, USD-M futures another.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.events import BestQuote, Instrument, Trade
from kit.simulator.history import TradePrint

SPOT_DECIMAL_PLACES = 8
TickText = Callable[[int], str]
"""Writes a whole number of ticks, or of lots."""
LevelTexts = Sequence[Sequence[str]]
"""Price and size of each level."""


@dataclass(slots=True)
class BookChange:
    """What happened to a book since its stream spoke last."""

    previous: int = 0
    """Last sequence of what the stream said before."""
    first: int = 0
    last: int = 0
    bids: dict[int, int] = field(default_factory=dict)
    """Ticks to lots."""
    asks: dict[int, int] = field(default_factory=dict)


class PaddedNumber:
    """Writes whole numbers of ticks or lots as spot writes all numbers: with eight places."""

    def __init__(self, units: int, scale: int) -> None:
        self._units = units
        self._power = 10**scale
        places = max(scale, 1)
        self._pattern = f"%d.%0{places}d{'0' * (SPOT_DECIMAL_PLACES - places)}"

    def text(self, count: int) -> str:
        """For ticks of 0.01: 6183763 is "61837.63000000"."""
        text: str = self._pattern % divmod(count * self._units, self._power)
        return text


class SpotMessages:
    """Spot."""

    speeds_ns: Mapping[str, int] = {
        "@100ms": 100 * NANOSECONDS_PER_MILLISECOND,
        "": NANOSECONDS_PER_SECOND,
    }
    """How often a book stream speaks, by the end of its name."""

    def price(self, instrument: Instrument) -> TickText:
        """Writes this instrument's ticks."""
        return PaddedNumber(instrument.tick_units, instrument.price_scale).text

    def size(self, instrument: Instrument) -> TickText:
        """Writes this instrument's lots."""
        return PaddedNumber(1, instrument.size_scale).text

    def number(self, number: Decimal) -> str:
        """With eight places."""
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

    def book(self, symbol: str, change: BookChange, bids: str, asks: str, time_ns: int) -> str:
        """``{"e":"depthUpdate","E","s","U":first,"u":last,"b":[["price","size"]],"a":[]}``"""
        return (
            f'{{"e":"depthUpdate","E":{time_ns // NANOSECONDS_PER_MILLISECOND},"s":"{symbol}",'
            f'"U":{change.first},"u":{change.last},"b":[{bids}],"a":[{asks}]}}'
        )

    def partial(
        self, symbol: str, change: BookChange, bids: LevelTexts, asks: LevelTexts, time_ns: int
    ) -> bytes:
        """As the REST answer."""
        return self.depth_answer(change.last, bids, asks, time_ns)

    def depth_answer(
        self, sequence: int, bids: LevelTexts, asks: LevelTexts, time_ns: int
    ) -> bytes:
        """``{"lastUpdateId","bids":[["price","size"]],"asks":[]}``"""
        return msgspec.json.encode({"lastUpdateId": sequence, "bids": bids, "asks": asks})

    def trade_row(self, trade: TradePrint) -> dict[str, object]:
        """``{"id","price","qty","quoteQty","time","isBuyerMaker","isBestMatch"}``"""
        return _trade_row(trade, self.number) | {"isBestMatch": True}

    def aggregate_row(self, trade: TradePrint) -> dict[str, object]:
        """``{"a","p","q","f","l","T","m","M"}``"""
        return _aggregate_row(trade, self.number) | {"M": True}


class FuturesMessages:
    """USD-M futures: numbers with their own digits, events with two times, books with ``pu``."""

    speeds_ns: Mapping[str, int] = {
        "@100ms": 100 * NANOSECONDS_PER_MILLISECOND,
        "": 250 * NANOSECONDS_PER_MILLISECOND,
        "@500ms": 500 * NANOSECONDS_PER_MILLISECOND,
    }

    def price(self, instrument: Instrument) -> TickText:
        """Writes this instrument's ticks."""
        return instrument.price_text

    def size(self, instrument: Instrument) -> TickText:
        """Writes this instrument's lots."""
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

    def book(self, symbol: str, change: BookChange, bids: str, asks: str, time_ns: int) -> str:
        """``{"e":"depthUpdate","E","T","s","U":first,"u":last,"pu":the last u,"b","a"}``"""
        time_ms = time_ns // NANOSECONDS_PER_MILLISECOND
        return (
            f'{{"e":"depthUpdate","E":{time_ms},"T":{time_ms},"s":"{symbol}","U":{change.first},'
            f'"u":{change.last},"pu":{change.previous},"b":[{bids}],"a":[{asks}]}}'
        )

    def partial(
        self, symbol: str, change: BookChange, bids: LevelTexts, asks: LevelTexts, time_ns: int
    ) -> bytes:
        """As an update, but with the best levels instead of the changed ones."""
        bids_json, asks_json = (msgspec.json.encode(side).decode()[1:-1] for side in (bids, asks))
        return self.book(symbol, change, bids_json, asks_json, time_ns).encode()

    def depth_answer(
        self, sequence: int, bids: LevelTexts, asks: LevelTexts, time_ns: int
    ) -> bytes:
        """``{"lastUpdateId","E":now,"T":time of the book,"bids":[["price","size"]],"asks":[]}``"""
        time_ms = time_ns // NANOSECONDS_PER_MILLISECOND
        body = {"lastUpdateId": sequence, "E": time_ms, "T": time_ms}
        return msgspec.json.encode(body | {"bids": bids, "asks": asks})

    def trade_row(self, trade: TradePrint) -> dict[str, object]:
        """``{"id","price","qty","quoteQty","time","isBuyerMaker"}``"""
        return _trade_row(trade, self.number)

    def aggregate_row(self, trade: TradePrint) -> dict[str, object]:
        """``{"a","p","q","f","l","T","m"}``"""
        return _aggregate_row(trade, self.number)


Messages = SpotMessages | FuturesMessages


def _maker_bought(trade: Trade) -> str:
    return "false" if trade.taker_buys else "true"


def _trade_row(trade: TradePrint, number: Callable[[Decimal], str]) -> dict[str, object]:
    price, size = Decimal(trade.price), Decimal(trade.size)
    return {
        "id": trade.trade_id,
        "price": number(price),
        "qty": number(size),
        "quoteQty": number(price * size),
        "time": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
        "isBuyerMaker": not trade.taker_buys,
    }


def _aggregate_row(trade: TradePrint, number: Callable[[Decimal], str]) -> dict[str, object]:
    """Each trade stands alone, under its own id."""
    return {
        "a": trade.trade_id,
        "p": number(Decimal(trade.price)),
        "q": number(Decimal(trade.size)),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
        "m": not trade.taker_buys,
    }
