"""A connector that does not start fails its cards with the reason."""

from dataclasses import replace

import pytest

from kit.base.errors import VenueUnavailable
from kit.conformance import connector_under_test
from kit.conformance.card import CARDS
from kit.conformance.runner import play
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment, FrameKind, Venue
from kit.marketdata.model.columns import BookRows, SymbolColumn
from kit.simulator.dialect import find_dialects
from tests.conformance.test_broken import VENUE, BrokenFeedProtocol, EmptyHistory, broken

pytestmark = pytest.mark.integration


class NoKindMatches(BrokenFeedProtocol):
    """A feed protocol whose patterns are in no frame."""

    def __init__(self, wire) -> None:
        self._wire = wire
        self.kinds: list[FrameKind] = [replace(one, pattern=b"nowhere") for one in wire.kinds]


def without_kinds(environment: Environment) -> Venue:
    venue = discovery.require(VENUE)(environment)
    return replace(venue, feed_protocols=[NoKindMatches(one) for one in venue.feed_protocols])


class HistoryWithoutBooks(EmptyHistory):
    """A history that answers no request for a book."""

    async def book(self, symbol: str):
        raise VenueUnavailable("no such path: /book", service=VENUE)


def without_books(environment: Environment) -> Venue:
    venue = discovery.require(VENUE)(environment)
    return replace(venue, history=HistoryWithoutBooks(venue.history))


def other_symbols(rows: BookRows) -> BookRows:
    """Symbols as nobody has subscribed to them."""
    names = [name.lower() for name in rows.symbols.names]
    return replace(rows, symbols=SymbolColumn(names, rows.symbols.row))


def without_catalog(environment: Environment) -> Venue:
    raise KeyError("feed_url")


@pytest.mark.parametrize(
    ("make", "reasons"),
    [
        (without_kinds, ["0 book", "matched no kind", "no frame has become an update"]),
        (without_books, ["no such path: /book", "no snapshot: BTCUSDT"]),
        (broken("book", other_symbols), ["symbol not subscribed: "]),
        (without_catalog, ["KeyError('feed_url')"]),
    ],
    ids=["no kind matches", "no REST book", "other symbols", "no catalog"],
)
async def test_cards_of_a_connector_that_does_not_start_name_the_reason(
    make, reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector_under_test, "WAIT_SECONDS_MAX", 3.0)
    chosen = [card for card in CARDS if card.card_id in ("BOK-1", "LST-1")]
    results = (await play(VENUE, make, find_dialects()[VENUE], chosen)).results
    first, second = results
    assert first.detail.startswith("the connector did not start: ")
    for reason in reasons:
        assert reason in first.detail
    assert second.detail == f"the connector did not start: see {first.card.card_id}"
