"""Bybit's instruments-info to instruments, with tick and lot as the venue writes them."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import plain_text_or_empty

STATUSES = {
    "Trading": types_pb2.INSTRUMENT_STATUS_TRADING,
    "PreLaunch": types_pb2.INSTRUMENT_STATUS_HALTED,
    "Delivering": types_pb2.INSTRUMENT_STATUS_DELISTED,
    "Closed": types_pb2.INSTRUMENT_STATUS_HALTED,
}


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading",
    "lotSizeFilter":{"basePrecision":"0.000001","minOrderQty":"0.000048","minOrderAmt":"5",…},
    "priceFilter":{"tickSize":"0.1"},…}
    """
    info = market["info"]
    lot = info.get("lotSizeFilter", {})
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=info["symbol"],
        unified_symbol=market["symbol"],
        kind=types_pb2.INSTRUMENT_KIND_SPOT,
        base=market["base"],
        quote=market["quote"],
        price_tick=plain_text_or_empty(info.get("priceFilter", {}).get("tickSize")),
        size_step=plain_text_or_empty(lot.get("basePrecision")),
        size_min=plain_text_or_empty(lot.get("minOrderQty")),
        notional_min=plain_text_or_empty(lot.get("minOrderAmt")),
        contract_size="1",
        status=STATUSES.get(info.get("status", ""), types_pb2.INSTRUMENT_STATUS_UNSPECIFIED),
        size_unit=types_pb2.SIZE_UNIT_BASE,
    )
