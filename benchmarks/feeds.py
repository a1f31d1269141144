"""Many frames of a venue, made by its simulated exchange from a busy market.

Real captures of most venues are short. These frames have the same
format, consecutive book updates and valid checksums, so that no check can be skipped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from kit.connector.contract.discovery import require
from kit.connector.contract.venue import Environment, FeedProtocol, SnapshotSource, Venue
from kit.simulator.dialect import Dialect, WebsocketSession, find_dialects
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_events import Instrument
from kit.simulator.market_runner import SimulatedMarketView

OPENING_NS = 1_780_000_000 * 1_000_000_000
STEP_NS = 5_000_000
EVENTS_PER_SECOND = 5_000
SEED = "benchmark"


@dataclass(frozen=True, slots=True)
class Feed:
    """The frames of one connection."""

    venue: Venue
    wire: FeedProtocol
    symbols: tuple[str, ...]
    frames: list[bytes]
    books: dict[str, ExchangeBookSnapshot]
    """Snapshots at the start, for venues with book snapshots over REST."""


async def make(
    venue_id: str,
    frame_count: int,
    symbol_count: int,
    others: Callable[[Instrument], Sequence[Instrument]] | None = None,
) -> Feed:
    """The first frames of the venue's first wire. ``others``: markets instead of the usual ones,
    made like the first of them."""
    venue = require(venue_id)(Environment("simulate", "http://127.0.0.1:1"))
    wire = venue.feed_protocols[0]
    dialect = find_dialects()[venue_id]()
    markets = others(dialect.instruments[0]) if others else dialect.instruments
    market = SimulatedMarket(SEED, OPENING_NS, EVENTS_PER_SECOND, markets)
    market_view = SimulatedMarketView(market, dialect)
    symbols = tuple(one.symbol for one in market_view.listings())[:symbol_count]
    market_view.happened(market.advance(OPENING_NS + STEP_NS))
    session = _open(dialect, wire.url(symbols), venue_id)
    frames: list[bytes] = []
    for message in wire.subscribe(symbols, 1):
        answers = await dialect.receive(session, message, market_view)
        frames += [_shaped(session, answer) for answer in answers]
    books = {}
    if venue.book.snapshots is SnapshotSource.REST:
        for symbol in symbols:
            book = await market_view.book(symbol)
            assert book is not None
            books[symbol] = book
    wanted = set(session.streams.values())
    while len(frames) < frame_count:
        step = market.advance(market.time_ns + STEP_NS)
        market_view.happened(step)
        encoded = dialect.encode(step, wanted, market_view)
        frames += [_shaped(session, payload) for stream, payload in encoded if stream in wanted]
    return Feed(venue, wire, symbols, frames, books)


def _open(dialect: Dialect, url: str, venue_id: str) -> WebsocketSession:
    parts = urlsplit(url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    session = dialect.open(parts.path.removeprefix(f"/{venue_id}"), query)
    assert session is not None, f"{venue_id} has no websocket at {parts.path}"
    return session


def _shaped(session: WebsocketSession, payload: bytes) -> bytes:
    return payload if session.shape is None else session.shape(payload)
