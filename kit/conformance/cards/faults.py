"""Cards about malformed frames, silence, shutdowns and clocks."""

from collections.abc import Callable

from venuemesh.common.v1 import types_pb2

from kit.conformance.card import CardContext, card, expect, short_silence
from kit.conformance.cards.books import expect_equal
from kit.conformance.cards.trades import more_trades, short
from kit.connector.contract.venue import UpdateOrdering

BOOK = types_pb2.CHANNEL_BOOK
ENOUGH = 20


@card("BAD-1")
async def malformed(context: CardContext) -> None:
    """A frame that is cut in half is skipped, and the feed goes on."""
    await _skips(context, "malformed")


@card("BAD-2")
async def unknown(context: CardContext) -> None:
    """An event of an unknown type is skipped, and the feed goes on."""
    await _skips(context, "unknown_event")


@card("BAD-3")
async def huge(context: CardContext) -> None:
    """A frame of 20 MB is skipped, and the feed goes on."""
    await _skips(context, "huge")


@card("LIV-1", limits=short_silence)
async def stalled(context: CardContext) -> None:
    """A silent connection is replaced, and the book recovers."""
    await _reconnects(context, lambda: context.exchange.order("stall", context.first, "book"))


@card("LIV-2", limits=short_silence)
async def shut_down(context: CardContext) -> None:
    """After a shutdown of the exchange the connector is connected again."""
    since = len(context.connector.batches)
    context.exchange.order("server_shutdown", seconds=0.2)
    await more_trades(context, since, ENOUGH)
    await context.connector.until(context.connector.synchronized, "synchronized books")
    await expect_equal(context, context.first)


@card("CLK-1")
async def skewed(context: CardContext) -> None:
    """A clock of the exchange that is five seconds off leaves the books right."""
    since = len(context.connector.batches)
    for seconds in (5.0, -5.0, 0.0):
        context.exchange.order("clock_skew", seconds=seconds)
        await more_trades(context, len(context.connector.batches), ENOUGH)
    # A book that is ordered by time is in doubt when the clock goes back.
    is_by_time = context.venue.book.sequence.ordering is UpdateOrdering.TIME
    for symbol in () if is_by_time else context.symbols:
        gaps = context.connector.gaps(BOOK, symbol, since)
        expect(not gaps, f"{symbol}: {', '.join(map(short, gaps))}")
    await expect_equal(context, context.first)


async def _skips(context: CardContext, fault: str) -> None:
    skipped, since = context.connector.skipped, len(context.connector.batches)
    context.exchange.order(fault, context.first, "trades")
    await more_trades(context, since, ENOUGH)
    # Where frames are numbered, one that cannot be read counts as missing.
    is_numbered = context.venue.connection_sequence is not None
    await context.connector.until(
        lambda: is_numbered or context.connector.skipped > skipped, "a skipped frame"
    )
    await context.connector.until(context.connector.synchronized, "synchronized books")
    await expect_equal(context, context.first)


async def _reconnects(context: CardContext, order: Callable[[], None]) -> None:
    since = len(context.connector.batches)
    order()
    await context.connector.until(
        lambda: context.connector.gaps(BOOK, context.first, since), "a gap"
    )
    await context.connector.until(
        lambda: context.connector.synchronized(context.first), "a synchronized book"
    )
    await expect_equal(context, context.first)
