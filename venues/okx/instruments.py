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
CONTRACT_KINDS = {
    "linear": types_pb2.CONTRACT_KIND_LINEAR,
    "inverse": types_pb2.CONTRACT_KIND_INVERSE,
}


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"instType":"SWAP","instId":"BTC-USDT-SWAP","tickSz":"0.1","lotSz":"0.01","minSz":"0.01",
    "ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","settleCcy":"USDT",
    "state":"live",…}

    Sizes of swaps count contracts of ctVal times ctMult units of ctValCcy, which is the base of a
    linear swap and the quote of an inverse one. OKX has no minimum notional.
    """
    info = market["info"]
    is_spot = info["instType"] == "SPOT"
    contract_value = "" if is_spot else _contract_value(info)
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
        contract_size="1" if is_spot else contract_value,
        status=STATUSES.get(info.get("state", ""), types_pb2.INSTRUMENT_STATUS_UNSPECIFIED),
        size_unit=types_pb2.SIZE_UNIT_BASE if is_spot else types_pb2.SIZE_UNIT_CONTRACTS,
        settlement_asset="" if is_spot else info.get("settleCcy", ""),
        contract_kind=CONTRACT_KINDS.get(
            info.get("ctType", ""), types_pb2.CONTRACT_KIND_UNSPECIFIED
        ),
        contract_value=contract_value,
        contract_value_asset=info["ctValCcy"] if contract_value else "",
    )


def _contract_value(info: Mapping[str, Any]) -> str:
    if not info.get("ctVal"):
        return ""  # listed, and not open yet
    value, value_places = parse_number(info["ctVal"])
    times, times_places = parse_number(info.get("ctMult") or "1")
    return format_scaled(value * times, value_places + times_places)
