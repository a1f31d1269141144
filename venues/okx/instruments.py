"""OKX's instruments to ours, with tick, lot and contract as the venue writes them."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import format_scaled, parse_number, plain_text_or_empty

KINDS = {
    "SPOT": types_pb2.INSTRUMENT_KIND_SPOT,
    "SWAP": types_pb2.INSTRUMENT_KIND_PERPETUAL,
}
STATUSES = {
    "live": types_pb2.INSTRUMENT_STATUS_TRADING,
    "suspend": types_pb2.INSTRUMENT_STATUS_HALTED,
    "preopen": types_pb2.INSTRUMENT_STATUS_HALTED,
    "rebase": types_pb2.INSTRUMENT_STATUS_HALTED,
    "post_only": types_pb2.INSTRUMENT_STATUS_HALTED,
}


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"instType":"SWAP","instId":"BTC-USDT-SWAP","tickSz":"0.1","lotSz":"0.01","minSz":"0.01",
    "ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","state":"live",…}

    Sizes of swaps count contracts of ctVal times ctMult units of ctValCcy, which is the base of a
    linear swap and the quote of an inverse one. OKX has no minimum notional.
    """
    info = market["info"]
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=info["instId"],
        unified_symbol=market["symbol"],
        kind=KINDS[info["instType"]],
        base=market["base"],
        quote=market["quote"],
        price_tick=plain_text_or_empty(info.get("tickSz")),
        size_step=plain_text_or_empty(info.get("lotSz")),
        size_min=plain_text_or_empty(info.get("minSz")),
        contract_size=_contract_size(info),
        status=STATUSES.get(info.get("state", ""), types_pb2.INSTRUMENT_STATUS_UNSPECIFIED),
    )


def _contract_size(info: Mapping[str, Any]) -> str:
    if info["instType"] == "SPOT":
        return "1"
    if not info.get("ctVal"):
        return ""  # listed, and not open yet
    value, value_places = parse_number(info["ctVal"])
    times, times_places = parse_number(info.get("ctMult") or "1")
    return format_scaled(value * times, value_places + times_places)
