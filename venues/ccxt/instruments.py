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


def instrument(venue_id: str, market: Mapping[str, Any], mode: int) -> types_pb2.Instrument:
    """One market of ccxt's load_markets. The symbol is ccxt's unified one: the exchange's own ids
    may mean two markets, as BTCUSDT does."""
    precision, limits = market["precision"], market["limits"]
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
    )


def _step(precision: float | None, mode: int) -> str:
    """Empty where ccxt does not know the step, or counts significant digits."""
    if precision is None:
        return ""
    if mode == TICK_SIZE:
        return _plain(precision)
    return format_scaled(1, int(precision)) if precision % 1 == 0 else ""


def _plain(value: float | str | None) -> str:
    return plain_text(plain(value)) if value is not None else ""
