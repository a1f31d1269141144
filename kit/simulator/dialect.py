"""What an exchange must bring to be pretended: its dialect. Found by folder, never by name.

``venues/<exchange>/simulator`` has a mapping ``DIALECTS`` from venue id to something that makes a
Dialect. The kit knows what markets, tapes, sockets and faults are; a dialect knows the words.
"""

import importlib
import importlib.util
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from kit.connector.contract import discovery
from kit.simulator.events import Instrument
from kit.simulator.history import TradeHistory, TradePrint
from kit.simulator.listing import BookSnapshot, Listing, Mark
from kit.simulator.market import Step
from kit.simulator.matching.contract import MatchingEngine, MatchingRules


class Channel(StrEnum):
    """What a stream carries, in the mesh's words."""

    TRADES = "trades"
    QUOTES = "quotes"
    BOOK = "book"
    TICKERS = "tickers"
    MARKS = "marks"
    CANDLES = "candles"
    STATUS = "status"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One thing that a client can subscribe to. A dialect makes one object per name, so identity
    is enough to compare."""

    name: str
    """As the exchange names it, for example "btcusdt@trade"."""
    channel: Channel
    symbol: str
    """The exchange's own, for example "BTCUSDT"; "" when the stream has more than one."""


SNAPSHOT = Stream("a book snapshot", Channel.BOOK, "")
"""Line of a capture that the exchange gave as the answer to a REST call."""
CONVERSATION = Stream("an answer", Channel.OTHER, "")
"""Line of a capture that answered the client of then: not for the clients of now."""
UNKNOWN = Stream("unknown", Channel.OTHER, "")
"""Line of a capture that no rule knows. Everyone gets it: replay hides nothing."""

Frame = tuple[Stream, bytes]
"""A message of a stream, as the text of one websocket frame."""


def _nobody(stream: Stream, payload: bytes) -> None:
    """There is no connection yet."""


@dataclass(slots=True)
class Session:
    """What the exchange remembers of one websocket connection. A dialect with more to remember
    makes a dataclass of it that has this one as its base."""

    streams: dict[str, Stream] = field(default_factory=dict)
    """What it is subscribed to, by the name that the client used."""
    shape: Callable[[bytes], bytes] | None = None
    """Turns a text into what this connection must get; None: it is right as it is. Called once for
    each frame, answer and tick, in their order, also for a frame that a fault then loses, doubles
    or delays: so a dialect that numbers the messages of a connection does it here."""
    closing: str = ""
    """Why the exchange ends this connection now, after what it has said; empty: it does not."""
    tell: Callable[[Stream, bytes], None] = _nobody
    """Say something of a stream to this connection alone, at once: what happens to an account.
    Faults that concern the stream act on it. Set by whoever holds the connection."""
    when_closed: list[Callable[[], None]] = field(default_factory=list)
    """Called when the connection has ended."""
    messages_per_second_max: int | None = None
    """Where another limit holds than that of the rules: a connection over which orders come."""


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One REST call."""

    method: str
    path: str
    """Without the venue's name in front."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw_query: str = ""
    """The query as it came, which is what a client has signed."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in any case: see ``header``."""

    def header(self, name: str) -> str:
        """Of this name, in any case; "" when it has none."""
        wanted = name.lower()
        return next((text for one, text in self.headers.items() if one.lower() == wanted), "")


@dataclass(frozen=True, slots=True)
class RestResponse:
    """The answer to a REST call."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """When the exchange ends a connection."""

    ping_interval_s: float
    """The exchange sends a ping frame this often."""
    pong_timeout_s: float
    """A connection that did not answer a ping for so long is closed."""
    messages_per_second_max: int
    """A connection that sends more is closed."""
    streams_max: int
    lifetime_s: float
    """Every connection is closed at this age."""
    idle_s: float | None = None
    """A client that says nothing for so long is closed. A pong says nothing."""
    subscribe_within_s: float | None = None
    """A client that has subscribed to nothing so long after it has connected is closed."""


class MarketView(Protocol):
    """What there is to know about a venue's market, in whichever world."""

    def time_ns(self) -> int:
        """The exchange's own clock, ns since the Unix epoch."""

    def listings(self) -> Sequence[Listing]:
        """The instruments."""

    def history(self, symbol: str) -> TradeHistory[Any]:
        """Past trades, bounded. The symbol must be listed."""

    async def book(self, symbol: str) -> BookSnapshot | None:
        """The book; in replay the newest that was really captured. None: there is none (yet)."""

    def mark(self, symbol: str) -> Mark | None:
        """What a derivative is worth; in replay what the capture said last. None: it is none, or
        nothing is known."""

    @property
    def engine(self) -> MatchingEngine | None:
        """Where orders are matched; None: nobody trades here, as in a replay."""

    def recorded(self, path: str) -> bytes | None:
        """The body that the exchange really gave for this REST path, when a capture has it."""


