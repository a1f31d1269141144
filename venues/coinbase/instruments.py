"""Coinbase's products to instruments, with tick and lot as the venue writes them."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import NumberError

NOT_MATCHING = (
    "trading_disabled",
    "is_disabled",
    "cancel_only",
    "post_only",
    "auction_mode",
    "view_only",
)
"""Flags of a product whose orders are not matched now; limit_only is not one of them."""


def is_alias(market: Mapping[str, Any]) -> bool:
    """Whether a market is an alias of another listed market: BTC-USDC is traded in the book of
    BTC-USD, and the feed calls it BTC-USD."""
    return bool(market["info"].get("alias"))


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    Advanced Trade: {"product_id":"BTC-USD","base_increment":"0.00000001","price_increment":"0.01",
    "quote_increment":"0.01","base_min_size":"0.00000001","quote_min_size":"1","status":"online",…}
    Exchange: {"id":"BTC-USD","base_increment":"0.00000001","quote_increment":"0.01",
    "base_min_size":"0.000016","min_market_funds":"1","status":"online",…}; ids as BTCAUCTION-USD
    have a base_currency of BTC.
    """
    info = market["info"]
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=market["id"],
        unified_symbol=market["symbol"],
        kind=types_pb2.INSTRUMENT_KIND_SPOT,
        base=market["base"],
        quote=market["quote"],
        price_tick=_plain(info.get("price_increment") or info.get("quote_increment")),
        size_step=_plain(info.get("base_increment")),
        size_min=_plain(info.get("base_min_size")),
        notional_min=_plain(info.get("quote_min_size") or info.get("min_market_funds")),
        contract_size="1",
        status=_status(info),
        size_unit=types_pb2.SIZE_UNIT_BASE,
    )


def _status(info: Mapping[str, Any]) -> "types_pb2.InstrumentStatus.ValueType":
    status = info.get("status")
    if status == "delisted":
        return types_pb2.INSTRUMENT_STATUS_DELISTED
    if status != "online" or any(info.get(flag) is True for flag in NOT_MATCHING):
        return types_pb2.INSTRUMENT_STATUS_HALTED
    return types_pb2.INSTRUMENT_STATUS_TRADING


def _plain(text: str | None) -> str:
    """Without trailing zeros; smallest sizes may have more digits than fit a scaled integer."""
    if not text:
        return ""
    try:
        plain = f"{Decimal(text):f}"
    except InvalidOperation as error:
        raise NumberError(f"not a number: {text[:60]!r}") from error
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
