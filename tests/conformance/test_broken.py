"""A connector that is broken on purpose fails the cards about the broken part, and no others."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2

from kit.conformance import runner
from kit.conformance.card import (
    CARDS,
    CardContext,
    CardResult,
    CardStatus,
    ConformanceCard,
    applies,
    venue_limits,
)
from kit.conformance.runner import play
from kit.connector.books.sequence_rules import RangeOverlapRule, TimestampRule
from kit.connector.contract import discovery
from kit.connector.contract.venue import (
    BookRules,
    Environment,
    FrameKind,
    SequenceNumbers,
    SequenceResult,
    SnapshotSource,
    TradeNumbering,
    Venue,
    VenueFactory,
)
from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import BookRows, NumberColumn, QuoteRows, TradeRows
from kit.simulator.dialect import find_dialects

pytestmark = pytest.mark.integration

VENUE = "binance"


class BrokenFeedProtocol:
    """A feed protocol whose parser of one kind makes a mistake."""

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
            venue,
            feed_protocols=[
                BrokenFeedProtocol(wire, kind, change) for wire in venue.feed_protocols
            ],
        )

    return make


def rounded(rows: TradeRows) -> TradeRows:
    """Prices with too few digits."""
    assert isinstance(rows.price.decimals, int)
    return replace(
        rows, price=NumberColumn(rows.price.unscaled // 10**8 * 10**8, rows.price.decimals)
    )


def other_side(rows: TradeRows) -> TradeRows:
    return replace(rows, side=3 - rows.side)


def unchecked(rows: TradeRows) -> TradeRows:
    """Trades whose ids are not checked."""
    return replace(rows, previous_id=None)


def exchanged(rows: QuoteRows) -> QuoteRows:
    """The bid where the ask should be."""
    return replace(rows, bid_price=rows.ask_price, ask_price=rows.bid_price)


def without_removals(rows: BookRows) -> BookRows:
    """Bids are never removed."""
    kept = rows.bids.size
    return replace(
        rows,
        bids=replace(rows.bids, size=NumberColumn(np.maximum(kept.unscaled, 1), kept.decimals)),
    )


class BlindRule(RangeOverlapRule):
    """Claims to show missing updates, and does not."""

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        return SequenceResult.STALE if update.last <= last else SequenceResult.APPLY

    def run_joins(self, last, firsts, lasts, previous) -> bool:
        return True


def blind(place: Environment) -> Venue:
    venue = discovery.require(VENUE)(place)
    return replace(venue, book=replace(venue.book, sequence=BlindRule()))


class EmptyHistory:
    """A history without past trades."""

    def __init__(self, history) -> None:
        self._history = history

    def __getattr__(self, name: str):
        return getattr(self._history, name)

    async def trades(self, *question):
        return []


class HistoryOfOneTime(EmptyHistory):
    """A history whose trades are all of one time."""

    async def trades(self, *question):
        found = await self._history.trades(*question)
        for one in found:
            one.venue_time_ns = 1
        return found


def without_times(place: Environment) -> Venue:
    venue = discovery.require(VENUE)(place)
    return replace(venue, history=HistoryOfOneTime(venue.history))


def without_history(place: Environment) -> Venue:
    venue = discovery.require(VENUE)(place)
    return replace(venue, history=EmptyHistory(venue.history))


@pytest.mark.parametrize(
    ("make", "cards"),
    [
        (broken("trades", rounded), {"TRD-1"}),
        (broken("trades", other_side), {"TRD-1"}),
        (broken("trades", unchecked), {"TRD-3"}),
        (broken("quotes", exchanged), {"QTE-1"}),
        (broken("book", without_removals), {"BOK-1"}),
        (blind, {"BOK-3", "BOK-7", "BOK-8"}),
        (without_history, {"TRD-6"}),
        (without_times, {"HST-1"}),
    ],
    ids=[
        "rounded",
        "other side",
        "unchecked ids",
        "exchanged",
        "no removals",
        "blind rule",
        "no history",
        "one time",
    ],
)
async def test_a_broken_connector_fails_the_cards_about_it(make, cards) -> None:
    others = {"LST-1", "TRD-2", "QTE-2"}
    chosen = [card for card in CARDS if card.card_id in cards | others]
    score = await play(VENUE, make, find_dialects()[VENUE], chosen)
    assert set(score.cards(CardStatus.FAILED)) == cards


def ordered_by_time(environment: Environment) -> Venue:
    """A venue whose numbers only order updates and snapshots, as times do."""
    venue = discovery.require(VENUE)(environment)
    return replace(venue, book=BookRules(TimestampRule(), SnapshotSource.REST))


class LateHistory(EmptyHistory):
    """A history whose books state the number of a later moment."""

    async def book(self, symbol: str):
        found = await self._history.book(symbol)
        later = await self._history.book(symbol)
        return replace(found, last_sequence=later.last_sequence)


def with_late_books(make: VenueFactory) -> VenueFactory:
    """A venue whose REST books state a later number or time than that of their content."""

    def late(environment: Environment) -> Venue:
        venue = make(environment)
        return replace(venue, history=LateHistory(venue.history))

    return late


async def test_books_ordered_by_time_equal_the_exchanges_after_reconnects() -> None:
    cards = {"BOK-1", "BOK-2", "BOK-5", "BOK-6", "BOK-7", "BOK-8", "LIV-1", "CLK-1", "VFY-1"}
    chosen = [card for card in CARDS if card.card_id in cards | {"BOK-3"}]
    score = await play(VENUE, ordered_by_time, find_dialects()[VENUE], chosen)
    failed = {result.card.card_id: result.detail for result in score.results if result.detail}
    assert failed == {"BOK-3": "nothing shows that an update of a book is missing"}
    assert set(score.cards(CardStatus.PASSED)) == cards


async def test_a_late_number_of_a_rest_book_harms_only_numbered_books() -> None:
    late = [card for card in CARDS if card.card_id == "BOK-10"]
    dialect = find_dialects()[VENUE]
    numbered, timed = await asyncio.gather(
        play(VENUE, with_late_books(discovery.require(VENUE)), dialect, late),
        play(VENUE, with_late_books(ordered_by_time), dialect, late),
    )
    assert numbered.cards(CardStatus.FAILED) == ["BOK-10"]
    assert [result.detail for result in timed.results] == [""]


def without_quotes(environment: Environment) -> Venue:
    """A venue that declares no quotes, ids that show nothing, and one card that does not apply."""
    venue = discovery.require(VENUE)(environment)
    protocols = [WithoutQuotes(one) for one in venue.feed_protocols]
    skipped = {"LST-1": "for a test"}
    profile = replace(venue.profile, trade_numbering=TradeNumbering.NONE, skipped_cards=skipped)
    return replace(venue, feed_protocols=protocols, profile=profile)


class WithoutQuotes:
    """A feed protocol that does not declare its quotes."""

    def __init__(self, protocol) -> None:
        self._protocol = protocol
        self.channels = protocol.channels - {types_pb2.CHANNEL_QUOTES}

    def __getattr__(self, name: str):
        return getattr(self._protocol, name)


async def test_cards_are_skipped_by_what_the_venue_declares() -> None:
    cards = ("LST-1", "TRD-1", "TRD-3", "TRD-6", "QTE-1", "QTE-2")
    chosen = [card for card in CARDS if card.card_id in cards]
    seen: list[CardResult] = []
    score = await play(VENUE, without_quotes, find_dialects()[VENUE], chosen, on_result=seen.append)
    assert seen == score.results
    assert {one.card.card_id: one.detail for one in seen} == {
        "LST-1": "for a test",
        "TRD-1": "",
        "TRD-3": "the venue's trade ids do not show missing trades",
        "TRD-6": "the venue's trade ids do not show missing trades",
        "QTE-1": "the venue has no quotes",
        "QTE-2": "the venue has no quotes",
    }


@pytest.mark.parametrize(
    ("step_ns", "outcome"),
    [(1_000_000, CardStatus.FAILED), (1_000_000_000, CardStatus.PASSED)],
    ids=["milliseconds", "seconds"],
)
async def test_a_history_in_seconds_passes_where_it_is_declared(step_ns, outcome) -> None:
    def make(environment: Environment) -> Venue:
        venue = discovery.require(VENUE)(environment)
        profile = replace(venue.profile, trade_time_step_ns=step_ns)
        return replace(venue, history=HistoryInSeconds(venue.history), profile=profile)

    chosen = [card for card in CARDS if card.card_id == "TRD-1"]
    (result,) = (await play(VENUE, make, find_dialects()[VENUE], chosen)).results
    assert result.outcome is outcome, result.detail


class HistoryInSeconds(EmptyHistory):
    """A history whose trade times are whole seconds."""

    async def trades(self, *question):
        found = await self._history.trades(*question)
        for one in found:
            one.venue_time_ns -= one.venue_time_ns % 1_000_000_000
        return found


async def test_a_card_that_does_not_end_fails_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def wait_forever(context: CardContext) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(runner, "CARD_SECONDS_MAX", 0.05)
    endless = ConformanceCard("END-1", "ends", wait_forever, applies, venue_limits)
    (result,) = (
        await play(VENUE, discovery.require(VENUE), find_dialects()[VENUE], [endless])
    ).results
    assert (result.outcome, result.detail) == (CardStatus.FAILED, "did not end within 0 s")
