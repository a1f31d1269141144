"""Cards about comparing a book with the exchange's REST answer."""

import numpy as np
from venuemesh.marketdata.v1 import market_data_pb2

from kit.conformance.card import Rig, Skipped, card, expect
from kit.conformance.cards.books import more_updates
from kit.connector.process.book_verification import AGREES, Response

DEPTH = 50
LEVELS_MIN = 10


@card("VFY-1")
async def agrees(rig: Rig) -> None:
    """A proven book agrees with the exchange's REST answer."""
    found = await _verify(rig)
    expect(found.verdict == AGREES, _told(found))
    expect(found.levels_compared >= LEVELS_MIN, f"only {found.levels_compared} levels compared")
    expect(not found.differences, "levels are told to differ")


@card("VFY-2")
async def old(rig: Rig) -> None:
    """A REST answer that is old does not agree with the book."""
    rig.exchange.order("stale_snapshot", rig.first, count=0)
    history = rig.connector.venue.history
    then = await history.book(rig.first)
    await more_updates(rig, rig.first)
    now = await history.book(rig.first)
    if not np.array_equal(then.bids.price.unscaled, now.bids.price.unscaled):
        raise Skipped("the pretended exchange answers from its feed")
    found = await _verify(rig)
    expect(found.verdict != AGREES, _told(found))


async def _verify(rig: Rig) -> Response:
    return await rig.connector.verification.verify(rig.first, DEPTH)


def _told(found: Response) -> str:
    verdict = market_data_pb2.BookVerdict.Name(found.verdict)
    levels = f"{found.levels_different} of {found.levels_compared} levels differ"
    first = str(found.differences[:1]).replace("\n", " ")
    return f"{verdict}: {found.reason} {levels} {first}"
