"""The contract of a venue folder. Everything else of a connector is in the kit.

A folder ``venues/<exchange>`` has a ``catalog.py`` with ``VENUES``, a dict from venue id to a
function that makes a Venue for an environment. The parts of a Venue:

FeedProtocol  how to reach a feed: addresses, subscriptions, keep-alive, control messages
FrameKind     frames with a common text, and the pure functions that turn them into rows
BookRules     how updates of a book join, and how a book proves itself
VenueHistory  requests over REST
VenueLimits   what the venue allows
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import SystemClock
from kit.base.cursor import Channel
from kit.base.number_columns import IntColumn
from kit.base.request_budget import BanRule, RequestBudget
from kit.connector.contract.source import RowFeedFactory
from kit.execution.contract import Credentials, ExecutionClient, Transport
from kit.execution.paper.rules import FeeSchedule
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import PriceLevels, Rows

CHANNEL_STATUS: Channel = types_pb2.CHANNEL_STATUS
DEFAULT_FEE_SCHEDULE = FeeSchedule()

ExecutionClientFactory = Callable[[Credentials, RequestBudget | None], ExecutionClient]
"""The execution client of one account; its calls share the budget."""
Parse = Callable[[Frames], Rows]
"""Frames to rows, pure: no I/O, no clock, no state. Raises FrameError."""


@dataclass(frozen=True, slots=True)
class FrameKind:
    """Frames that have a text near their beginning, and what is read from them."""

    name: str
    """For logs and metrics, for example "trades"."""
    pattern: bytes
    """A text within the ``window_bytes`` of the feed protocol."""
    parsers: Sequence[Parse]
    """Each frame goes through all of them. Empty: the frames are ignored."""


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """A frame of no FrameKind: a response to a request, a heartbeat, a notice."""

    rejection: str = ""
    """The venue's message when it rejects a request."""
    rejected_symbols: Sequence[str] = ()
    """Instruments whose subscriptions are finally rejected, if the message names them."""
    replies: Sequence[str] = ()
    """Messages to send back on the same connection."""
    is_closing: bool = False
    """The venue will close the connection: open another one, and move to it without a gap."""
    is_broken: bool = False
    """The venue has given the connection up: reconnect."""


class FeedProtocol(Protocol):
    """How to reach one feed of a venue. Stateless. A venue with several feeds has several."""

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that come over it; a lost connection interrupts these."""

    @property
    def kinds(self) -> Sequence[FrameKind]:
        """The kinds of its frames. The first whose pattern is found decides."""

    @property
    def window_bytes(self) -> int:
        """Within how many bytes at the beginning of a frame its pattern stands; negative: at the
        end of the frame."""

    def url(self, symbols: Sequence[str]) -> str:
        """Address of the websocket that serves these symbols."""

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """Messages that subscribe to all channels of these symbols."""

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """Messages that end those subscriptions."""

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """Messages that make the venue send this book again; none where it comes over REST."""

    def ping(self, request_id: int) -> str | None:
        """The venue's own keep-alive message; None: a websocket ping frame."""

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Read a frame of no kind. Raises FrameError when the venue documents no such frame."""


class SequenceNumbers(NamedTuple):
    """The numbers of a book update."""

    first: int
    last: int
    previous: int
    """last of the update that must have come before, if the venue states it; otherwise 0."""


class SequenceResult(Enum):
    """How an update follows what is known."""

    APPLY = "apply"
    STALE = "stale"
    """Contained already: ignore it."""
    GAP = "gap"
    """Updates between are missing."""


class UpdateOrdering(Enum):
    """What a sequence rule can prove about the updates of a book."""

    NONE = "none"
    """Nothing: neither whether an update is missing, nor which updates a snapshot contains."""
    TIME = "time"
    """Which updates a snapshot contains, and not whether an update is missing."""
    SEQUENCE = "sequence"
    """Both."""


class SequenceRule(Protocol):
    """How the updates of a venue's book join. Pure. Common ones: books/sequence_rules.py."""

    @property
    def ordering(self) -> UpdateOrdering:
        """What the numbers of the updates can prove."""

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """May this update follow the update that ended with ``last``?"""

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """May this be the first update after a snapshot of ``last``?"""

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """Do all these updates follow the one that ended with ``last``, each the one before it?"""


class SnapshotSource(Enum):
    """Where a whole book comes from."""

    REST = "rest"
    """History.book, whenever one is needed."""
    FEED = "feed"
    """The feed, after a subscription; ``FeedProtocol.renew_book`` asks for another."""


