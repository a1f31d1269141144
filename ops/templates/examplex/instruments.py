"""Examplex's instruments, with tick and lot as the exchange writes them.

To change: the members, the statuses, the kind, what a size of 1 is; for derivatives also the
contract kind, its size and value, and the settlement asset.
"""

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import format_scaled, parse_number

STATUSES = {
    "trading": types_pb2.INSTRUMENT_STATUS_TRADING,
    "halted": types_pb2.INSTRUMENT_STATUS_HALTED,
}


class ListedMarket(msgspec.Struct):
    """{"symbol":"BTC-USD","base":"BTC","quote":"USD","tick_size":"0.01","lot_size":"0.00001",
    "minimum_notional":"5","status":"trading"}."""

    symbol: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    minimum_notional: str
    status: str


def instrument(venue_id: str, market: ListedMarket) -> types_pb2.Instrument:
    """One market of the list."""
    return types_pb2.Instrument(
        venue=venue_id,
        symbol=market.symbol,
        unified_symbol=f"{market.base}/{market.quote}",
        kind=types_pb2.INSTRUMENT_KIND_SPOT,
        base=market.base,
        quote=market.quote,
        price_tick=plain(market.tick_size),
        size_step=plain(market.lot_size),
        size_min=plain(market.lot_size),
        notional_min=plain(market.minimum_notional),
        contract_size="1",
        status=STATUSES.get(market.status, types_pb2.INSTRUMENT_STATUS_UNSPECIFIED),
        size_unit=types_pb2.SIZE_UNIT_BASE,
    )


def plain(text: str) -> str:
    """A number without trailing zeros, exact."""
    return format_scaled(*parse_number(text))
