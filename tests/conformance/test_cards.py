"""Every connector passes every card that concerns it."""

import pytest

from kit.conformance.card import CARDS, Outcome
from kit.conformance.runner import play
from kit.simulator.dialect import find_dialects
from kit.venue import discovery

pytestmark = pytest.mark.integration

SKIPS = {
    "binance": {"MRK-1"},
    "binance_futures": set(),
    "bybit": {"MRK-1", "TRD-3"},
    "coinbase": {"BOK-4", "MRK-1"},
    "deribit": set(),
    "kraken": {"MRK-1"},
    "okx": {"MRK-1"},
    "okx_futures": set(),
}
"""The cards that do not concern a venue, and no others."""


def test_there_is_a_pretended_exchange_for_every_venue() -> None:
    assert set(find_dialects()) == set(discovery.venues()) == set(SKIPS)


@pytest.mark.parametrize("venue_id", sorted(SKIPS))
async def test_the_connector_passes(venue_id: str) -> None:
    score = await play(venue_id, discovery.require(venue_id), find_dialects()[venue_id])
    failed = {
        result.card.card_id: result.detail
        for result in score.results
        if result.outcome is Outcome.FAILED
    }
    assert failed == {}
    assert set(score.cards(Outcome.SKIPPED)) == SKIPS[venue_id]
    assert len(score.results) == len(CARDS)
