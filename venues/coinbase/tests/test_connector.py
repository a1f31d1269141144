"""The connector against the simulated Coinbase, through the real kit: books are right or in doubt.

Books have no numbers to compare at; at the quiet pace of these markets ours and the exchange's are
the same most of the time, and a wrong one would never be.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import most, rescale
from kit.base.numbers import to_decimal
from kit.conformance.connector_under_test import WAIT_SECONDS_MAX, ConnectorUnderTest, connector
from kit.connector.contract.venue import Environment
from kit.marketdata.model.columns import PriceLevels
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from tests.support.raw_client import RawClient, raw_client
from venues.coinbase.catalog import spot
from venues.coinbase.simulator import coinbase_spot
from venues.coinbase.simulator.tests.running import running

OPENING_NS = 1_790_000_000_000_000_000
BOOK, QUOTES = types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_QUOTES
TRADES = types_pb2.CHANNEL_TRADES
SYMBOLS = ("BTC-USD", "ETH-USD", "DOGE-USD")


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=100) as base:
        yield base


@asynccontextmanager
async def connecting(
    base: str, feed: str, symbols: Iterable[str]
) -> AsyncIterator[ConnectorUnderTest]:
    """Connect and wait until every book is proven."""
    place = Environment("simulate", base.rpartition("/")[0], {"feed": feed})
    async with connector(spot(place), symbols) as connected:
        await connected.until(connected.synchronized, "synchronized books")
        yield connected


@pytest.fixture(params=["advanced", "exchange"])
async def connected(base: str, request: pytest.FixtureRequest) -> AsyncIterator[ConnectorUnderTest]:
    async with connecting(base, request.param, SYMBOLS) as connected:
        yield connected


@pytest.fixture
async def advanced(base: str) -> AsyncIterator[ConnectorUnderTest]:
    async with connecting(base, "advanced", SYMBOLS) as connected:
        yield connected


@pytest.fixture
async def of_exchange(base: str) -> AsyncIterator[ConnectorUnderTest]:
    async with connecting(base, "exchange", SYMBOLS) as connected:
        yield connected


def trade_ids(connected: ConnectorUnderTest, symbol: str) -> list[int]:
    return [columns.trade_id[row] for columns, row in connected.rows(TRADES, symbol)]


def check_trades(connected: ConnectorUnderTest) -> None:
    """Check that each trade was published exactly once."""
    for symbol in SYMBOLS:
        ids = trade_ids(connected, symbol)
        first = min(ids, default=0)
        assert ids == list(range(first, first + len(ids)))


async def check_book(connected: ConnectorUnderTest, symbol: str) -> None:
    """The book is the one that the exchange tells over REST."""
    book = connected.book(symbol)

    def at_our_scale(levels: PriceLevels) -> list[tuple[int, int]]:
        price = rescale(levels.price.unscaled, levels.price.decimals, book.scale.price)
        size = rescale(levels.size.unscaled, levels.size.decimals, book.scale.size)
        return list(zip(price.tolist(), size.tolist(), strict=True))

    async def same() -> bool:
        theirs = await connected.venue.history.book(symbol)
        sides = (theirs.bids, theirs.asks)
        if (
            max(most(side.price.decimals) for side in sides) > book.scale.price
            or max(most(side.size.decimals) for side in sides) > book.scale.size
        ):
            return False  # the feed has not yet reported a number with so many places
        bids, asks = at_our_scale(theirs.bids), at_our_scale(theirs.asks)
        return (book.book.bids(), book.book.asks()) == (bids, asks)

    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await same():
            await connected.next_batch()


async def test_every_channel_delivers_and_books_equal_the_exchanges(
    connected: ConnectorUnderTest,
) -> None:
    wire = connected.venue.feed_protocols[0]
    await connected.until(lambda: all(connected.count(one) > 3 for one in wire.channels), "rows")
    for symbol in SYMBOLS:
        await check_book(connected, symbol)
    assert connected.all_gaps == []


async def test_each_trade_is_published_once_in_order(connected: ConnectorUnderTest) -> None:
    await connected.until(lambda: len(trade_ids(connected, "BTC-USD")) > 60, "trades")
    check_trades(connected)


@pytest.mark.parametrize("fault", ["sequence_gap", "drop", "reorder"])
async def test_a_hole_in_the_numbers_breaks_all_books_of_the_connection(
    advanced: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    await raw.order(fault=fault, symbol="ETH-USD", channel="book")
    await advanced.until(lambda: advanced.all_gaps, "a gap")
    await advanced.until(advanced.synchronized, "synchronized books")
    assert {gap.symbol for gap in advanced.all_gaps} == set(SYMBOLS)
    assert {gap.reason for gap in advanced.all_gaps} == {types_pb2.GAP_REASON_RECONNECT}
    for symbol in SYMBOLS:
        assert advanced.book(symbol).epoch == 2
        await check_book(advanced, symbol)


async def test_trades_missed_on_advanced_arrive_with_the_new_subscription(
    advanced: ConnectorUnderTest, raw: RawClient
) -> None:
    await advanced.until(lambda: trade_ids(advanced, "BTC-USD"), "trades")
    before = len(trade_ids(advanced, "BTC-USD"))
    await raw.order(fault="disconnect", symbol="BTC-USD", channel="trades")
    await advanced.until(lambda: len(trade_ids(advanced, "BTC-USD")) > before + 20, "more")
    ids = trade_ids(advanced, "BTC-USD")
    assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_lost_connection_is_a_gap_and_is_reopened(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(fault="disconnect", symbol="BTC-USD", channel="book")
    await connected.until(lambda: not connected.synchronized(), "a doubt")
    await connected.until(connected.synchronized, "synchronized books")
    for symbol in SYMBOLS:
        await check_book(connected, symbol)
    assert {gap.reason for gap in connected.all_gaps} == {types_pb2.GAP_REASON_RECONNECT}


async def test_the_last_words_to_a_slow_reader_move_the_connection(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(fault="slow_consumer", symbol="BTC-USD")
    await connected.until(lambda: not connected.synchronized(), "a doubt")
    await connected.until(connected.synchronized, "synchronized books")
    await check_book(connected, "BTC-USD")


@pytest.mark.parametrize("fault", ["error", "malformed", "unknown_event"])
async def test_harmless_faults_are_no_gaps(
    connected: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    await raw.order(fault=fault, symbol="BTC-USD", channel="book", count=3)
    await connected.until(lambda: connected.skipped >= 3, "skips")
    await check_book(connected, "BTC-USD")
    assert connected.all_gaps == []


async def test_an_update_before_the_whole_book_does_no_harm(
    connected: ConnectorUnderTest, raw: RawClient
) -> None:
    await raw.order(fault="update_before_snapshot", symbol="BTC-USD", channel="book")
    started = connected.count(BOOK)
    await connected.until(lambda: connected.count(BOOK) > started + 10, "more")
    connected.feed.reconnect()
    await connected.until(lambda: not connected.synchronized(), "a doubt")
    await connected.until(connected.synchronized, "synchronized books")
    await check_book(connected, "BTC-USD")


async def test_a_lost_update_of_exchange_is_found_when_the_book_crosses(
    of_exchange: ConnectorUnderTest, raw: RawClient
) -> None:
    """Nothing else can show it: the market moves on until the stale level is crossed.

    A market that moves away crosses no level for a long time: more is lost until it turns.
    """
    while not of_exchange.all_gaps:
        await raw.order(fault="drop", symbol="BTC-USD", channel="book", count=20)
        more = of_exchange.count(BOOK) + 100
        await of_exchange.until(
            lambda more=more: of_exchange.all_gaps or of_exchange.count(BOOK) > more, "updates"
        )
    await of_exchange.until(of_exchange.synchronized, "synchronized books")
    assert {gap.symbol for gap in of_exchange.all_gaps} == {"BTC-USD"}
    assert {gap.reason for gap in of_exchange.all_gaps} == {types_pb2.GAP_REASON_CROSSED}
    await check_book(of_exchange, "ETH-USD")
    assert of_exchange.book("ETH-USD").epoch == 1


async def test_a_product_that_is_not_listed_is_rejected(of_exchange: ConnectorUnderTest) -> None:
    of_exchange.add(["NOPE-USD"])
    await of_exchange.until(lambda: of_exchange.skipped, "a refusal")
    await check_book(of_exchange, "BTC-USD")
    assert of_exchange.all_gaps == []


async def test_a_replayed_session_ends_with_the_books_of_the_file(captures: Path) -> None:
    file = captures / "coinbase/exchange_6_products_2021/frames.jsonl"
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    counts: Counter[str] = Counter()
    for row in map(json.loads, file.read_bytes().splitlines()):
        counts[row["type"]] += 1
        if row["type"] == "snapshot":
            books[row["product_id"]] = {
                side: {Decimal(price): Decimal(size) for price, size in row[name]}
                for side, name in (("buy", "bids"), ("sell", "asks"))
            }
        for side, price, size in row.get("changes", ()):
            books[row["product_id"]][side][Decimal(price)] = Decimal(size)
    async with (
        running("replay", replay=[f"coinbase={file}"], speed="max") as base,
        connecting(base, "exchange", books) as connected,
    ):
        updates = counts["snapshot"] + counts["l2update"]
        await connected.until(lambda: connected.count(BOOK) == updates, "all updates")
        await connected.until(lambda: connected.count(QUOTES) == 76, "all quotes")
        assert connected.count(TRADES) == 76
        assert connected.all_gaps == []
        for symbol, sides in books.items():
            book = connected.book(symbol)
            for ours, side in ((book.book.bids(), "buy"), (book.book.asks(), "sell")):
                reported = {price: size for price, size in sides[side].items() if size}
                assert {
                    to_decimal(price, book.scale.price): to_decimal(size, book.scale.size)
                    for price, size in ours
                } == reported


async def recorded_session(until_ns: int) -> list[bytes]:
    """What one connection to Advanced Trade receives of a market, from its first word."""
    simulated = coinbase_spot()
    market = SimulatedMarket("1", OPENING_NS, 200, simulated.instruments)
    market_view = SimulatedMarketView(market, simulated)
    session = simulated.open("/", {})
    assert session is not None
    heard: list[bytes] = []
    for channel in ("heartbeats", "level2", "market_trades", "ticker"):
        call = {"type": "subscribe", "channel": channel, "product_ids": list(SYMBOLS)}
        heard += await simulated.receive(session, json.dumps(call), market_view)
    wanted = set(session.streams.values())
    while market.time_ns < until_ns:
        step = market.advance(market.time_ns + STEP_NS)
        market_view.happened(step)
        heard += [text for _, text in simulated.encode(step, wanted, market_view)]
        heard += simulated.tick(session, market_view) if step.time_ns % 10**9 == 0 else []
    assert session.shape is not None
    return [session.shape(text) for text in heard]


async def test_a_capture_of_advanced_gets_new_numbers(tmp_path: Path) -> None:
    lines = await recorded_session(OPENING_NS + 5 * 10**9)
    file = tmp_path / "frames.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    updates = sum(b'"l2_data"' in line[:30] for line in lines)
    async with (
        # Longer than the pause between two of its messages: the capture begins when all are said.
        running("replay", replay=[f"coinbase={file}"], speed="max", start_delay_ms=600) as base,
        connecting(base, "advanced", SYMBOLS) as connected,
    ):
        await connected.until(lambda: connected.count(BOOK) == updates, "all updates")
        assert connected.all_gaps == []
        assert connected.synchronized()
        check_trades(connected)
        async with raw_client(base) as client:
            reported = await client.get("/products/BTC-USD/trades?limit=10")
        assert [row["trade_id"] for row in reversed(reported)] == trade_ids(connected, "BTC-USD")[
            -10:
        ]
