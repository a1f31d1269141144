"""Run conformance cards against a venue."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from kit.base.errors import VenuemeshError
from kit.conformance import cards
from kit.conformance.card import (
    CARDS,
    CardContext,
    CardFailure,
    CardResult,
    CardStatus,
    ConformanceCard,
)
from kit.conformance.connector_under_test import ConnectorUnderTest, connector
from kit.conformance.simulated_exchange import exchange
from kit.conformance.start_problems import log_of_warnings, start_problems
from kit.connector.contract.venue import Environment, Venue, VenueFactory, VenueLimits
from kit.simulator.dialect import Dialect

SYMBOLS = 3
"""Instruments to subscribe to: faults are injected into one, the others are watched."""
CARD_SECONDS_MAX = 120.0
assert cards.__all__, "the cards are loaded"

OnResult = Callable[[CardResult], None]


@dataclass(frozen=True, slots=True)
class VenueCardResults:
    """The results of a venue, in the order of the cards."""

    venue_id: str
    results: Sequence[CardResult]

    def cards(self, outcome: CardStatus) -> list[str]:
        """The ids of the cards with this outcome."""
        return [result.card.card_id for result in self.results if result.outcome is outcome]


def ignore(result: CardResult) -> None:
    """Do nothing with a result."""


async def play(
    venue_id: str,
    make: VenueFactory,
    dialect: Callable[[], Dialect],
    chosen: Sequence[ConformanceCard] = CARDS,
    options: dict[str, str] | None = None,
    on_result: OnResult = ignore,
) -> VenueCardResults:
    """Run cards one after another, and call ``on_result`` as each one ends. After a failed card
    the next one gets a new connector."""

    def venue(url: str, limits: Callable[[VenueLimits], VenueLimits]) -> Venue:
        made = make(Environment("simulate", url, options or {}))
        return replace(made, limits=limits(made.limits))

    results: list[CardResult] = []

    def add(result: CardResult) -> None:
        results.append(result)
        on_result(result)

    left = list(chosen)
    while left:
        before = len(left)
        try:
            async with _context(venue_id, venue, dialect, left[0]) as context:
                while left:
                    add(await _run_card(left.pop(0), context))
                    context.exchange.clear()
                    changes = left and (
                        left[0].needs_own_connector or results[-1].card.needs_own_connector
                    )
                    if changes or results[-1].outcome is CardStatus.FAILED:
                        break
        except Exception as error:  # A connector that is being written may raise anything.
            if len(left) < before:
                raise
            why = str(error) if isinstance(error, TimeoutError) else repr(error)
            first = left[0]
            while left:
                card = left.pop(0)
                reason = why if card is first else f"see {first.card_id}"
                detail = f"the connector did not start: {reason}"
                add(CardResult(card, CardStatus.FAILED, detail, 0.0))
    return VenueCardResults(venue_id, results)


@asynccontextmanager
async def _context(
    venue_id: str,
    venue: Callable[[str, Callable[[VenueLimits], VenueLimits]], Venue],
    dialect: Callable[[], Dialect],
    first: ConformanceCard,
) -> AsyncIterator[CardContext]:
    async with exchange(venue_id, dialect) as simulated:
        made = venue(simulated.url, first.limits)
        symbols = simulated.symbols[:SYMBOLS]
        async with connector(made, symbols) as connected:
            await _wait_for_books(connected, symbols)
            yield CardContext(simulated, connected, symbols)


async def _wait_for_books(connected: ConnectorUnderTest, symbols: Sequence[str]) -> None:
    """Raises TimeoutError, which says what is wrong."""
    with log_of_warnings() as warnings:
        try:
            await connected.until(connected.synchronized, "the first snapshots of all books")
        except TimeoutError as error:
            problems = [*await start_problems(connected, symbols), *warnings]
            raise TimeoutError("; ".join([str(error), *problems])) from None


async def _run_card(card: ConformanceCard, context: CardContext) -> CardResult:
    started = context.connector.now_s()
    outcome, detail = CardStatus.PASSED, ""
    declared = context.venue.profile.skipped_cards.get(card.card_id, "")
    reason = declared or card.skip_reason(context.venue)
    if reason:
        return CardResult(card, CardStatus.SKIPPED, reason, 0.0)
    try:
        async with asyncio.timeout(CARD_SECONDS_MAX) as limit:
            await card.action(context)
    except (CardFailure, TimeoutError, VenuemeshError) as failure:
        ran_out = f"did not end within {CARD_SECONDS_MAX:.0f} s" if limit.expired() else ""
        outcome, detail = CardStatus.FAILED, ran_out or str(failure)
    except Exception as error:  # A connector that raises anything else has failed too.
        outcome, detail = CardStatus.FAILED, repr(error)
    return CardResult(card, outcome, detail, context.connector.now_s() - started)
