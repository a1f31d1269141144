"""What the Advanced Trade feed says, as frames.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/advanced-trade-asyncapi.json

Each connection counts its own frames, so a frame is made with a mark where its number will stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from kit.simulator.history import Candle, TradePrint
from kit.simulator.texts import short
from venues.coinbase.simulator.candles import Ticker, candle_object
from venues.coinbase.simulator.times import micro_text, nano_text

MARK = b'"sequence_num":#'
"""Where a connection's number goes; no JSON, so nothing else looks like it."""
UNKNOWN_CHANNEL = b'{"type":"error","message":"authentication failure"}'
"""The real feed calls an unknown channel this too."""
NOT_UNDERSTOOD = b'{"type":"error","message":"failure to subscribe"}'


def numbered(payload: bytes, number: int) -> bytes | None:
    """A frame with its number; None: the frame is none that is counted."""
    head, mark, tail = payload.partition(MARK)
    return b'%b"sequence_num":%d%b' % (head, number, tail) if mark else None


def book(
    product: str,
    time_ns: int,
    kind: str,
    bids: Iterable[Sequence[str]],
    asks: Iterable[Sequence[str]],
) -> bytes:
    """``kind`` is "snapshot" or "update"."""
    at = micro_text(time_ns)
    updates = [
        f'{{"side":"{side}","event_time":"{at}","price_level":"{short(price)}",'
        f'"new_quantity":"{short(size)}"}}'
        for side, levels in (("bid", bids), ("offer", asks))
        for price, size in levels
    ]
    event = f'{{"type":"{kind}","product_id":"{product}","updates":[{",".join(updates)}]}}'
    return frame("l2_data", time_ns, event, '"client_id":"",')


def trades(product: str, time_ns: int, kind: str, prints: Sequence[TradePrint]) -> bytes:
    """Oldest first in, newest first out; the side is the maker's."""
    rows = [
        f'{{"product_id":"{product}","trade_id":"{one.trade_id}","price":"{short(one.price)}",'
        f'"size":"{short(one.size)}","time":"{micro_text(one.time_ns)}",'
        f'"side":"{"SELL" if one.taker_buys else "BUY"}"}}'
        for one in reversed(prints)
    ]
    return frame("market_trades", time_ns, f'{{"type":"{kind}","trades":[{",".join(rows)}]}}')


def ticker(channel: str, time_ns: int, kind: str, one: Ticker) -> bytes:
    """Of the channel ticker, or of ticker_batch, which tells no best bid and ask."""
    quote = (
        f',"best_bid":"{short(one.bid)}","best_ask":"{short(one.ask)}",'
        f'"best_bid_quantity":"{short(one.bid_size)}","best_ask_quantity":"{short(one.ask_size)}"'
    )
    change = (Decimal(one.price) / Decimal(one.open) - 1) * 100
    row = (
        f'{{"type":"ticker","product_id":"{one.product}","price":"{short(one.price)}",'
        f'"volume_24_h":"{short(one.volume)}","low_24_h":"{short(one.low)}",'
        f'"high_24_h":"{short(one.high)}","low_52_w":"{short(one.low)}",'
        f'"high_52_w":"{short(one.high)}","price_percent_chg_24_h":"{change:.14f}"'
        f"{quote if channel == 'ticker' else ''}}}"
    )
    return frame(channel, time_ns, f'{{"type":"{kind}","tickers":[{row}]}}')


def candles(product: str, time_ns: int, kind: str, found: Iterable[Candle]) -> bytes:
    """Of five minutes each."""
    rows = [candle_object(candle) | {"product_id": product} for candle in found]
    return frame("candles", time_ns, msgspec.json.encode({"type": kind, "candles": rows}).decode())


def heartbeat(time_ns: int, counter: int) -> bytes:
    """One for the connection."""
    at = nano_text(time_ns).replace("T", " ").replace("Z", " +0000 UTC")
    event = f'{{"current_time":"{at} m=+{counter}.0","heartbeat_counter":{counter}}}'
    return frame("heartbeats", time_ns, event)


def subscriptions(time_ns: int, wanted: Mapping[str, Sequence[str]]) -> bytes:
    """All that the connection is subscribed to: products by channel."""
    event = msgspec.json.encode({"subscriptions": wanted}).decode()
    return frame("subscriptions", time_ns, event)


def frame(channel: str, time_ns: int, event: str, client: str = "") -> bytes:
    """Of any channel, with one event, which is JSON."""
    text = (
        f'{{"channel":"{channel}",{client}"timestamp":"{nano_text(time_ns)}",'
        f'"sequence_num":#,"events":[{event}]}}'
    )
    return text.encode()