class BookProof(Enum):
    """What shows that no update of a book is missing."""

    SEQUENCE = "sequence"
    """The numbers of its updates."""
    CHECKSUM = "checksum"
    """A checksum in each update, over the top of the book."""
    CONNECTION_SEQUENCE = "connection sequence"
    """The numbers of all frames of a connection."""


@dataclass(frozen=True, slots=True)
class BookRules:
    """How a book is kept and checked. Raises ValueError for rules that contradict each other."""

    sequence: SequenceRule
    snapshots: SnapshotSource
    checksum: Checksum = Checksum.NONE
    depth: int = 0
    """Levels per side that the venue keeps up to date; what falls out is cut. 0: all."""
    crossing_is_wrong: bool = False
    """A best bid that is not below the best ask shows a missed update. This check finds some missed
    updates and not all of them, so it is no proof of a book."""
    same_everywhere: bool = False
    """The numbers of updates are the same on all connections, and show which updates came before:
    so the updates of two connections make one book (process/peer_replica.py)."""

    def __post_init__(self) -> None:
        if self.snapshots is SnapshotSource.REST and self.sequence.ordering is UpdateOrdering.NONE:
            raise ValueError(
                "REST snapshots need a sequence rule that tells which updates a snapshot contains:"
                " number the updates, or use TimestampRule with the venue's update times"
            )
        if self.same_everywhere and self.sequence.ordering is not UpdateOrdering.SEQUENCE:
            raise ValueError("same_everywhere needs a sequence rule that shows missing updates")


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A whole book as a venue's REST answer gives it."""

    last_sequence: int
    """Of its last update, as the feed counts them; 0 where the answer does not say."""
    bids: PriceLevels
    asks: PriceLevels
    received_time_ns: int
    size_decimals: int | None = None
    """Sizes are cut to so many decimal places, where the answer knows them worse than the feed."""


class VenueHistory(Protocol):
    """What is asked over REST. Methods raise VenueUnavailable, RateLimited, UnknownInstrument."""

    async def instruments(self) -> list[types_pb2.Instrument]:
        """All that the venue lists."""

    async def book(self, symbol: str) -> BookSnapshot:
        """The book now, as deep as the venue gives it."""

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """Oldest first, from a trade id (when not 0) or from a time; neither: the newest."""

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """The newest trade, asked before calls that read the past; None if there is none."""

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """Oldest first, from the first that opens at or after a time."""

    async def close(self) -> None:
        """End the connections."""


@dataclass(frozen=True, slots=True)
class VenueLimits:
    """The limits of a venue. The folder's README has the sources."""

    symbols_per_connection: int
    symbols_per_message: int
    messages_per_second: float
    """Messages that may be sent on one connection."""
    ping_interval_s: float | None
    """How often to ping by ourselves; None where the venue pings and we answer."""
    silence_s: float
    """A connection without any frame for so long is dead."""
    lifetime_s: float | None = None
    """The venue ends every connection at this age; we move before."""
    requests_per_second: float = 10
    """REST calls of this process, of all kinds together but those of orders."""
    orders_per_second: float = 5
    """Calls that place, change, cancel or ask for orders, on average."""
    orders_at_once: float = 10
    """So many of them may come together after a quiet time."""
    connections_per_minute: float = 60
    """Attempts to connect of this process, on average; ten may come at once."""
    ban_rules: Sequence[BanRule] = ()
    """Signs of a ban besides HTTP status 418 and those of Cloudflare."""
    stale_after_s: float = 60
    """A subscription that is silent for less is left alone, however lively it was before."""


class ConnectorMaturity(Enum):
    """How far a connector can be relied on."""

    PREVIEW = "preview"
    """It passes its own simulator."""
    PROVEN = "proven"
    """It reads real captures of the venue exactly."""


class TradeHistoryLookup(Enum):
    """By what History.trades can find past trades."""

    BY_ID = "by id"
    BY_TIME = "by time"


