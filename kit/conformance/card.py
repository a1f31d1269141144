"""Conformance cards: one test each, with what must hold, when it applies, and how it ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum

from kit.conformance.connector_under_test import ConnectorUnderTest
from kit.conformance.simulated_exchange import SimulatedExchange
from kit.connector.contract.venue import Venue, VenueLimits


class CardFailure(Exception):
    """The connector does not do what the card requires. The text has what was observed."""


class CardStatus(Enum):
    """How a card ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CardContext:
    """The exchange and the connector that a card acts on."""

    exchange: SimulatedExchange
    connector: ConnectorUnderTest
    symbols: tuple[str, ...]
    """Subscribed instruments, all of their books synchronized. Cards inject faults into the first
    and watch the others."""

    @property
    def first(self) -> str:
        """The instrument that faults are injected into."""
        return self.symbols[0]

    @property
    def venue(self) -> Venue:
        return self.connector.venue


Action = Callable[[CardContext], Awaitable[None]]
SkipReason = Callable[[Venue], str]
"""Why a card does not apply to a venue, by what the venue declares; "" when it applies."""


@dataclass(frozen=True, slots=True)
class ConformanceCard:
    """One thing that every connector must do."""

    card_id: str
    title: str
    """What must hold, in a sentence."""
    action: Action
    """Returns when it holds; raises CardFailure or TimeoutError when it does not."""
    skip_reason: SkipReason
    limits: Callable[[VenueLimits], VenueLimits]
    """The limits for this card, such as a shorter silence."""

    @property
    def needs_own_connector(self) -> bool:
        """Whether it cannot share a connector with other cards."""
        return self.limits is not venue_limits


def applies(venue: Venue) -> str:
    """The card applies to every venue."""
    return ""


def venue_limits(limits: VenueLimits) -> VenueLimits:
    """The limits of the venue."""
    return limits


def short_silence(limits: VenueLimits) -> VenueLimits:
    """The limits of the venue, with seconds of silence where it allows minutes."""
    return replace(limits, silence_s=2.0)


@dataclass(frozen=True, slots=True)
class CardResult:
    """How a card ended for a venue."""

    card: ConformanceCard
    outcome: CardStatus
    detail: str
    seconds: float


CARDS: list[ConformanceCard] = []
"""All cards, in the order in which they run."""


def card(
    card_id: str,
    skip_reason: SkipReason = applies,
    limits: Callable[[VenueLimits], VenueLimits] = venue_limits,
) -> Callable[[Action], Action]:
    """Register an action as a card. The action's docstring is the title of the card."""

    def add(action: Action) -> Action:
        title = " ".join((action.__doc__ or "").split()).removesuffix(".")
        CARDS.append(ConformanceCard(card_id, title, action, skip_reason, limits))
        return action

    return add


def expect(holds: object, seen: str) -> None:
    """Raise CardFailure with what was seen, unless something holds."""
    if not holds:
        raise CardFailure(seen)
