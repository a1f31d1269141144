"""The dialect of an exchange: what a venue brings to be simulated. Found by folder, never by name.

``venues/<exchange>/simulator`` has a mapping ``DIALECTS`` from venue id to something that makes a
Dialect. The kit has markets, tapes, sockets and faults; a dialect has the wire format.
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
    """The channel of a stream, by the mesh's names."""

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
"""Line of a capture that answered the client that recorded it: no client gets it."""
UNKNOWN = Stream("unknown", Channel.OTHER, "")
"""Line of a capture of an unknown kind. Every subscribed client gets it."""

Frame = tuple[Stream, bytes]
"""A message of a stream, as the text of one websocket frame."""


def _not_connected(stream: Stream, payload: bytes) -> None:
    """There is no connection yet."""


@dataclass(slots=True)
class Session:
    """The exchange's state of one websocket connection. A dialect with more state extends this
    dataclass."""

    streams: dict[str, Stream] = field(default_factory=dict)
    """What it is subscribed to, by the name that the client used."""
    shape: Callable[[bytes], bytes] | None = None
    """Turns a payload into the one for this connection; None: it stays. Called once for each
    frame, answer and tick, in their order, also for a frame that a fault then loses, doubles or
    delays: so a dialect that numbers the messages of a connection does it here."""
    closing: str = ""
    """Why the exchange closes this connection after the current answers; empty: it does not."""
    report: Callable[[Stream, bytes], None] = _not_connected
    """Send an event of an account to this connection alone, at once, through the faults of its
    stream. Set when the connection is opened."""
    when_closed: list[Callable[[], None]] = field(default_factory=list)
    """Called when the connection has ended."""
    messages_per_second_max: int | None = None
    """A limit in place of the one of the rules, for a connection that takes orders."""


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One REST call."""

    method: str
    path: str
    """Without the venue's name in front."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw_query: str = ""
    """The query as it came, which the client has signed."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in any case: see ``header``."""

    def header(self, name: str) -> str:
        """The header of this name, in any case; "" when it is missing."""
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
    """When the exchange closes a connection."""

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
    """A client that sends nothing for so long is closed. A pong does not count."""
    subscribe_within_s: float | None = None
    """A client that has subscribed to nothing so long after it has connected is closed."""


class MarketView(Protocol):
    """The market of a venue, simulated or replayed."""

    def time_ns(self) -> int:
        """The exchange's own clock, ns since the Unix epoch."""

    def listings(self) -> Sequence[Listing]:
        """The instruments."""

    def history(self, symbol: str) -> TradeHistory[Any]:
        """Past trades, bounded. The symbol must be listed."""

    async def book(self, symbol: str) -> BookSnapshot | None:
        """The book; in replay the newest that was really captured. None: there is none (yet)."""

    def mark(self, symbol: str) -> Mark | None:
        """The mark of a derivative; in a replay the last one of the capture. None: the symbol is no
        derivative, or there is no mark yet."""

    @property
    def engine(self) -> MatchingEngine | None:
        """Where orders are matched; None in a replay."""

    def recorded(self, path: str) -> bytes | None:
        """The body of the real exchange's answer at this REST path, when a capture has it."""


class CaptureFormat(Protocol):
    """Reads the lines of a capture of this exchange."""

    def frame_of(self, line: bytes) -> Frame:
        """The line as ``encode`` would have made it. Its stream may be SNAPSHOT, CONVERSATION or
        UNKNOWN. Must be fast, and must not raise."""

    def trade_of(self, line: bytes) -> TradePrint | None:
        """The trade in a frame of a trade stream; None when the line is damaged."""

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
        """The symbol ("" when it is missing) and book of a snapshot line or REST body."""

    def sequence_of(self, line: bytes) -> int:
        """The last sequence of a book frame, 0 when it cannot be read."""

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        """The instruments that some lines are about, as far as the lines show."""


@runtime_checkable
class TradesFormat(Protocol):
    """Part of a CaptureFormat whose frames can have several trades."""

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        """All trades in a frame of a trade stream; none when the line is damaged."""


@runtime_checkable
class BatchTradesFormat(Protocol):
    """Part of a CaptureFormat that reads many frames at once."""

    def trades_in(self, lines: Sequence[bytes]) -> Sequence[TradePrint]:
        """All trades in frames of trade streams; damaged frames are left out."""


@runtime_checkable
class MarkFormat(Protocol):
    """Part of a CaptureFormat of an exchange with derivatives."""

    def mark_of(self, line: bytes) -> tuple[str, Mark] | None:
        """The symbol and the mark of a frame of marks or tickers, with empty texts where it says
        nothing. None: it has no mark."""


@runtime_checkable
class HasMatchingRules(Protocol):
    """Part of a Dialect whose accounts do not trade by the default rules."""

    matching_rules: MatchingRules
    """Fees, ids, keys and other rules."""


@runtime_checkable
class OrderEntry(Protocol):
    """Part of a Dialect whose websocket takes orders, so that faults of calls hit its messages
    too."""

    def path_of(self, text: str) -> str:
        """The operation of a message, in place of a path: "order.place"; "" for other messages."""

    def failure_of(self, text: str) -> bytes:
        """The answer to such a message after an error inside the exchange."""


class Dialect(Protocol):
    """The wire format of one exchange."""

    hosts: Collection[str]
    """Its real host names: a request with one of them in its Host header is for this venue."""
    rules: ConnectionRules
    capture: CaptureFormat
    failures: Mapping[int, bytes]
    """The bodies of failed calls, by HTTP status."""
    instruments: Sequence[Instrument]
    """The instruments of the simulated market."""
    faults: Mapping[str, Callable[[Frame], Sequence[Frame]]]
    """The faults of this exchange alone: by name, the frames in place of the frame that is hit.
    It acts once for all subscribers of the frame, before their shapes. No frame: it is lost, though
    the shapes still count it. The frame alone: the fault does not concern it, and stays active."""

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """Open a websocket at this path; None: there is none."""

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """Answer a message of the client, and update the session's streams."""

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """The messages that a connection gets each second: heartbeats, test requests."""

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        """Answer one REST call."""

    def list(self, instrument: Instrument) -> Listing:
        """The listing of a simulated instrument."""

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        """The frames of the wanted streams for a step of a simulated market."""


def find_dialects() -> dict[str, Callable[[], Dialect]]:
    """The dialects of all packages with venues, by venue id."""
    found: dict[str, Callable[[], Dialect]] = {}
    for package in discovery.packages():
        name = f"{package}.simulator"
        if importlib.util.find_spec(name) is not None:
            found.update(importlib.import_module(name).DIALECTS)
    return found
