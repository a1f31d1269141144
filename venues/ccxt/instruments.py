"""ccxt's unified markets to instruments."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2

from kit.base.numbers import format_scaled, plain_text
from venues.ccxt.parse import plain

TICK_SIZE = 4
"""ccxt's precisionMode: precisions are steps. Otherwise they are decimal places."""
KINDS = {
    "spot": types_pb2.INSTRUMENT_KIND_SPOT,
    "swap": types_pb2.INSTRUMENT_KIND_PERPETUAL,
    "future": types_pb2.INSTRUMENT_KIND_FUTURE,
    "option": types_pb2.INSTRUMENT_KIND_OPTION,
}
CONTRACT_KINDS = {
    "linear": types_pb2.CONTRACT_KIND_LINEAR,
    "inverse": types_pb2.CONTRACT_KIND_INVERSE,
    "quanto": types_pb2.CONTRACT_KIND_QUANTO,
}
"""By the names of ccxt's flags."""
ONE_UNIT = {
    types_pb2.CONTRACT_KIND_LINEAR: types_pb2.SIZE_UNIT_BASE,
    types_pb2.CONTRACT_KIND_INVERSE: types_pb2.SIZE_UNIT_QUOTE,
}
"""What a contract of the size 1 is."""


def instrument(venue_id: str, market: Mapping[str, Any], mode: int) -> types_pb2.Instrument:
    """One market of ccxt's load_markets. The symbol is ccxt's unified one: the exchange's own ids
    may mean two markets, as BTCUSDT does."""
    precision, limits = market["precision"], market["limits"]
    settlement = market.get("settle") or ""
    contract_kind = _contract_kind(market)
    size_unit = _size_unit(market, contract_kind)
    counts_contracts = size_unit == types_pb2.SIZE_UNIT_CONTRACTS
    halted = market.get("active") is False
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=market["symbol"],
        unified_symbol=market["symbol"],
        kind=KINDS.get(market.get("type") or "", types_pb2.INSTRUMENT_KIND_UNSPECIFIED),
        base=market["base"] or "",
        quote=market["quote"] or "",
        price_tick=_step(precision.get("price"), mode),
        size_step=_step(precision.get("amount"), mode),
        size_min=_plain((limits.get("amount") or {}).get("min")),
        notional_min=_plain((limits.get("cost") or {}).get("min")),
        contract_size=_plain(market.get("contractSize")) or "1",
        status=types_pb2.INSTRUMENT_STATUS_HALTED
        if halted
        else types_pb2.INSTRUMENT_STATUS_TRADING,
        size_unit=size_unit,
        settlement_asset=settlement,
        contract_kind=contract_kind,
        contract_value=_plain(market.get("contractSize")) if counts_contracts else "",
        contract_value_asset=_value_asset(market, contract_kind) if counts_contracts else "",
    )


def _contract_kind(market: Mapping[str, Any]) -> "types_pb2.ContractKind.ValueType":
    """Unspecified for spot and unknown kinds. ccxt also calls an option inverse whose price is in
    its base asset, which is no inverse contract."""
    is_option = market.get("type") == "option"
    for flag, kind in CONTRACT_KINDS.items():
        if market.get(flag) and not (is_option and flag == "inverse"):
            return kind
    return types_pb2.CONTRACT_KIND_UNSPECIFIED


def _size_unit(
    market: Mapping[str, Any], contract_kind: "types_pb2.ContractKind.ValueType"
) -> "types_pb2.SizeUnit.ValueType":
    """ccxt's amounts of derivatives count contracts."""
    if market.get("type") == "spot":
        return types_pb2.SIZE_UNIT_BASE
    size = market.get("contractSize")
    if contract_kind == types_pb2.CONTRACT_KIND_UNSPECIFIED or not size:
        return types_pb2.SIZE_UNIT_UNSPECIFIED
    if size == 1 and contract_kind in ONE_UNIT:
        return ONE_UNIT[contract_kind]
    return types_pb2.SIZE_UNIT_CONTRACTS


def _value_asset(
    market: Mapping[str, Any], contract_kind: "types_pb2.ContractKind.ValueType"
) -> str:
    if contract_kind == types_pb2.CONTRACT_KIND_LINEAR:
        return market["base"] or ""
    if contract_kind == types_pb2.CONTRACT_KIND_INVERSE:
        return market["quote"] or ""
    return market.get("settle") or ""


def _step(precision: float | None, mode: int) -> str:
    """Empty where ccxt does not know the step, or counts significant digits."""
    if precision is None:
        return ""
    if mode == TICK_SIZE:
        return _plain(precision)
    return format_scaled(1, int(precision)) if precision % 1 == 0 else ""


def _plain(value: float | str | None) -> str:
    return plain_text(plain(value)) if value is not None else ""
