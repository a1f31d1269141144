"""A connector that is broken on purpose fails the cards that are about what is broken."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kit.conformance.card import CARDS, Outcome
from kit.conformance.runner import play
from kit.connector.books.sequence_rules import OverlapRule
from kit.connector.contract import discovery
from kit.connector.contract.venue import (
    Environment,
    FrameKind,
    SequenceResult,
    UpdateNumbers,
    Venue,
)
from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import BookRows, Numbers, QuoteRows, TradeRows
from kit.simulator.dialect import find_dialects

pytestmark = pytest.mark.integration

VENUE = "binance"


class BrokenWire:
    """A wire whose parser of one kind does something wrong."""

    def __init__(self, wire, kind: str, change: Callable) -> None:
        self._wire = wire
        self.kinds = [self._broken(one, change) if one.name == kind else one for one in wire.kinds]

    def __getattr__(self, name: str):
        return getattr(self._wire, name)

    def _broken(self, kind: FrameKind, change: Callable) -> FrameKind:
        def parse(frames: Frames):
            return change(kind.parsers[0](frames))

        return replace(kind, parsers=(parse,))


def broken(kind: str, change: Callable) -> Callable[[Environment], Venue]:
    def make(place: Environment) -> Venue:
        venue = discovery.require(VENUE)(place)
        return replace(
            venue, feed_protocols=[BrokenWire(wire, kind, change) for wire in venue.feed_protocols]
        )

    return make


def rounded(rows: TradeRows) -> TradeRows:
    """As a float with few digits would do it."""
    assert isinstance(rows.price.decimals, int)
    return replace(rows, price=Numbers(rows.price.unscaled // 10**8 * 10**8, rows.price.decimals))


def other_side(rows: TradeRows) -> TradeRows:
    return replace(rows, side=3 - rows.side)


def unchecked(rows: TradeRows) -> TradeRows:
    """Whose ids prove nothing."""
    return replace(rows, previous_id=None)


def exchanged(rows: QuoteRows) -> QuoteRows:
    """The bid where the ask should be."""
    return replace(rows, bid_price=rows.ask_price, ask_price=rows.bid_price)


def without_removals(rows: BookRows) -> BookRows:
    """A level that is gone stays."""
    kept = rows.bids.size
    return replace(
        rows,
        bids=replace(rows.bids, size=Numbers(np.maximum(kept.unscaled, 1), kept.decimals)),
    )


class Careless(OverlapRule):
    """Sees no hole."""

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        return SequenceResult.STALE if update.last <= last else SequenceResult.APPLY

    def run_joins(self, last, firsts, lasts, previous) -> bool:
        return True


def careless(place: Environment) -> Venue:
    venue = discovery.require(VENUE)(place)
    return replace(venue, book=replace(venue.book, sequence=Careless()))


class Forgetful:
    """A history of which no past trade can be had."""

    def __init__(self, history) -> None:
        self._history = history

    def __getattr__(self, name: str):
        return getattr(self._history, name)

    async def trades(self, *question):
        return []


def forgetful(place: Environment) -> Venue:
    venue = discovery.require(VENUE)(place)
    return replace(venue, history=Forgetful(venue.history))


@pytest.mark.parametrize(
    ("make", "cards"),
    [
        (broken("trades", rounded), {"TRD-1"}),
        (broken("trades", other_side), {"TRD-1"}),
        (broken("trades", unchecked), {"TRD-3"}),
        (broken("quotes", exchanged), {"QTE-1"}),
        (broken("book", without_removals), {"BOK-1"}),
        (careless, {"BOK-3"}),
        (forgetful, {"TRD-6"}),
    ],
    ids=[
        "rounded",
        "other side",
        "unchecked ids",
        "exchanged",
        "no removals",
        "careless",
        "forgetful",
    ],
)
async def test_what_is_broken_fails_its_card(make, cards) -> None:
    others = {"LST-1", "TRD-2", "QTE-2"}
    chosen = [card for card in CARDS if card.card_id in cards | others]
    score = await play(VENUE, make, find_dialects()[VENUE], chosen)
    assert set(score.cards(Outcome.FAILED)) == cards
