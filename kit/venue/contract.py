"""What a venue folder supplies. Everything else of a connector is the kit's.

A folder ``venues/<exchange>`` has a ``catalog.py`` with ``VENUES``, a dict from venue id to a
function that makes a Venue for a world. The parts of a Venue:

Wire      how to reach the feed and what its frames are about
Parsers   frames to rows, pure
SequenceRule  how updates of a book join
History   what is asked over REST
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.columns import BookRows, Numbers, QuoteRows, TradeRows
from kit.frames import Frames
from kit.numbers import IntColumn


class Kind(IntEnum):
    """What a frame is about."""

    TRADES = 0
    QUOTES = 1
    BOOK = 2
    REPLY = 3
    """The answer to a request of ours."""
    UNKNOWN = 4


class Wire(Protocol):
    """How to reach a venue's feed. Stateless."""

    def url(self, symbols: Sequence[str]) -> str:
        """Address of the websocket that serves these symbols."""

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """Messages that subscribe to all channels of these symbols."""

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """Messages that end those subscriptions."""

    def classify(self, frames: Frames) -> IntColumn:
        """The Kind of each frame, cheaply."""

    def refusal(self, reply: bytes) -> str | None:
        """The venue's words when a reply refuses a request, otherwise None.

        Raises FrameError when it is no reply at all.
        """


@dataclass(frozen=True, slots=True)
class Parsers:
    """Frames of one kind to rows. They raise FrameError."""

    trades: Callable[[Frames], TradeRows]
    quotes: Callable[[Frames], QuoteRows]
    book: Callable[[Frames], BookRows]


class UpdateNumbers(NamedTuple):
    """The numbers of a book update."""

    first: int
    last: int
    previous: int
    """last of the update that must have come before, where the venue says so; otherwise 0."""


class Join(Enum):
    """How an update follows what is known."""

    APPLY = "apply"
    OLD = "old"
    """Already contained: ignore it."""
    HOLE = "hole"
    """Something between is missing."""


class SequenceRule(Protocol):
    """How the updates of a venue's book join. Pure."""

    def after_update(self, last: int, update: UpdateNumbers) -> Join:
        """May this update follow the update that ended with ``last``?"""

    def after_snapshot(self, last: int, update: UpdateNumbers) -> Join:
        """May this be the first update after a snapshot of ``last``?"""

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """Do all these updates follow the one that ended with ``last``, each the one before it?"""


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A whole book as a venue's REST answer gives it; bids before asks in the level columns."""

    last_sequence: int
    bid_count: int
    price: Numbers
    size: Numbers
    received_time_ns: int


class History(Protocol):
    """What is asked over REST. Methods raise VenueUnavailable, RateLimited, UnknownInstrument."""

    async def instruments(self) -> list[types_pb2.Instrument]:
        """All that the venue lists."""

    async def book(self, symbol: str) -> BookSnapshot:
        """The book now, as deep as the venue gives it."""

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """Oldest first, from a trade id (when not 0) or from a time."""

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """Oldest first, from the first that opens at or after a time."""

    async def close(self) -> None:
        """End the connections."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a venue allows. Sources stand in the folder's README."""

    symbols_per_connection: int
    requests_per_second: float
    """Messages that may be sent on one connection."""
    ping_interval_s: float | None
    """How often to ping by ourselves; None where the venue pings and we answer."""
    silence_s: float
    """A connection without any frame for so long is dead."""


@dataclass(frozen=True, slots=True)
class Venue:
    """One venue, ready to be served."""

    venue_id: str
    port: int
    wire: Wire
    parsers: Parsers
    sequence_rule: SequenceRule
    history: History
    limits: Limits
    default_symbols: Sequence[str]
    """Used in the live world when nothing is configured."""


VenueFactory = Callable[[str, str], Venue]
"""(world, simulator_url) -> Venue."""

Catalog = Mapping[str, VenueFactory]
