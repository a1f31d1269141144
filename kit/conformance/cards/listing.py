"""Cards about what a venue lists."""

from decimal import Decimal, InvalidOperation

from venuemesh.common.v1 import types_pb2

from kit.base.errors import VenuemeshError
from kit.conformance.card import Rig, card, expect
from kit.connector.host.instruments import InstrumentCache


@card("LST-1")
async def exact(rig: Rig) -> None:
    """Instruments have exact ticks and steps, as the exchange lists them."""
    listed = {one.symbol: one for one in await rig.connector.venue.history.instruments()}
    for symbol in rig.symbols:
        expect(symbol in listed, f"{symbol} is not listed")
        one = listed[symbol]
        ours, theirs = _number(one.price_tick), Decimal(rig.exchange.tick_size(symbol))
        expect(ours == theirs, f"tick of {symbol}: {one.price_tick!r}, it is {theirs}")
        expect(_number(one.size_step) > 0, f"step of {symbol}: {one.size_step!r}")
        expect(_number(one.contract_size) > 0, f"contract of {symbol}: {one.contract_size!r}")
        trading = one.status == types_pb2.INSTRUMENT_STATUS_TRADING
        expect(trading, f"{symbol} trades, its status says otherwise")
        expect(one.base and one.quote and one.unified_symbol, f"{symbol} has no assets")
        expect(one.venue == rig.connector.venue.venue_id, f"{symbol} is of {one.venue!r}")


@card("LST-2")
async def twice(rig: Rig) -> None:
    """An instrument that is listed twice is one."""
    rig.exchange.order("symbol_twice", rig.first, count=0)
    listed = await _listed(rig)
    expect(list(listed).count(rig.first) == 1, f"{rig.first} is listed {listed.count(rig.first)}x")


@card("LST-3")
async def empty(rig: Rig) -> None:
    """An empty list of instruments is no crash."""
    rig.exchange.order("empty_market_list", count=0)
    try:
        listed = await _listed(rig)
    except VenuemeshError as error:
        expect(error.message, "the error says nothing")
        return
    expect(not listed, f"{len(listed)} instruments out of nothing")


async def _listed(rig: Rig) -> list[str]:
    venue = rig.connector.venue
    return list(await InstrumentCache(venue.venue_id, venue.history).all())


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(0)
