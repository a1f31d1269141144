"""What the Exchange feed says, as frames.

https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kit.simulator.history import TradePrint
from kit.simulator.texts import short
from venues.coinbase.simulator.candles import Ticker
from venues.coinbase.simulator.times import micro_text

SLOW = b'{"type":"error","message":"ErrSlowConsume"}'
"""The last words to a client that reads too slowly."""
MALFORMED = b'{"type":"error","message":"Malformed JSON"}'


def snapshot(product: str, bids: Iterable[Sequence[str]], asks: Iterable[Sequence[str]]) -> bytes:
    """A whole book. Numbers of books have all their decimal places."""
    sides = {"asks": list(asks), "bids": list(bids)}
    return msgspec.json.encode({"type": "snapshot", "product_id": product, **sides})


def update(
    product: str, time_ns: int, bids: Iterable[Sequence[str]], asks: Iterable[Sequence[str]]
) -> bytes:
    """Changes of a book."""
    changes = ",".join(
        f'["{side}","{price}","{size}"]'
        for side, levels in (("buy", bids), ("sell", asks))
        for price, size in levels
    )
    return (
        f'{{"type":"l2update","product_id":"{product}","changes":[{changes}],'
        f'"time":"{micro_text(time_ns)}"}}'
    ).encode()


def match(product: str, kind: str, one: TradePrint, sequence: int) -> bytes:
    """``kind`` is "match", or "last_match" for the one before a subscription; the side is the
    maker's."""
    return (
        f'{{"type":"{kind}","trade_id":{one.trade_id},"maker_order_id":"{_order(one, 0)}",'
        f'"taker_order_id":"{_order(one, 1)}","side":"{"sell" if one.taker_buys else "buy"}",'
        f'"size":"{short(one.size)}","price":"{short(one.price)}","product_id":"{product}",'
        f'"sequence":{sequence},"time":"{micro_text(one.time_ns)}"}}'
    ).encode()


def ticker(one: Ticker) -> bytes:
    """The side is the taker's, other than that of a match."""
    return (
        f'{{"type":"ticker","sequence":{one.sequence},"product_id":"{one.product}",'
        f'"price":"{short(one.price)}","open_24h":"{short(one.open)}",'
        f'"volume_24h":"{one.volume}","low_24h":"{short(one.low)}","high_24h":"{short(one.high)}",'
        f'"volume_30d":"{one.volume}","best_bid":"{one.bid}","best_bid_size":"{one.bid_size}",'
        f'"best_ask":"{one.ask}","best_ask_size":"{one.ask_size}",'
        f'"side":"{"buy" if one.taker_buys else "sell"}","time":"{micro_text(one.time_ns)}",'
        f'"trade_id":{one.trade_id},"last_size":"{short(one.size)}"}}'
    ).encode()


def heartbeat(product: str, sequence: int, last_trade_id: int, time_ns: int) -> bytes:
    """One for each product, every second."""
    return (
        f'{{"type":"heartbeat","last_trade_id":{last_trade_id},"product_id":"{product}",'
        f'"sequence":{sequence},"time":"{micro_text(time_ns)}"}}'
    ).encode()


def subscriptions(wanted: Mapping[str, Sequence[str]]) -> bytes:
    """All that the connection is subscribed to: products by channel."""
    channels = [{"name": name, "product_ids": products} for name, products in wanted.items()]
    return msgspec.json.encode({"type": "subscriptions", "channels": channels})


def refusal(reason: str) -> bytes:
    """A subscription that cannot be."""
    return msgspec.json.encode(
        {"type": "error", "message": "Failed to subscribe", "reason": reason}
    )


def not_signed(reason: str) -> bytes:
    """A subscription of an account by nobody who is known."""
    return msgspec.json.encode(
        {"type": "error", "message": "Authentication Failed", "reason": reason}
    )


def parties(one: TradePrint) -> tuple[str, str]:
    """What the orders of a trade's maker and taker are called when they are nobody's."""
    return _order(one, 0), _order(one, 1)


def _order(one: TradePrint, party: int) -> str:
    digits = f"{one.trade_id * 2 + party:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
