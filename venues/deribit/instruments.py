"""Deribit's get_instruments to instruments, with tick and smallest amount as the venue writes
them."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import plain_text_or_empty

KINDS = {
    "spot": types_pb2.INSTRUMENT_KIND_SPOT,
    "future": types_pb2.INSTRUMENT_KIND_FUTURE,
    "option": types_pb2.INSTRUMENT_KIND_OPTION,
}
"""Combos have no kind, because each consists of other instruments."""
DERIVATIVES = frozenset(
    {
        types_pb2.INSTRUMENT_KIND_PERPETUAL,
        types_pb2.INSTRUMENT_KIND_FUTURE,
        types_pb2.INSTRUMENT_KIND_OPTION,
    }
)
SIZE_UNITS = {
    types_pb2.CONTRACT_KIND_UNSPECIFIED: types_pb2.SIZE_UNIT_UNSPECIFIED,
    types_pb2.CONTRACT_KIND_LINEAR: types_pb2.SIZE_UNIT_BASE,
    types_pb2.CONTRACT_KIND_INVERSE: types_pb2.SIZE_UNIT_QUOTE,
}
"""Of derivatives."""


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"instrument_name":"BTC-PERPETUAL","kind":"future","settlement_period":"perpetual",
    "tick_size":"0.5","min_trade_amount":"10.0","contract_size":"10.0","is_active":true,
    "base_currency":"BTC","quote_currency":"USD","settlement_currency":"BTC",…}

    Sizes are amounts: US dollars of an inverse perpetual or future, base units of all others. An
    option on BTC/USD has a price in BTC: its quote_currency is BTC, its counter_currency USD.
    """
    info = market["info"]
    kind = KINDS.get(info["kind"], types_pb2.INSTRUMENT_KIND_UNSPECIFIED)
    if info["kind"] == "future" and info.get("settlement_period") == "perpetual":
        kind = types_pb2.INSTRUMENT_KIND_PERPETUAL
    trading = info.get("is_active", True)
    quote = info.get("quote_currency") or market["quote"]
    settlement = "" if info["kind"] == "spot" else info.get("settlement_currency", "")
    contract_kind = _contract_kind(kind, market["base"], quote, settlement)
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=info["instrument_name"],
        unified_symbol=market["symbol"],
        kind=kind,
        base=market["base"],
        quote=quote,
        price_tick=plain_text_or_empty(info.get("tick_size")),
        size_step=plain_text_or_empty(info.get("min_trade_amount")),
        size_min=plain_text_or_empty(info.get("min_trade_amount")),
        contract_size=plain_text_or_empty(info.get("contract_size")),
        status=(
            types_pb2.INSTRUMENT_STATUS_TRADING if trading else types_pb2.INSTRUMENT_STATUS_HALTED
        ),
        size_unit=_size_unit(kind, contract_kind),
        settlement_asset=settlement,
        contract_kind=contract_kind,
    )


def _contract_kind(
    kind: "types_pb2.InstrumentKind.ValueType", base: str, quote: str, settlement: str
) -> "types_pb2.ContractKind.ValueType":
    """Unspecified for spot and combos, and if the venue does not state what settles it."""
    if kind not in DERIVATIVES or settlement not in (base, quote):
        return types_pb2.CONTRACT_KIND_UNSPECIFIED
    if settlement == quote:
        return types_pb2.CONTRACT_KIND_LINEAR
    return types_pb2.CONTRACT_KIND_INVERSE


def _size_unit(
    kind: "types_pb2.InstrumentKind.ValueType", contract_kind: "types_pb2.ContractKind.ValueType"
) -> "types_pb2.SizeUnit.ValueType":
    if kind == types_pb2.INSTRUMENT_KIND_SPOT:
        return types_pb2.SIZE_UNIT_BASE
    return SIZE_UNITS[contract_kind]
