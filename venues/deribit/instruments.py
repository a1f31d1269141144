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


def instrument(venue_id: str, market: Mapping[str, Any]) -> types_pb2.Instrument:
    """One market of ccxt's fetch_markets; the exact numbers are in its raw ``info``.

    info: {"instrument_name":"BTC-PERPETUAL","kind":"future","settlement_period":"perpetual",
    "tick_size":"0.5","min_trade_amount":"10.0","contract_size":"10.0","is_active":true,
    "base_currency":"BTC","counter_currency":"USD",…}
    """
    info = market["info"]
    kind = KINDS.get(info["kind"], types_pb2.INSTRUMENT_KIND_UNSPECIFIED)
    if info["kind"] == "future" and info.get("settlement_period") == "perpetual":
        kind = types_pb2.INSTRUMENT_KIND_PERPETUAL
    trading = info.get("is_active", True)
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=info["instrument_name"],
        unified_symbol=market["symbol"],
        kind=kind,
        base=market["base"],
        quote=market["quote"],
        price_tick=plain_text_or_empty(info.get("tick_size")),
        size_step=plain_text_or_empty(info.get("min_trade_amount")),
        size_min=plain_text_or_empty(info.get("min_trade_amount")),
        contract_size=plain_text_or_empty(info.get("contract_size")),
        status=(
            types_pb2.INSTRUMENT_STATUS_TRADING if trading else types_pb2.INSTRUMENT_STATUS_HALTED
        ),
    )
