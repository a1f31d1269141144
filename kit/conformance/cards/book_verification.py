"""Cards about VerifyBook, which compares a book with the exchange's REST answer."""

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.conformance.card import CardContext, card, expect
from kit.conformance.cards.books import more_updates
from kit.connector.process.book_verification import AGREES, Response

DEPTH = 50
LEVELS_MIN = 10


@card("VFY-1")
async def same_book(context: CardContext) -> None:
    """A synchronized book agrees with the exchange's REST answer."""
    found = await _verify(context)
    expect(found.verdict == AGREES, _words(found))
    expect(found.levels_compared >= LEVELS_MIN, f"only {found.levels_compared} levels compared")
    expect(not found.differences, "it agrees, and names levels that differ")


@card("VFY-2")
async def old_answer(context: CardContext) -> None:
    """An old REST answer does not agree with the book."""
    context.exchange.order("stale_snapshot", context.first, count=0)
    history = context.venue.history
    then = await history.book(context.first)
    await more_updates(context, context.first)
    now = await history.book(context.first)
    expect(
        np.array_equal(then.bids.price.unscaled, now.bids.price.unscaled),
        "the simulator does not serve old books: declare the card in VenueProfile.skipped_cards",
    )
    found = await _verify(context)
    expect(found.verdict != AGREES, _words(found))


async def _verify(context: CardContext) -> Response:
    return await context.connector.verification.verify(context.first, DEPTH)


def _words(found: Response) -> str:
    verdict = market_data_pb2.BookVerdict.Name(found.verdict).removeprefix("BOOK_VERDICT_")
    text = f"{verdict} {found.reason}: {found.levels_different} of {found.levels_compared} differ"
    for level in found.differences[:1]:
        side = "bid" if level.side == types_pb2.SIDE_BUY else "ask"
        ours, theirs = level.size, level.venue_size
        text += f"; {side} {level.price}: our size is {ours}, the exchange's {theirs}"
    return text