class CaptureFormat(Protocol):
    """How the lines of a capture of this exchange are read."""

    def frame_of(self, line: bytes) -> Frame:
        """The line as ``encode`` would have made it. Its stream may be SNAPSHOT, CONVERSATION or
        UNKNOWN. Must be fast, and must not raise."""

    def trade_of(self, line: bytes) -> TradePrint | None:
        """The trade in a frame of a trade stream; None when the line is damaged."""

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        """The symbol ("" when it does not say) and book of a snapshot line or REST body."""

    def sequence_of(self, line: bytes) -> int:
        """The last sequence of a book frame, 0 when it cannot be read."""

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        """The instruments that some lines are about, as far as the lines tell."""


@runtime_checkable
class TradesFormat(Protocol):
    """What a CaptureFormat has besides, where one frame can hold several trades."""

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        """All trades in a frame of a trade stream; none when the line is damaged."""


@runtime_checkable
class MarkFormat(Protocol):
    """What a CaptureFormat of an exchange with derivatives has besides."""

    def mark_of(self, line: bytes) -> tuple[str, Mark] | None:
        """The symbol that a frame of a stream of marks or tickers is about, and what it says of it;
        what it does not say is empty. None: nothing of that."""


@runtime_checkable
class HasMatchingRules(Protocol):
    """What a Dialect has besides, where accounts do not trade by the usual rules."""

    matching_rules: MatchingRules
    """Fees, ids, keys and what else an exchange does in its own way."""


@runtime_checkable
class OrderEntry(Protocol):
    """What a Dialect has besides, where orders can be placed over a websocket: so that faults of
    calls concern its messages too."""

    def path_of(self, text: str) -> str:
        """What stands for the path of a REST call, for example "order.place"; empty: the message is
        no such call."""

    def failure_of(self, text: str) -> bytes:
        """The answer when something in the exchange goes wrong at such a message."""


class Dialect(Protocol):
    """How one exchange speaks."""

    hosts: Collection[str]
    """Its real host names: a request with one of them in its Host header is for this venue."""
    rules: ConnectionRules
    capture: CaptureFormat
    failures: Mapping[int, bytes]
    """What it says, by HTTP status, when it refuses a call."""
    instruments: Sequence[Instrument]
    """The markets that it runs in a simulated world."""
    faults: Mapping[str, Callable[[Frame], Sequence[Frame]]]
    """What can go wrong at this exchange alone, besides the faults that each can have (see
    faults.py): by name, what becomes of a frame that it hits. It acts once for all who hear the
    frame, before their shapes. Nothing: the frame is lost, though still counted by the shapes. The
    frame alone: the fault has nothing to do with it, and waits on."""

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """A websocket was opened at this path; None: there is no websocket at this path."""

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """The client said something. Returns the answers and updates the session's streams."""

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """A second has passed for a connection. What it is told by the clock: heartbeats, test
        requests."""

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        """One REST call."""

    def list(self, instrument: Instrument) -> Listing:
        """A simulated instrument in the exchange's words."""

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        """What happened in a simulated market, as frames of the wanted streams."""


def find_dialects() -> dict[str, Callable[[], Dialect]]:
    """The dialects of all packages that bring venues, by venue id."""
    found: dict[str, Callable[[], Dialect]] = {}
    for package in discovery.packages():
        name = f"{package}.simulator"
        if importlib.util.find_spec(name) is not None:
            found.update(importlib.import_module(name).DIALECTS)
    return found
