"""Cards about the STATUS channel: listings, halts and changed terms."""

from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.conformance.card import CardContext, CardFailure, card, expect
from kit.conformance.cards.books import expect_equal, more_updates

STATUS = types_pb2.CHANNEL_STATUS
LISTED = batch_pb2.STATUS_CHANGE_LISTED
DELISTED = batch_pb2.STATUS_CHANGE_DELISTED
HALTED = batch_pb2.STATUS_CHANGE_HALTED
RESUMED = batch_pb2.STATUS_CHANGE_RESUMED
TERMS = batch_pb2.STATUS_CHANGE_TERMS

if TYPE_CHECKING:
    Change: TypeAlias = batch_pb2.StatusChange.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Change = int


@card("STA-1")
async def listed(context: CardContext) -> None:
    """Each listed instrument is published once."""
    since = len(context.connector.batches)
    await context.connector.listing.start()
    await context.connector.listing.refresh()
    for symbol in context.exchange.symbols:
        await _reported(context, symbol, since, LISTED)
    for symbol in context.symbols:
        reported = [change for change, _ in _changes(context, symbol, since)]
        expect(reported == [LISTED], f"{symbol}: {_names(reported)}")


@card("STA-2")
async def halted(context: CardContext) -> None:
    """A halt is published, and so is its end."""
    await _change(context, "halt", HALTED)
    rows = [
        row for row in context.connector.subscriptions.rows([], True) if row.symbol == context.first
    ]
    expect(all(row.detail for row in rows), "ListSubscriptions does not say that it is halted")
    await _change(context, "resume", RESUMED)
    await more_updates(context, context.first)
    await expect_equal(context, context.first)


@card("STA-3")
async def another_tick(context: CardContext) -> None:
    """Another tick size is reported."""
    coarser = f"{Decimal(context.exchange.tick_size(context.first)) * 10:f}"
    definition = await _change(context, "tick_size", TERMS, coarser)
    reported = Decimal(definition.price_tick)
    expect(reported == Decimal(coarser), f"the tick is reported as {reported}, it is {coarser}")


@card("STA-4")
async def delisted(context: CardContext) -> None:
    """A delisting is published; after a new listing the instrument flows again."""
    definition = await _change(context, "delist", DELISTED)
    status = types_pb2.INSTRUMENT_STATUS_DELISTED
    expect(definition.status == status, "its status is not DELISTED")
    # Twice more: its connections have let go of it then.
    await context.connector.listing.refresh()
    await context.connector.listing.refresh()
    await _change(context, "list", LISTED)
    await more_updates(context, context.first)
    await expect_equal(context, context.first)


@card("STA-5")
async def empty(context: CardContext) -> None:
    """An empty list changes nothing, and is shown as a problem."""
    since = await _look(context)
    context.exchange.order("empty_market_list", count=0)
    await context.connector.listing.refresh()
    expect(context.connector.listing.problem, "an empty list was taken for true")
    context.exchange.clear()
    await context.connector.listing.refresh()
    expect(not context.connector.listing.problem, context.connector.listing.problem)
    await more_updates(context, context.first)
    for symbol in context.symbols:
        expect(not _changes(context, symbol, since), f"a change of {symbol} was published")


async def _change(
    context: CardContext, act: str, change: Change, value: str = ""
) -> types_pb2.Instrument:
    """Change the first instrument, and expect that this change alone is published. Returns the
    published definition."""
    since = await _look(context)
    try:
        context.exchange.order(act, context.first, value=value)
    except ValueError as error:
        raise CardFailure(f"the simulator cannot do it: {error}") from None
    await context.connector.listing.refresh()
    definition = await _reported(context, context.first, since, change)
    for symbol in context.symbols[1:]:
        expect(not _changes(context, symbol, since), f"a change of {symbol} was published")
    return definition


async def _look(context: CardContext) -> int:
    """Publish all changes so far. Returns the position in ``batches`` after them."""
    connector = context.connector
    await connector.listing.refresh()

    def all_came() -> bool:
        reported = [batch.cursor.sequence for batch in connector.batches if batch.channel == STATUS]
        return max(reported, default=0) == connector.hub.cursor(STATUS).sequence

    await connector.until(all_came, "the published changes of instruments")
    return len(connector.batches)


async def _reported(
    context: CardContext, symbol: str, since: int, change: Change
) -> types_pb2.Instrument:
    name = _names([change])
    await context.connector.until(
        lambda: any(reported == change for reported, _ in _changes(context, symbol, since)),
        f"{symbol} to be reported as {name}",
    )
    reported, definition = _changes(context, symbol, since)[-1]
    expect(reported == change, f"{symbol}: {_names([reported])} after {name}")
    return definition


def _changes(
    context: CardContext, symbol: str, since: int
) -> list[tuple[Change, types_pb2.Instrument]]:
    return [
        (columns.change[row], columns.definition[row])
        for columns, row in context.connector.rows(STATUS, symbol, since)
    ]


def _names(changes: list[Change]) -> str:
    return ", ".join(map(batch_pb2.StatusChange.Name, changes)).replace("STATUS_CHANGE_", "")
