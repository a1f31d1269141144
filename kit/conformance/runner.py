"""Plays cards against a venue, and tells the score."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from kit.base.errors import VenuemeshError
from kit.conformance import cards
from kit.conformance.card import CARDS, Card, Failed, Outcome, Result, Rig, Skipped
from kit.conformance.connector import connector
from kit.conformance.exchange import exchange
from kit.connector.contract.venue import Environment, Venue, VenueFactory, VenueLimits
from kit.simulator.dialect import Dialect

SYMBOLS = 3
"""Subscribed to: one is harmed, the others are watched."""
assert cards.__all__, "the cards are loaded"


@dataclass(frozen=True, slots=True)
class Score:
    """How a venue did."""

    venue_id: str
    results: Sequence[Result]

    def cards(self, outcome: Outcome) -> list[str]:
        """Ids of the cards that ended so."""
        return [result.card.card_id for result in self.results if result.outcome is outcome]


async def play(
    venue_id: str,
    make: VenueFactory,
    dialect: Callable[[], Dialect],
    chosen: Sequence[Card] = CARDS,
    options: dict[str, str] | None = None,
) -> Score:
    """All cards, one after another. A connector that failed one is replaced for the next."""

    def venue(url: str, limits: Callable[[VenueLimits], VenueLimits]) -> Venue:
        made = make(Environment("simulate", url, options or {}))
        return replace(made, limits=limits(made.limits))

    results: list[Result] = []
    left = list(chosen)
    while left:
        async with _rig(venue_id, venue, dialect, left[0]) as rig:
            while left:
                results.append(await _play_one(left.pop(0), rig))
                rig.exchange.clear()
                fresh = left and (left[0].alone or results[-1].card.alone)
                if fresh or results[-1].outcome is Outcome.FAILED:
                    break
    return Score(venue_id, results)


@asynccontextmanager
async def _rig(
    venue_id: str,
    venue: Callable[[str, Callable[[VenueLimits], VenueLimits]], Venue],
    dialect: Callable[[], Dialect],
    first: Card,
) -> AsyncIterator[Rig]:
    async with exchange(venue_id, dialect) as pretended:
        made = venue(pretended.url, first.limits)
        symbols = pretended.symbols[:SYMBOLS]
        async with connector(made, symbols) as connected:
            await connected.until(connected.proven, "proven books")
            yield Rig(pretended, connected, symbols)


async def _play_one(card: Card, rig: Rig) -> Result:
    started = rig.connector.now_s()
    outcome, detail = Outcome.PASSED, ""
    reason = card.needs(rig)
    if reason:
        return Result(card, Outcome.SKIPPED, reason, 0.0)
    try:
        await card.action(rig)
    except Skipped as skipped:
        outcome, detail = Outcome.SKIPPED, str(skipped)
    except (Failed, TimeoutError, VenuemeshError) as failure:
        outcome, detail = Outcome.FAILED, str(failure)
    except Exception as error:  # A connector that raises anything else has failed too.
        outcome, detail = Outcome.FAILED, repr(error)
    return Result(card, outcome, detail, rig.connector.now_s() - started)