class TradeNumbering(Enum):
    """How the ids of published trades show missing ones."""

    NONE = "none"
    """Nothing."""
    CONSECUTIVE = "consecutive"
    """Each trade of an instrument has the number after the one before."""
    SKIPPING = "skipping"
    """Numbers grow, but some belong to no trade, or several to one that sums them up. What is
    missing shows when a trade comes, not in the published ids alone."""


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """What a person wants to know of a venue before using it; the exchange catalog."""

    exchange: str
    """For example "Binance"."""
    segment: str
    """"spot", "perpetual" or "derivatives"."""
    maturity: ConnectorMaturity
    credentials: Sequence[str] = ()
    """Names of what a live connection for market data needs; usually nothing."""
    notes: str = ""
    trade_history: Sequence[TradeHistoryLookup] = (
        TradeHistoryLookup.BY_ID,
        TradeHistoryLookup.BY_TIME,
    )
    """Empty for a venue that lists only its newest trades."""
    trade_numbering: TradeNumbering = TradeNumbering.NONE
    trade_time_step_ns: int = 1_000_000
    """Resolution of the trade times that VenueHistory.trades gives, for example whole seconds. The
    feed may have finer ones."""
    skipped_cards: Mapping[str, str] = field(default_factory=dict)
    """Conformance cards that do not apply to this venue, by card id, each with the reason. Cards
    about channels, numbers and proofs that the venue does not declare are skipped without it."""
    candles_sum_trades: bool = True
    """Whether a candle's volume is the sum of the trades' sizes. False: it is in another unit."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a venue runs, and what was chosen for it."""

    world: str
    """"live", "simulate" or "replay"."""
    simulator_url: str
    options: Mapping[str, str] = field(default_factory=dict)
    """The section ``venues.<id>.options`` of the settings."""
    transport: Transport = "websocket"
    """How orders are sent; from the section ``orders``."""
    limits_requests: bool = False
    """Whether REST calls wait for their turn in a request budget, as they do in a venue process."""

    def request_budget(self, venue_id: str, limits: "VenueLimits") -> RequestBudget | None:
        """The budget that all REST calls of a venue share, or None for calls without limit."""
        if not self.limits_requests:
            return None
        return RequestBudget(
            venue_id, limits.requests_per_second, SystemClock(), ban_rules=limits.ban_rules
        )

    def rest(self, venue_id: str) -> str | None:
        """Base address of the simulated venue; None in the live world."""
        return None if self.world == "live" else f"{self.simulator_url}/{venue_id}"

    def feed(self, venue_id: str, live: str) -> str:
        """Base address for websockets: the live one, or the simulated venue's."""
        simulated = self.rest(venue_id)
        return live if simulated is None else simulated.replace("http", "ws", 1)


@dataclass(frozen=True, slots=True)
class Venue:
    """One venue, ready to be served."""

    venue_id: str
    port: int
    profile: VenueProfile
    feed_protocols: Sequence[FeedProtocol]
    book: BookRules
    history: VenueHistory
    limits: VenueLimits
    default_symbols: Sequence[str]
    """Used in the live world when nothing is configured."""
    connection_sequence: Callable[[Frames], IntColumn] | None = None
    """The number of each frame of a connection, where the venue counts all of them together: a
    jump means that something of any instrument of the connection is missing."""
    row_feed: RowFeedFactory | None = None
    """Instead of feed protocols: a client library, see kit/connector/contract/source.py."""
    execution_client: ExecutionClientFactory | None = None
    """Makes the execution client of one account; None: this venue takes no orders."""
    request_budget: RequestBudget | None = None
    """Of the REST calls of ``history``; None: they go out at once."""
    fee_schedule: FeeSchedule = DEFAULT_FEE_SCHEDULE
    """What trading there is like, for accounts on paper."""

    @property
    def book_proofs(self) -> frozenset[BookProof]:
        """What proves the books of this venue. Without any, a missed update goes unnoticed, and
        GetOrderBook calls a book UNPROVEN at best."""
        found = {
            BookProof.SEQUENCE: self.book.sequence.ordering is UpdateOrdering.SEQUENCE,
            BookProof.CHECKSUM: self.book.checksum is not Checksum.NONE,
            BookProof.CONNECTION_SEQUENCE: self.connection_sequence is not None,
        }
        return frozenset(proof for proof, is_there in found.items() if is_there)

    @property
    def channels(self) -> frozenset[Channel]:
        """All that is published: what comes from it, and STATUS, which is made of what it lists."""
        parts = [wire.channels for wire in self.feed_protocols]
        if self.row_feed is not None:
            parts.append(self.row_feed.channels)
        return frozenset([CHANNEL_STATUS]).union(*parts)


VenueFactory = Callable[[Environment], Venue]
Catalog = Mapping[str, VenueFactory]
