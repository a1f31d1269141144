"""The dialect of an exchange: what a venue brings to be simulated. Found by folder, never by name.

``venues/<exchange>/simulator`` has a mapping ``DIALECTS`` from venue id to something that makes a
Dialect. The kit has markets, captures, sockets and faults; a dialect has the wire format.
"""

import importlib
import importlib.util
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from kit.connector.contract import discovery
from kit.simulator.history import HistoricalTrade, InstrumentTradeHistory
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from kit.simulator.market import MarketStep
from kit.simulator.market_events import Instrument
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
class ExchangeStream:
    """One thing that a client can subscribe to. A dialect makes one object per name, so identity
    is enough to compare."""

    name: str
    """As the exchange names it, for example "btcusdt@trade"."""
    channel: Channel
    symbol: str
    """The exchange's own, for example "BTCUSDT"; "" when the stream has more than one."""


SNAPSHOT = ExchangeStream("a book snapshot", Channel.BOOK, "")
"""Line of a capture that the exchange gave as the answer to a REST call."""
RESPONSE = ExchangeStream("an answer", Channel.OTHER, "")
"""Line of a capture that answered the client that recorded it: no client gets it."""
UNKNOWN = ExchangeStream("unknown", Channel.OTHER, "")
"""Line of a capture of an unknown kind. Every subscribed client gets it."""

Frame = tuple[ExchangeStream, bytes]
"""A message of a stream, as the text of one websocket frame."""


def _not_connected(stream: ExchangeStream, payload: bytes) -> None:
    """There is no connection yet."""


@dataclass(slots=True)
class WebsocketSession:
    """The exchange's state of one websocket connection. A dialect with more state extends this
    dataclass."""

    streams: dict[str, ExchangeStream] = field(default_factory=dict)
    """What it is subscribed to, by the name that the client used."""
    shape: Callable[[bytes], bytes] | None = None
    """Turns a payload into the one for this connection; None: it stays. Called once for each
    frame, answer and tick, in their order, also for a frame that a fault then loses, doubles or
    delays: so a dialect that numbers the messages of a connection does it here."""
    closing: str = ""
    """Why the exchange closes this connection after the current answers; empty: it does not."""
    report: Callable[[ExchangeStream, bytes], None] = _not_connected
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
        """The time up to which the market has run, ns since the Unix epoch."""

    def clock_ns(self) -> int:
        """The exchange's own clock, by which it judges the times of its clients, ns since the Unix
        epoch. A market that is slower than its pace does not hold it up."""

    def listings(self) -> Sequence[Listing]:
        """The instruments."""

    def history(self, symbol: str) -> InstrumentTradeHistory[Any]:
        """Past trades, bounded. The symbol must be listed."""

    async def book(self, symbol: str) -> ExchangeBookSnapshot | None:
        """The book; in replay the newest that was really captured. None: there is none (yet)."""

    def mark(self, symbol: str) -> DerivativeMark | None:
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
        """The line as ``encode`` would have made it. Its stream may be SNAPSHOT, RESPONSE or
        UNKNOWN. Must be fast, and must not raise."""

    def trades_in(self, lines: Sequence[bytes]) -> Sequence[HistoricalTrade]:
        """Return all trades in frames of trade streams; damaged frames are left out."""

    def mark_of(self, line: bytes) -> tuple[str, DerivativeMark] | None:
        """Return the symbol and the mark of a frame of marks or tickers, with empty texts where it
        says nothing; None if it has no mark."""

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
        """The symbol ("" when it is missing) and book of a snapshot line or REST body."""

    def sequence_of(self, line: bytes) -> int:
        """The last sequence of a book frame, 0 when it cannot be read."""

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        """The instruments that some lines are about, as far as the lines show."""


FrameFault = Callable[[Frame], Sequence[Frame]]
"""Returns what is sent in place of a frame. It acts once for all subscribers of the frame, before
their shapes. No frame: it is lost, though the shapes still count it. The frame alone: the fault
does not concern it, and stays active."""
Answer = Callable[[RestRequest, MarketView], Coroutine[Any, Any, RestResponse]]
"""Answers a REST call."""
Open = Callable[[str, Mapping[str, str]], WebsocketSession | None]
"""Opens a websocket at a path with a query; returns None if there is none."""
Receive = Callable[[WebsocketSession, str, MarketView], Coroutine[Any, Any, list[bytes]]]
"""Answers a message of a client, and updates the streams of its session."""
Tick = Callable[[WebsocketSession, MarketView], list[bytes]]
"""Returns the messages that a connection gets each second: heartbeats, test requests."""
Encode = Callable[[MarketStep, Collection[ExchangeStream], MarketView], Sequence[Frame]]
"""Returns the frames of the wanted streams for a step of a simulated market."""


def silent(session: WebsocketSession, market_view: MarketView) -> list[bytes]:
    """The tick of an exchange that sends nothing by the clock."""
    return []


def no_order(text: str) -> str:
    """The operation of a message to an exchange whose websocket takes no orders."""
    return ""


def no_failure(text: str) -> bytes:
    """Never called: no message of the exchange is an operation on orders."""
    return b""


@dataclass(slots=True, kw_only=True)
class Dialect:
    """The wire format of one exchange, put together from the parts of a venue's simulator."""

    hosts: Collection[str]
    """Its real host names: a request with one of them in its Host header is for this venue."""
    rules: ConnectionRules
    instruments: Sequence[Instrument]
    """The instruments of the simulated market."""
    failures: Mapping[int, bytes]
    """The bodies of failed calls, by HTTP status."""
    capture: CaptureFormat
    list: Callable[[Instrument], Listing]
    """Returns the listing of a simulated instrument."""
    encode: Encode
    answer: Answer
    open: Open
    receive: Receive
    tick: Tick = silent
    path_of: Callable[[str], str] = no_order
    """Returns the operation of an order message over a websocket, in place of a path, for example
    "order.place"; "" for other messages. Faults of calls hit these messages too."""
    failure_of: Callable[[str], bytes] = no_failure
    """Returns the answer to such a message after an error inside the exchange."""
    matching_rules: MatchingRules = field(default_factory=MatchingRules)
    """Fees, ids, keys and other rules of its accounts."""
    faults: Mapping[str, FrameFault] = field(default_factory=dict)
    """The faults of this exchange alone, by name."""


def find_dialects(among: Iterable[str] | None = None) -> dict[str, Callable[[], Dialect]]:
    """The dialects of these packages with venues, by default of all, by venue id."""
    found: dict[str, Callable[[], Dialect]] = {}
    for package in discovery.packages() if among is None else among:
        name = f"{package}.simulator"
        if importlib.util.find_spec(name) is not None:
            found.update(importlib.import_module(name).DIALECTS)
    return found
