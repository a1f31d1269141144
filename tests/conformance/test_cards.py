"""Every connector passes every card that concerns it."""

import asyncio
from collections.abc import Collection, Mapping

import pytest
from venuemesh.common.v1 import types_pb2

from kit.conformance.card import CARDS, CardStatus
from kit.conformance.runner import VenueCardResults, play
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment, SnapshotSource
from kit.simulator.dialect import find_dialects

pytestmark = pytest.mark.integration

ABOUT_CHANNELS = {
    "QTE-1": types_pb2.CHANNEL_QUOTES,
    "QTE-2": types_pb2.CHANNEL_QUOTES,
    "TCK-1": types_pb2.CHANNEL_TICKERS,
    "MRK-1": types_pb2.CHANNEL_MARKS,
    "CND-1": types_pb2.CHANNEL_CANDLES,
}
"""Cards that do not concern a venue without such a channel."""
SKIPS: Mapping[str, set[str]] = {
    "binance": set(),
    "binance_futures": set(),
    "bybit": {"TRD-3", "TRD-6", "VFY-2"},  # its trade ids show no missing trade
    "coinbase": {"BOK-4"},  # it numbers all frames of a connection together
    "deribit": set(),
    "kraken": set(),
    "okx": {"VFY-2"},
    "okx_futures": {"VFY-2"},
}
"""The other cards that these venues skip; a new venue declares its own. VFY-2: the simulator
answers REST from its feed, so it has no old answer."""


AT_ONCE = 3
"""Venues whose cards are played beside each other: they wait more than they work."""
PLAY_SECONDS_MAX = 600


BOOKS_OVER_REST = {"BOK-10"}
"""Cards that do not concern a venue whose feed sends whole books."""


def skips(venue_id: str) -> set[str]:
    """The cards that do not concern a venue, and no others."""
    venue = discovery.require(venue_id)(Environment("simulate", "http://127.0.0.1:1"))
    absent = {card for card, channel in ABOUT_CHANNELS.items() if channel not in venue.channels}
    if venue.book.snapshots is SnapshotSource.FEED:
        absent |= BOOKS_OVER_REST
    return absent | SKIPS[venue_id]


def test_there_is_a_simulated_exchange_for_every_venue() -> None:
    assert set(find_dialects()) == set(discovery.venues()) >= set(SKIPS)


@pytest.fixture(scope="module")
def scores(request: pytest.FixtureRequest) -> Mapping[str, VenueCardResults | BaseException]:
    """How the venues did that are asked for, or what went wrong."""
    chosen = {
        item.callspec.params["venue_id"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    return asyncio.run(play_all(sorted(chosen)))


async def play_all(venue_ids: Collection[str]) -> Mapping[str, VenueCardResults | BaseException]:
    """The cards of several venues, a few venues at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def play_one(venue_id: str) -> VenueCardResults:
        async with room:
            return await play(venue_id, discovery.require(venue_id), find_dialects()[venue_id])

    played = await asyncio.gather(*map(play_one, venue_ids), return_exceptions=True)
    return dict(zip(venue_ids, played, strict=True))


@pytest.mark.timeout(PLAY_SECONDS_MAX)
@pytest.mark.parametrize("venue_id", sorted(discovery.venues()))
def test_the_connector_passes(
    venue_id: str, scores: Mapping[str, VenueCardResults | BaseException]
) -> None:
    score = scores[venue_id]
    if isinstance(score, BaseException):
        raise score
    failed = {
        result.card.card_id: result.detail
        for result in score.results
        if result.outcome is CardStatus.FAILED
    }
    assert failed == {}
    if venue_id in SKIPS:
        assert set(score.cards(CardStatus.SKIPPED)) == skips(venue_id)
    assert len(score.results) == len(CARDS)
