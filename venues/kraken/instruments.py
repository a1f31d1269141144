"""Kraken's AssetPairs to instruments, with tick and lot as the venue writes them."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import format_scaled, plain_text_or_empty

ASSETS = {"XBT": "BTC", "XDG": "DOGE"}
"""Asset names of REST that the feed (v2) no longer uses."""
STATUSES = {
    "online": types_pb2.INSTRUMENT_STATUS_TRADING,
    "limit_only": types_pb2.INSTRUMENT_STATUS_TRADING,
    "reduce_only": types_pb2.INSTRUMENT_STATUS_TRADING,
    "post_only": types_pb2.INSTRUMENT_STATUS_HALTED,
    "cancel_only": types_pb2.INSTRUMENT_STATUS_HALTED,
    "maintenance": types_pb2.INSTRUMENT_STATUS_HALTED,
    "work_in_progress": types_pb2.INSTRUMENT_STATUS_HALTED,
    "delisted": types_pb2.INSTRUMENT_STATUS_DELISTED,
}


def native_symbol(market: Mapping[str, Any]) -> str:
    """The symbol in the feed: wsname "XBT/USDT" is "BTC/USDT". "" if the feed does not have it."""
    base, slash, quote = (market["info"].get("wsname") or "").partition("/")
    return f"{ASSETS.get(base, base)}/{ASSETS.get(quote, quote)}" if slash else ""


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"altname":"XBTUSDT","wsname":"XBT/USDT","base":"XXBT","quote":"USDT","pair_decimals":1,
    "lot_decimals":8,"ordermin":"0.00005","costmin":"0.5","tick_size":"0.1","status":"online",…}
    """
    info = market["info"]
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=native_symbol(market),
        unified_symbol=market["symbol"],
        kind=types_pb2.INSTRUMENT_KIND_SPOT,
        base=market["base"],
        quote=market["quote"],
        price_tick=plain_text_or_empty(info.get("tick_size")) or _step(info["pair_decimals"]),
        size_step=_step(info["lot_decimals"]),
        size_min=plain_text_or_empty(info.get("ordermin")),
        notional_min=plain_text_or_empty(info.get("costmin")),
        contract_size="1",
        status=STATUSES.get(info.get("status", ""), types_pb2.INSTRUMENT_STATUS_UNSPECIFIED),
        size_unit=types_pb2.SIZE_UNIT_BASE,
    )


def _step(decimals: int | str) -> str:
    return format_scaled(1, int(decimals))
