"""What an account on paper hears of the market. Amounts are ``Decimal``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from kit.execution.market_source import Reached


class BookLevel(NamedTuple):
    """A level of a book as it is now; size 0: it is gone."""

    is_bid: bool
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class BookUpdated:
    """Levels of a book are different."""

    symbol: str
    levels: Sequence[BookLevel]
    is_whole: bool
    """Whether these are all levels."""
    venue_time_ns: int
    """0 where the venue does not say."""


@dataclass(frozen=True, slots=True)
class BookUnproven:
    """A book cannot be relied on until it is told as a whole again."""

    symbol: str


@dataclass(frozen=True, slots=True)
class TradeReported:
    """A public trade."""

    symbol: str
    price: Decimal
    size: Decimal
    taker_buys: bool | None
    """None where the venue does not say."""
    venue_time_ns: int


@dataclass(frozen=True, slots=True)
class MarkReported:
    """What a derivative is valued at. None, or 0, where the row does not say."""

    symbol: str
    price: Decimal | None
    funding_rate: Decimal | None
    next_funding_time_ns: int
    time_ns: int
    """By the venue's clock; when it was heard, where the venue does not say."""


class EventsLost:
    """Events were lost: this reader was too slow."""


class MarketRestarted:
    """Another market begins: what waits in the one of before has no place in it."""


MarketEvent = (
    BookUpdated | BookUnproven | TradeReported | MarkReported | EventsLost | MarketRestarted
)
MarketListener = Callable[[Sequence[MarketEvent]], None]


class Market(Protocol):
    """One venue's instruments. Books are as they are after all that ``catch_up`` has told."""

    async def run(self) -> None:
        """Tell what happens, until the venue stops or it is cancelled."""

    def watch(self, symbols: frozenset[str]) -> None:
        """Tell of these from now on, and of no others. Raises TooManySubscribers."""

    def catch_up(self) -> None:
        """Tell at once what has happened up to now."""

    def keeps(self, symbol: str) -> bool:
        """Whether there is a book of it, in doubt or not."""

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        """Price and size, best first, so many at most. None: the book is in doubt."""

    def book_time_ns(self, symbol: str) -> int:
        """The venue's time of a book. 0: it does not say."""

    def reached(self) -> Reached:
        """How far it has been told, to be remembered with what has come of it. Empty: it is not
        told again."""

    def go_on(self, reached: Reached) -> None:
        """So far it was told before, perhaps in another process. While it has not come again to
        there nothing is told, and every book is in doubt."""
