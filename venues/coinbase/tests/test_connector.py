"""The connector against the pretended Coinbase, through the real kit: books are right or in doubt.

Books have no numbers to compare at; at the quiet pace of these markets ours and the exchange's are
the same most of the time, and a wrong one would never be.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2

from kit.columns import Levels
from kit.numbers import most, rescale, to_decimal
from kit.simulator.market import Market
from kit.simulator.simulate import STEP_NS, MarketFloor
from venues.coinbase.simulator import Coinbase
from venues.coinbase.simulator.tests.running import RawClient, raw_client, running
from venues.coinbase.tests.connecting import WAIT_S, Connector, connected

OPENING_NS = 1_790_000_000_000_000_000
SYMBOLS = ("BTC-USD", "ETH-USD", "DOGE-USD")


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=100) as base:
        yield base


@pytest.fixture
async def exchange(base: str) -> AsyncIterator[RawClient]:
    async with raw_client(base) as client:
        yield client


@pytest.fixture(params=["advanced", "exchange"])
async def connector(base: str, request: pytest.FixtureRequest) -> AsyncIterator[Connector]:
    async with connected(base, request.param, SYMBOLS) as connector:
        yield connector


@pytest.fixture
async def advanced(base: str) -> AsyncIterator[Connector]:
    async with connected(base, "advanced", SYMBOLS) as connector:
        yield connector


@pytest.fixture
async def of_exchange(base: str) -> AsyncIterator[Connector]:
    async with connected(base, "exchange", SYMBOLS) as connector:
        yield connector


async def check_book(connector: Connector, symbol: str) -> None:
    """The book is the one that the exchange tells over REST."""
    book = connector.book(symbol)

    def at_our_scale(levels: Levels) -> list[tuple[int, int]]:
        price = rescale(levels.price.unscaled, levels.price.decimals, book.scale.price)
        size = rescale(levels.size.unscaled, levels.size.decimals, book.scale.size)
        return list(zip(price.tolist(), size.tolist(), strict=True))

    async def same() -> bool:
        theirs = await connector.venue.history.book(symbol)
        sides = (theirs.bids, theirs.asks)
        if (
            max(most(side.price.decimals) for side in sides) > book.scale.price
            or max(most(side.size.decimals) for side in sides) > book.scale.size
        ):
            return False  # the feed has not yet told a number with so many places
        bids, asks = at_our_scale(theirs.bids), at_our_scale(theirs.asks)
        return (book.book.bids(), book.book.asks()) == (bids, asks)

    async with asyncio.timeout(WAIT_S):
        while not await same():
            await connector.next_batch()


async def test_every_channel_comes_and_books_are_the_exchanges(connector: Connector) -> None:
    wire = connector.venue.wires[0]
    await connector.until(lambda: all(connector.rows[channel] > 3 for channel in wire.channels))
    for symbol in SYMBOLS:
        await check_book(connector, symbol)
    assert connector.gaps == []


async def test_trades_come_once_each_in_order(connector: Connector) -> None:
    await connector.until(lambda: len(connector.trade_ids.get("BTC-USD", [])) > 60)
    for ids in connector.trade_ids.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))


@pytest.mark.parametrize("fault", ["sequence_gap", "drop", "reorder"])
async def test_a_hole_in_the_numbers_breaks_all_books_of_the_connection(
    advanced: Connector, exchange: RawClient, fault: str
) -> None:
    await exchange.order(fault=fault, symbol="ETH-USD", channel="book")
    await advanced.until(lambda: advanced.gaps)
    await advanced.until(advanced.proven)
    assert {gap.symbol for gap in advanced.gaps} == set(SYMBOLS)
    assert {gap.reason for gap in advanced.gaps} == {types_pb2.GAP_REASON_RECONNECT}
    for symbol in SYMBOLS:
        assert advanced.book(symbol).epoch == 2
        await check_book(advanced, symbol)


async def test_trades_missed_by_advanced_come_with_the_new_subscription(
    advanced: Connector, exchange: RawClient
) -> None:
    await advanced.until(lambda: advanced.trade_ids.get("BTC-USD"))
    before = len(advanced.trade_ids["BTC-USD"])
    await exchange.order(fault="disconnect", symbol="BTC-USD", channel="trades")
    await advanced.until(lambda: len(advanced.trade_ids["BTC-USD"]) > before + 20)
    ids = advanced.trade_ids["BTC-USD"]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_lost_connection_is_a_gap_and_comes_back(
    connector: Connector, exchange: RawClient
) -> None:
    await exchange.order(fault="disconnect", symbol="BTC-USD", channel="book")
    await connector.until(lambda: not connector.proven())
    await connector.until(connector.proven)
    for symbol in SYMBOLS:
        await check_book(connector, symbol)
    assert {gap.reason for gap in connector.gaps} == {types_pb2.GAP_REASON_RECONNECT}


async def test_the_last_words_to_a_slow_reader_move_the_connection(
    connector: Connector, exchange: RawClient
) -> None:
    await exchange.order(fault="slow_consumer", symbol="BTC-USD")
    await connector.until(lambda: not connector.proven())
    await connector.until(connector.proven)
    await check_book(connector, "BTC-USD")


@pytest.mark.parametrize("fault", ["error", "malformed", "unknown_event"])
async def test_what_does_no_harm_is_no_gap(
    connector: Connector, exchange: RawClient, fault: str
) -> None:
    await exchange.order(fault=fault, symbol="BTC-USD", channel="book", count=3)
    await connector.until(lambda: connector.meter.counters.get("skipped_frames_total", 0) >= 3)
    await check_book(connector, "BTC-USD")
    assert connector.gaps == []


async def test_an_update_before_the_whole_book_does_no_harm(
    connector: Connector, exchange: RawClient
) -> None:
    await exchange.order(fault="update_before_snapshot", symbol="BTC-USD", channel="book")
    started = connector.rows[types_pb2.CHANNEL_BOOK]
    await connector.until(lambda: connector.rows[types_pb2.CHANNEL_BOOK] > started + 10)
    connector.session.drop()
    await connector.until(lambda: not connector.proven())
    await connector.until(connector.proven)
    await check_book(connector, "BTC-USD")


async def test_a_lost_update_of_exchange_is_found_when_the_book_crosses(
    of_exchange: Connector, exchange: RawClient
) -> None:
    """Nothing else can show it: the market moves on until the stale level is crossed."""
    await exchange.order(fault="drop", symbol="BTC-USD", channel="book", count=20)
    await of_exchange.until(lambda: of_exchange.gaps)
    await of_exchange.until(of_exchange.proven)
    assert {gap.symbol for gap in of_exchange.gaps} == {"BTC-USD"}
    assert {gap.reason for gap in of_exchange.gaps} == {types_pb2.GAP_REASON_CROSSED}
    await check_book(of_exchange, "ETH-USD")
    assert of_exchange.book("ETH-USD").epoch == 1


async def test_a_product_that_is_not_listed_is_refused(of_exchange: Connector) -> None:
    of_exchange.add(["NOPE-USD"])
    await of_exchange.until(lambda: of_exchange.meter.counters.get("skipped_frames_total"))
    await check_book(of_exchange, "BTC-USD")
    assert of_exchange.gaps == []


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
        connected(base, "exchange", books) as connector,
    ):
        updates = counts["snapshot"] + counts["l2update"]
        await connector.until(lambda: connector.rows[types_pb2.CHANNEL_BOOK] == updates)
        await connector.until(lambda: connector.rows[types_pb2.CHANNEL_QUOTES] == 76)
        assert connector.rows[types_pb2.CHANNEL_TRADES] == 76
        assert connector.gaps == []
        for symbol, sides in books.items():
            book = connector.book(symbol)
            for ours, side in ((book.book.bids(), "buy"), (book.book.asks(), "sell")):
                told = {price: size for price, size in sides[side].items() if size}
                assert {
                    to_decimal(price, book.scale.price): to_decimal(size, book.scale.size)
                    for price, size in ours
                } == told


async def recorded_session(until_ns: int) -> list[bytes]:
    """What one connection to Advanced Trade hears of a market, from its first word."""
    pretended = Coinbase()
    market = Market("1", OPENING_NS, 200, pretended.instruments)
    floor = MarketFloor(market, pretended)
    session = pretended.open("/", {})
    assert session is not None
    heard: list[bytes] = []
    for channel in ("heartbeats", "level2", "market_trades", "ticker"):
        call = {"type": "subscribe", "channel": channel, "product_ids": list(SYMBOLS)}
        heard += await pretended.receive(session, json.dumps(call), floor)
    wanted = set(session.streams.values())
    while market.time_ns < until_ns:
        step = market.advance(market.time_ns + STEP_NS)
        floor.happened(step)
        heard += [text for _, text in pretended.encode(step, wanted, floor)]
        heard += pretended.tick(session, floor) if step.time_ns % 10**9 == 0 else []
    assert session.shape is not None
    return [session.shape(text) for text in heard]


async def test_a_recording_of_advanced_is_numbered_anew(tmp_path: Path) -> None:
    lines = await recorded_session(OPENING_NS + 5 * 10**9)
    file = tmp_path / "frames.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    updates = sum(b'"l2_data"' in line[:30] for line in lines)
    async with (
        # Longer than the pause between two of its messages: the tape begins when all are said.
        running("replay", replay=[f"coinbase={file}"], speed="max", start_delay_ms=600) as base,
        connected(base, "advanced", SYMBOLS) as connector,
    ):
        await connector.until(lambda: connector.rows[types_pb2.CHANNEL_BOOK] == updates)
        assert connector.gaps == []
        assert connector.proven()
        for ids in connector.trade_ids.values():
            assert ids == list(range(ids[0], ids[0] + len(ids)))
        async with raw_client(base) as client:
            told = await client.get("/products/BTC-USD/trades?limit=10")
        assert [row["trade_id"] for row in reversed(told)] == connector.trade_ids["BTC-USD"][-10:]
