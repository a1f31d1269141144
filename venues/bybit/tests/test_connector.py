"""The connector against the simulated Bybit, through the real kit: what is Bybit's own.

What every connector must do is in the cards of kit/conformance.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import rescale
from kit.base.numbers import to_decimal
from kit.conformance.connector_under_test import WAIT_SECONDS_MAX, ConnectorUnderTest, connector
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.contract.venue import Environment
from venues.bybit.catalog import VENUE_ID, spot
from venues.bybit.simulator import bybit_spot
from venues.bybit.simulator.tests.running import running

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedExchange]:
    async with exchange(VENUE_ID, bybit_spot) as simulated:
        yield simulated


@pytest.fixture
async def connected(simulated: SimulatedExchange) -> AsyncIterator[ConnectorUnderTest]:
    async with connector(spot(Environment("simulate", simulated.url)), SYMBOLS) as connected:
        await connected.until(connected.synchronized, "synchronized books")
        yield connected


async def check_book(connected: ConnectorUnderTest, symbol: str) -> None:
    """The book is the one that the exchange tells over REST, at the same update id."""
    book, history = connected.book(symbol), connected.venue.history
    theirs = await history.book(symbol)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while book.last_sequence != theirs.last_sequence:
            await connected.next_batch()
            theirs = await history.book(symbol)
    for ours, levels in ((book.book.bids(), theirs.bids), (book.book.asks(), theirs.asks)):
        price = rescale(levels.price.unscaled, levels.price.decimals, book.scale.price)
        size = rescale(levels.size.unscaled, levels.size.decimals, book.scale.size)
        assert ours == list(zip(price.tolist(), size.tolist(), strict=True))


async def test_rest_counts_the_updates_of_the_book(connected: ConnectorUnderTest) -> None:
    for symbol in SYMBOLS:
        await check_book(connected, symbol)
    assert connected.all_gaps == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("update_id_skip", types_pb2.GAP_REASON_SEQUENCE),
        ("service_restart", types_pb2.GAP_REASON_VENUE_RESET),
    ],
)
async def test_a_broken_book_is_a_gap_and_recovers(
    connected: ConnectorUnderTest, simulated: SimulatedExchange, fault: str, reason: int
) -> None:
    book = connected.book("BTCUSDT")
    epoch = book.epoch
    simulated.order(fault, "BTCUSDT", "book")
    await connected.until(lambda: connected.all_gaps, "a gap")
    await connected.until(connected.synchronized, "synchronized books")
    healed = book.last_sequence
    await connected.until(lambda: book.last_sequence > healed + 3, "more updates")
    assert [(gap.symbol, gap.reason) for gap in connected.all_gaps] == [("BTCUSDT", reason)]
    assert book.epoch == epoch + 1
    for symbol in SYMBOLS:
        await check_book(connected, symbol)


@pytest.mark.parametrize("fault", ["service_restart", "same_update_id"])
async def test_quotes_continue_when_update_ids_restart(
    connected: ConnectorUnderTest, simulated: SimulatedExchange, fault: str
) -> None:
    quotes, before = types_pb2.CHANNEL_QUOTES, len(connected.batches)
    simulated.order(fault, "BTCUSDT", "quotes", count=3)
    await connected.until(
        lambda: connected.row_count(quotes, "BTCUSDT", before) > 50, "quotes after the fault"
    )
    sequences = [
        columns.sequence[row] for columns, row in connected.rows(quotes, "BTCUSDT", before)
    ]
    assert sequences == sorted(set(sequences))
    assert connected.all_gaps == []
    assert connected.feed_handler.row_publisher.dropped_total() == (
        3 if fault == "same_update_id" else 0
    )


async def test_a_symbol_that_is_not_listed_takes_no_other_with_it(
    connected: ConnectorUnderTest,
) -> None:
    connected.add(["NOPEUSDT", "XRPUSDT"])
    await connected.until(lambda: connected.synchronized("XRPUSDT"), "the book of the listed one")
    await check_book(connected, "XRPUSDT")
    assert not connected.synchronized("NOPEUSDT")
    assert connected.all_gaps == []


async def test_a_replayed_book_is_that_of_the_capture(captures: Path) -> None:
    file = captures / "bybit" / "btcusdt_book50_2026" / "frames.jsonl"
    frames = [json.loads(line) for line in file.read_text().splitlines() if '"topic"' in line]
    sides: list[dict[Decimal, Decimal]] = [{}, {}]
    for frame in frames:
        for side, name in zip(sides, "ba", strict=True):
            side.update({Decimal(price): Decimal(size) for price, size in frame["data"][name]})
    last = frames[-1]["data"]["u"]
    async with running("replay", replay=[f"bybit={file}"], speed="max") as base:
        venue = spot(Environment("replay", base.rpartition("/")[0], {"depth": "50"}))
        async with connector(venue, ["BTCUSDT"]) as connected:
            book = connected.book("BTCUSDT")
            await connected.until(lambda: book.last_sequence == last, "the last update")
            for side, levels in zip(sides, (book.book.bids(), book.book.asks()), strict=True):
                ours = {
                    to_decimal(price, book.scale.price): to_decimal(size, book.scale.size)
                    for price, size in levels
                }
                assert ours == {price: size for price, size in side.items() if size}
            assert connected.all_gaps == []
