"""Binance's exchangeInfo to instruments, with tick and lot as the venue writes them."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import plain_text_or_empty

STATUSES = {
    "TRADING": types_pb2.INSTRUMENT_STATUS_TRADING,
    "HALT": types_pb2.INSTRUMENT_STATUS_HALTED,
    "BREAK": types_pb2.INSTRUMENT_STATUS_HALTED,
    "END_OF_DAY": types_pb2.INSTRUMENT_STATUS_HALTED,
    "CANCEL_ONLY": types_pb2.INSTRUMENT_STATUS_HALTED,
    # Futures:
    "PENDING_TRADING": types_pb2.INSTRUMENT_STATUS_HALTED,
    "PRE_DELIVERING": types_pb2.INSTRUMENT_STATUS_HALTED,
    "PRE_SETTLE": types_pb2.INSTRUMENT_STATUS_HALTED,
    "DELIVERING": types_pb2.INSTRUMENT_STATUS_HALTED,
    "SETTLING": types_pb2.INSTRUMENT_STATUS_HALTED,
    "DELIVERED": types_pb2.INSTRUMENT_STATUS_DELISTED,
    "CLOSE": types_pb2.INSTRUMENT_STATUS_DELISTED,
}
KINDS = {
    "spot": types_pb2.INSTRUMENT_KIND_SPOT,
    "swap": types_pb2.INSTRUMENT_KIND_PERPETUAL,
}
"""Kinds by ccxt's market type. Markets of other types are not listed."""


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"symbol":"BTCUSDT","status":"TRADING","filters":[{"filterType":"PRICE_FILTER",
    "tickSize":"0.01000000",…},{"filterType":"LOT_SIZE","stepSize":"0.00001000",…},
    {"filterType":"NOTIONAL","minNotional":"5.00000000",…}],…}

    Futures have {"filterType":"MIN_NOTIONAL","notional":"100"}; pricePrecision is not their tick.
    Their sizes are in base units, so a contract is one unit; {"marginAsset":"USDT"} settles them.
    """
    info = market["info"]
    is_spot = market["type"] == "spot"
    filters = {entry["filterType"]: entry for entry in info.get("filters", ())}
    lot = filters.get("LOT_SIZE", {})
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=info["symbol"],
        unified_symbol=market["symbol"],
        kind=KINDS[market["type"]],
        base=market["base"],
        quote=market["quote"],
        price_tick=plain_text_or_empty(filters.get("PRICE_FILTER", {}).get("tickSize")),
        size_step=plain_text_or_empty(lot.get("stepSize")),
        size_min=plain_text_or_empty(lot.get("minQty")),
        notional_min=plain_text_or_empty(notional.get("minNotional") or notional.get("notional")),
        contract_size="1",
        status=STATUSES.get(info.get("status", ""), types_pb2.INSTRUMENT_STATUS_UNSPECIFIED),
        size_unit=types_pb2.SIZE_UNIT_BASE,
        settlement_asset="" if is_spot else info["marginAsset"],
        contract_kind=(
            types_pb2.CONTRACT_KIND_UNSPECIFIED if is_spot else types_pb2.CONTRACT_KIND_LINEAR
        ),
    )
