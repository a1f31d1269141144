"""The connector against the pretended Bybit, through the real kit: books are right or in doubt."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2

from kit.numbers import rescale, to_decimal
from venues.bybit.simulator.tests.running import RawClient, raw_client, running
from venues.bybit.tests.connecting import WAIT_S, Connector, connected

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=1_000) as base:
        yield base


@pytest.fixture
async def exchange(base: str) -> AsyncIterator[RawClient]:
    async with raw_client(base) as client:
        yield client


@pytest.fixture
async def connector(base: str) -> AsyncIterator[Connector]:
    async with connected(base, SYMBOLS) as connector:
        yield connector


async def check_book(connector: Connector, symbol: str) -> None:
    """The book is the one that the exchange tells over REST, at the same update id."""
    book = connector.book(symbol)
    theirs = await connector.venue.history.book(symbol)
    async with asyncio.timeout(WAIT_S):
        while book.last_sequence != theirs.last_sequence:
            await connector.next_batch()
            theirs = await connector.venue.history.book(symbol)
    for ours, levels in ((book.book.bids(), theirs.bids), (book.book.asks(), theirs.asks)):
        price = rescale(levels.price.unscaled, levels.price.decimals, book.scale.price)
        size = rescale(levels.size.unscaled, levels.size.decimals, book.scale.size)
        assert ours == list(zip(price.tolist(), size.tolist(), strict=True))


async def test_every_channel_comes_and_books_are_the_exchanges(connector: Connector) -> None:
    wire = connector.venue.wires[0]
    await connector.until(lambda: all(connector.rows[channel] > 3 for channel in wire.channels))
    for symbol in SYMBOLS:
        await check_book(connector, symbol)
    assert connector.gaps == []


async def test_trades_come_once_each_in_order(connector: Connector) -> None:
    await connector.until(lambda: len(connector.trade_ids.get("BTCUSDT", [])) > 100)
    for ids in connector.trade_ids.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("update_id_skip", types_pb2.GAP_REASON_SEQUENCE),
        ("drop", types_pb2.GAP_REASON_SEQUENCE),
        ("service_restart", types_pb2.GAP_REASON_VENUE_RESET),
    ],
)
async def test_a_broken_book_is_a_gap_and_comes_back_right(
    connector: Connector, exchange: RawClient, fault: str, reason: int
) -> None:
    epoch = connector.book("BTCUSDT").epoch
    await exchange.order(venue="bybit", fault=fault, symbol="BTCUSDT", channel="book")
    await connector.until(lambda: connector.gaps)
    await connector.until(connector.proven)
    book = connector.book("BTCUSDT")
    healed = book.last_sequence
    await connector.until(lambda: book.last_sequence > healed + 3)
    assert [(gap.symbol, gap.reason) for gap in connector.gaps] == [("BTCUSDT", reason)]
    assert book.epoch == epoch + 1
    for symbol in SYMBOLS:
        await check_book(connector, symbol)


@pytest.mark.parametrize("fault", ["duplicate", "malformed", "unknown_event"])
async def test_what_does_no_harm_is_no_gap(
    connector: Connector, exchange: RawClient, fault: str
) -> None:
    await exchange.order(venue="bybit", fault=fault, symbol="BTCUSDT", channel="book", count=3)
    started = connector.rows[types_pb2.CHANNEL_BOOK]
    await connector.until(lambda: connector.rows[types_pb2.CHANNEL_BOOK] > started + 30)
    await check_book(connector, "BTCUSDT")
    assert connector.gaps == []


async def test_a_quote_that_is_told_again_is_dropped(
    connector: Connector, exchange: RawClient
) -> None:
    await exchange.order(venue="bybit", fault="same_update_id", channel="quotes", count=5)
    await connector.until(lambda: connector.intake.dropped_total() >= 5)
    assert connector.gaps == []


async def test_a_lost_connection_is_a_gap_of_each_channel_and_comes_back(
    connector: Connector, exchange: RawClient
) -> None:
    await connector.until(lambda: len(connector.trade_ids) == len(SYMBOLS))
    await exchange.order(venue="bybit", fault="disconnect", symbol="BTCUSDT", channel="book")
    await connector.until(lambda: not connector.proven())
    await connector.until(connector.proven)
    for symbol in SYMBOLS:
        await check_book(connector, symbol)
    assert {gap.reason for gap in connector.gaps} == {types_pb2.GAP_REASON_RECONNECT}
    assert {gap.symbol for gap in connector.gaps} == set(SYMBOLS)


async def test_a_symbol_that_is_not_listed_takes_no_other_with_it(connector: Connector) -> None:
    connector.add(["NOPEUSDT", "XRPUSDT"])
    book = connector.book("XRPUSDT")
    await connector.until(lambda: book.epoch == 1)
    await check_book(connector, "XRPUSDT")
    assert connector.book("NOPEUSDT").epoch == 0
    assert connector.gaps == []


async def test_a_replayed_book_is_that_of_the_capture(captures: Path) -> None:
    file = captures / "bybit" / "btcusdt_book50_2026" / "frames.jsonl"
    frames = [json.loads(line) for line in file.read_text().splitlines() if '"topic"' in line]
    sides: list[dict[Decimal, Decimal]] = [{}, {}]
    for frame in frames:
        for side, name in zip(sides, "ba", strict=True):
            side.update({Decimal(price): Decimal(size) for price, size in frame["data"][name]})
    last = frames[-1]["data"]["u"]
    async with (
        running("replay", replay=[f"bybit={file}"], speed="max") as base,
        connected(base, ["BTCUSDT"], depth="50") as connector,
    ):
        book = connector.book("BTCUSDT")
        await connector.until(lambda: book.last_sequence == last)
        for side, levels in zip(sides, (book.book.bids(), book.book.asks()), strict=True):
            ours = {
                to_decimal(price, book.scale.price): to_decimal(size, book.scale.size)
                for price, size in levels
            }
            assert ours == {price: size for price, size in side.items() if size}
        assert connector.gaps == []
