"""Cards about what is listed, and what changes about it: the STATUS channel."""

from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.conformance.card import Failed, Rig, card, expect
from kit.conformance.cards.books import expect_right, more_updates

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
async def listed(rig: Rig) -> None:
    """All that is listed is told, once."""
    since = len(rig.connector.batches)
    await rig.connector.listing.begin()
    await rig.connector.listing.look()
    for symbol in rig.exchange.symbols:
        await _told(rig, symbol, since, LISTED)
    for symbol in rig.symbols:
        told = [change for change, _ in _changes(rig, symbol, since)]
        expect(told == [LISTED], f"{symbol}: {_names(told)}")


@card("STA-2")
async def halted(rig: Rig) -> None:
    """A halt is told, and that it is over."""
    await _change(rig, "halt", HALTED)
    rows = [row for row in rig.connector.subscriptions.rows([], True) if row.symbol == rig.first]
    expect(all(row.detail for row in rows), "Admin does not say that it is halted")
    await _change(rig, "resume", RESUMED)
    await more_updates(rig, rig.first)
    await expect_right(rig, rig.first)


@card("STA-3")
async def another_tick(rig: Rig) -> None:
    """Another tick size is told."""
    coarser = f"{Decimal(rig.exchange.tick_size(rig.first)) * 10:f}"
    definition = await _change(rig, "tick_size", TERMS, coarser)
    told = Decimal(definition.price_tick)
    expect(told == Decimal(coarser), f"the tick is told as {told}, it is {coarser}")


@card("STA-4")
async def delisted(rig: Rig) -> None:
    """A delisting is told; the instrument flows again when it is listed again."""
    definition = await _change(rig, "delist", DELISTED)
    status = types_pb2.INSTRUMENT_STATUS_DELISTED
    expect(definition.status == status, "its status is not DELISTED")
    # Twice more: its connections have let go of it then.
    await rig.connector.listing.look()
    await rig.connector.listing.look()
    await _change(rig, "list", LISTED)
    await more_updates(rig, rig.first)
    await expect_right(rig, rig.first)


@card("STA-5")
async def empty(rig: Rig) -> None:
    """An empty list changes nothing, and is told as a trouble."""
    since = await _look(rig)
    rig.exchange.order("empty_market_list", count=0)
    await rig.connector.listing.look()
    expect(rig.connector.listing.trouble, "an empty list was taken for true")
    rig.exchange.clear()
    await rig.connector.listing.look()
    expect(not rig.connector.listing.trouble, rig.connector.listing.trouble)
    await more_updates(rig, rig.first)
    for symbol in rig.symbols:
        expect(not _changes(rig, symbol, since), f"{symbol} was told to have changed")


async def _change(rig: Rig, act: str, change: Change, value: str = "") -> types_pb2.Instrument:
    """Order a change of the first instrument; see that it is told, alone. Returns its definition
    as it was told."""
    since = await _look(rig)
    try:
        rig.exchange.order(act, rig.first, value=value)
    except ValueError as error:
        raise Failed(f"the exchange cannot do it: {error}") from None
    await rig.connector.listing.look()
    definition = await _told(rig, rig.first, since, change)
    for symbol in rig.symbols[1:]:
        expect(not _changes(rig, symbol, since), f"{symbol} was told to have changed")
    return definition


async def _look(rig: Rig) -> int:
    """Let all that has changed so far be told. Returns the position in ``batches`` after it."""
    connector = rig.connector
    await connector.listing.look()

    def heard() -> bool:
        told = [batch.cursor.sequence for batch in connector.batches if batch.channel == STATUS]
        return max(told, default=0) == connector.hub.cursor(STATUS).sequence

    await connector.until(heard, "what was told of instruments")
    return len(connector.batches)


async def _told(rig: Rig, symbol: str, since: int, change: Change) -> types_pb2.Instrument:
    name = _names([change])
    await rig.connector.until(
        lambda: any(told == change for told, _ in _changes(rig, symbol, since)),
        f"{symbol} to be told as {name}",
    )
    told, definition = _changes(rig, symbol, since)[-1]
    expect(told == change, f"{symbol}: {_names([told])} after {name}")
    return definition


def _changes(rig: Rig, symbol: str, since: int) -> list[tuple[Change, types_pb2.Instrument]]:
    return [
        (columns.change[row], columns.definition[row])
        for columns, row in rig.connector.rows(STATUS, symbol, since)
    ]


def _names(changes: list[Change]) -> str:
    return ", ".join(map(batch_pb2.StatusChange.Name, changes)).replace("STATUS_CHANGE_", "")
