"""What a card is, and how it ends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum

from kit.conformance.connector import Connector
from kit.conformance.exchange import Exchange
from kit.connector.contract.venue import VenueLimits


class Failed(Exception):
    """The connector is not right. The text says what was seen."""


class Skipped(Exception):
    """The card does not concern this venue. The text says why."""


class Outcome(Enum):
    """How a card ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Rig:
    """What a card is played with."""

    exchange: Exchange
    connector: Connector
    symbols: tuple[str, ...]
    """Subscribed, all of their books proven. Cards harm the first and watch the others."""

    @property
    def first(self) -> str:
        """The instrument that things happen to."""
        return self.symbols[0]


Action = Callable[[Rig], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Card:
    """One thing that every connector must do."""

    card_id: str
    title: str
    """What is right, in a sentence."""
    action: Action
    needs: Callable[[Rig], str]
    """Why it does not concern a venue; "" when it does."""
    limits: Callable[[VenueLimits], VenueLimits]
    """The limits that it is played with, such as a shorter silence."""

    @property
    def alone(self) -> bool:
        """Whether it needs a connector of its own."""
        return self.limits is not usual


def nothing(rig: Rig) -> str:
    """It concerns every venue."""
    return ""


def usual(limits: VenueLimits) -> VenueLimits:
    """As the venue says."""
    return limits


def impatient(limits: VenueLimits) -> VenueLimits:
    """So that what takes minutes takes seconds."""
    return replace(limits, silence_s=2.0)


@dataclass(frozen=True, slots=True)
class Result:
    """How a card ended for a venue."""

    card: Card
    outcome: Outcome
    detail: str
    seconds: float


CARDS: list[Card] = []
"""All cards, in the order in which they are played."""


def card(
    card_id: str,
    needs: Callable[[Rig], str] = nothing,
    limits: Callable[[VenueLimits], VenueLimits] = usual,
) -> Callable[[Action], Action]:
    """Makes a card of an action, whose docstring says what is right. It passes when the action
    returns."""

    def add(action: Action) -> Action:
        title = " ".join((action.__doc__ or "").split()).removesuffix(".")
        CARDS.append(Card(card_id, title, action, needs, limits))
        return action

    return add


def expect(right: object, seen: str) -> None:
    """Raises Failed with what was seen."""
    if not right:
        raise Failed(seen)
