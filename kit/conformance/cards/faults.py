"""Cards about what an exchange should not do, and does."""

from collections.abc import Callable

from venuemesh.common.v1 import types_pb2

from kit.conformance.card import Rig, card, expect, impatient
from kit.conformance.cards.books import expect_right
from kit.conformance.cards.trades import more_trades, short

BOOK = types_pb2.CHANNEL_BOOK
ENOUGH = 20


@card("BAD-1")
async def malformed(rig: Rig) -> None:
    """A frame that is cut in half is skipped, and the feed goes on."""
    await _skips(rig, "malformed")


@card("BAD-2")
async def unknown(rig: Rig) -> None:
    """An event that nobody knows is skipped, and the feed goes on."""
    await _skips(rig, "unknown_event")


@card("BAD-3")
async def huge(rig: Rig) -> None:
    """A frame of 20 MB is skipped, and the feed goes on."""
    await _skips(rig, "huge")


@card("LIV-1", limits=impatient)
async def stalled(rig: Rig) -> None:
    """A connection that has fallen silent is made again."""
    await _comes_back(rig, lambda: rig.exchange.order("stall", rig.first, "book"))


@card("LIV-2", limits=impatient)
async def shut_down(rig: Rig) -> None:
    """An exchange that closes all connections finds us again."""
    since = len(rig.connector.batches)
    rig.exchange.order("server_shutdown", seconds=0.2)
    await more_trades(rig, since, ENOUGH)
    await rig.connector.until(rig.connector.proven, "proven books")
    await expect_right(rig, rig.first)


@card("CLK-1")
async def skewed(rig: Rig) -> None:
    """A clock of the exchange that is five seconds off changes nothing."""
    since = len(rig.connector.batches)
    for seconds in (5.0, -5.0, 0.0):
        rig.exchange.order("clock_skew", seconds=seconds)
        await more_trades(rig, len(rig.connector.batches), ENOUGH)
    for symbol in rig.symbols:
        gaps = rig.connector.gaps(BOOK, symbol, since)
        expect(not gaps, f"{symbol}: {', '.join(map(short, gaps))}")
    await expect_right(rig, rig.first)


async def _skips(rig: Rig, fault: str) -> None:
    skipped, since = rig.connector.skipped, len(rig.connector.batches)
    rig.exchange.order(fault, rig.first, "trades")
    await more_trades(rig, since, ENOUGH)
    counted = rig.connector.venue.connection_sequence is not None
    # Where frames are counted, one that cannot be read is one that is missing.
    expect(counted or rig.connector.skipped > skipped, "nothing was skipped")
    await rig.connector.until(rig.connector.proven, "proven books")
    await expect_right(rig, rig.first)


async def _comes_back(rig: Rig, order: Callable[[], None]) -> None:
    since = len(rig.connector.batches)
    order()
    await rig.connector.until(lambda: rig.connector.gaps(BOOK, rig.first, since), "a gap")
    await rig.connector.until(lambda: rig.connector.proven(rig.first), "a proven book")
    await expect_right(rig, rig.first)
