"""Coinbase's candle intervals, candles, tickers and times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import msgspec

from kit.base.clock import NANOSECONDS_PER_MICROSECOND, NANOSECONDS_PER_SECOND
from kit.simulator.exchange.candles import CandleInterval
from kit.simulator.history import Candle, HistoricalTrade
from kit.simulator.text_conversion import plain, short

FEED_INTERVAL = CandleInterval(300)
"""The interval of the candles on the feed of Advanced Trade."""
ADVANCED_INTERVALS: Mapping[str, CandleInterval] = {
    "ONE_MINUTE": CandleInterval(60),
    "FIVE_MINUTE": CandleInterval(300),
    "FIFTEEN_MINUTE": CandleInterval(900),
    "THIRTY_MINUTE": CandleInterval(1800),
    "ONE_HOUR": CandleInterval(3600),
    "TWO_HOUR": CandleInterval(7200),
    "FOUR_HOUR": CandleInterval(14_400),
    "SIX_HOUR": CandleInterval(21_600),
    "ONE_DAY": CandleInterval(86_400),
}
EXCHANGE_INTERVALS: Mapping[str, CandleInterval] = {
    str(seconds): CandleInterval(seconds) for seconds in (60, 300, 900, 3600, 21_600, 86_400)
}


@dataclass(frozen=True, slots=True)
class CoinbaseTicker:
    """A product's last trade, best quote, and last 24 hours. Numbers are decimal text."""

    product: str
    sequence: int
    trade: HistoricalTrade
    day: Candle
    bid: str
    bid_size: str
    ask: str
    ask_size: str


def micro_text(time_ns: int) -> str:
    """``2021-04-17T16:43:29.571587Z``: when something happened."""
    seconds, rest = divmod(time_ns, NANOSECONDS_PER_SECOND)
    return f"{_second_text(seconds)}.{rest // NANOSECONDS_PER_MICROSECOND:06d}Z"


def nano_text(time_ns: int) -> str:
    """``2026-09-22T23:19:46.9835Z``: when Advanced Trade sent a frame."""
    seconds, rest = divmod(time_ns, NANOSECONDS_PER_SECOND)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{_second_text(seconds)}{fraction}Z"


def advanced_frame(channel: str, time_ns: int, event: str, client: str = "") -> bytes:
    """A frame of Advanced Trade with one event, which is JSON, and a mark for its number."""
    text = (
        f'{{"channel":"{channel}",{client}"timestamp":"{nano_text(time_ns)}",'
        f'"sequence_num":#,"events":[{event}]}}'
    )
    return text.encode()


def candle_object(candle: Candle) -> dict[str, str]:
    """``{"start":"1712192400","low","high","open","close","volume"}``, of Advanced Trade."""
    numbers = {name: plain(getattr(candle, name)) for name in ("low", "high", "open", "close")}
    start = str(candle.start_ns // NANOSECONDS_PER_SECOND)
    return {"start": start, **numbers, "volume": plain(candle.volume)}


def candle_row(candle: Candle) -> str:
    """``[1517443740,low,high,open,close,volume]``, of Exchange: numbers, not texts."""
    return f"[{','.join(candle_object(candle).values())}]"


def candle_frame(product: str, time_ns: int, kind: str, found: Iterable[Candle]) -> bytes:
    """A frame of candles; ``kind`` is "snapshot" or "update"."""
    rows = [candle_object(candle) | {"product_id": product} for candle in found]
    event = msgspec.json.encode({"type": kind, "candles": rows}).decode()
    return advanced_frame("candles", time_ns, event)


def advanced_ticker(time_ns: int, kind: str, one: CoinbaseTicker) -> bytes:
    """A frame of Advanced Trade."""
    low, high = plain(one.day.low), plain(one.day.high)
    change = (Decimal(one.trade.price) / one.day.open - 1) * 100
    row = (
        f'{{"type":"ticker","product_id":"{one.product}","price":"{short(one.trade.price)}",'
        f'"volume_24_h":"{plain(one.day.volume)}","low_24_h":"{low}","high_24_h":"{high}",'
        f'"low_52_w":"{low}","high_52_w":"{high}","price_percent_chg_24_h":"{change:.14f}",'
        f'"best_bid":"{short(one.bid)}","best_ask":"{short(one.ask)}",'
        f'"best_bid_quantity":"{short(one.bid_size)}","best_ask_quantity":"{short(one.ask_size)}"}}'
    )
    return advanced_frame("ticker", time_ns, f'{{"type":"{kind}","tickers":[{row}]}}')


def exchange_ticker(one: CoinbaseTicker) -> bytes:
    """A frame of Exchange. ``side`` is the taker's, unlike the one of a match."""
    trade, day = one.trade, one.day
    return (
        f'{{"type":"ticker","sequence":{one.sequence},"product_id":"{one.product}",'
        f'"price":"{short(trade.price)}","open_24h":"{plain(day.open)}",'
        f'"volume_24h":"{day.volume:f}","low_24h":"{plain(day.low)}",'
        f'"high_24h":"{plain(day.high)}","volume_30d":"{day.volume:f}",'
        f'"best_bid":"{one.bid}","best_bid_size":"{one.bid_size}",'
        f'"best_ask":"{one.ask}","best_ask_size":"{one.ask_size}",'
        f'"side":"{"buy" if trade.taker_buys else "sell"}","time":"{micro_text(trade.time_ns)}",'
        f'"trade_id":{trade.trade_id},"last_size":"{short(trade.size)}"}}'
    ).encode()


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
