"""Cards about the list of instruments."""

from decimal import Decimal, InvalidOperation

from venuemesh.common.v1 import types_pb2

from kit.accounting import instruments
from kit.base.errors import VenuemeshError
from kit.conformance.card import CardContext, card, expect
from kit.connector.publishing.instrument_cache import InstrumentCache


@card("LST-1")
async def exact(context: CardContext) -> None:
    """Instruments have the exact ticks and steps that the exchange lists."""
    listed = {one.symbol: one for one in await context.venue.history.instruments()}
    for symbol in context.symbols:
        expect(symbol in listed, f"{symbol} is not listed")
        one = listed[symbol]
        ours, theirs = _number(one.price_tick), Decimal(context.exchange.tick_size(symbol))
        expect(ours == theirs, f"tick of {symbol}: {one.price_tick!r}, it is {theirs}")
        expect(_number(one.size_step) > 0, f"step of {symbol}: {one.size_step!r}")
        expect(_number(one.contract_size) > 0, f"contract of {symbol}: {one.contract_size!r}")
        expect(one.size_unit, f"{symbol} does not state the unit of its sizes")
        expect(instruments.multiplier(one), f"{symbol} does not state what a size of 1 is worth")
        trading = one.status == types_pb2.INSTRUMENT_STATUS_TRADING
        expect(trading, f"{symbol} trades, its status says otherwise")
        expect(one.base and one.quote and one.unified_symbol, f"{symbol} has no assets")
        expect(one.venue == context.venue.venue_id, f"{symbol} is of {one.venue!r}")


@card("LST-2")
async def twice(context: CardContext) -> None:
    """An instrument that is listed twice appears once."""
    context.exchange.order("symbol_twice", context.first, count=0)
    listed = await _listed(context)
    expect(
        list(listed).count(context.first) == 1,
        f"{context.first} is listed {listed.count(context.first)}x",
    )


@card("LST-3")
async def empty(context: CardContext) -> None:
    """An empty list of instruments is empty, or an error with a message."""
    context.exchange.order("empty_market_list", count=0)
    try:
        listed = await _listed(context)
    except VenuemeshError as error:
        expect(error.message, "the error says nothing")
        return
    expect(not listed, f"{len(listed)} instruments out of nothing")


async def _listed(context: CardContext) -> list[str]:
    venue = context.venue
    return list(await InstrumentCache(venue.venue_id, venue.history).all())


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(0)
