"""The connectors against the simulated Binance, through the real kit."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.errors import SettingError
from kit.conformance.connector_under_test import WAIT_SECONDS_MAX, ConnectorUnderTest
from kit.connector.contract.venue import Environment
from tests.support.raw_client import RawClient
from venues.binance.catalog import VENUES
from venues.binance.simulator.tests.running import running
from venues.binance.tests.connecting import connected
from venues.binance.tests.test_book import levels_of

SYMBOLS = ("BTCUSDT", "ETHUSDT", "DOGEUSDT")


@pytest.fixture(params=["binance", "binance_futures"])
async def base(request) -> AsyncIterator[str]:
    async with running("simulate", request.param, events_per_second=300) as base:
        yield base


@pytest.fixture
async def connector(base: str) -> AsyncIterator[ConnectorUnderTest]:
    """Its books have begun to follow updates, so that nothing which goes wrong with one is in the
    first snapshot already."""
    async with connected(base, SYMBOLS) as connector:
        for symbol in SYMBOLS:
            await followed(connector, symbol)
        yield connector


async def followed(connector: ConnectorUnderTest, symbol: str) -> None:
    """Wait for two updates of a book, of which the first may lie across the snapshot."""
    book = connector.book(symbol)
    for _ in range(2):
        await connector.until(lambda last=book.last_sequence: book.last_sequence > last)


async def check_book(connector: ConnectorUnderTest, raw: RawClient, symbol: str) -> None:
    """The book is the one that a second client has, level by level, at the same update."""
    book = connector.book(symbol)
    futures = connector.venue.venue_id == "binance_futures"
    websocket = await raw.connect(f"{'/public' * futures}/ws/{symbol.lower()}@depth@100ms")
    await websocket.receive()
    path = "/fapi/v1/depth" if futures else "/api/v3/depth"
    snapshot = await raw.get(f"{path}?symbol={symbol}&limit=1000")
    sides = [
        {Decimal(price): Decimal(size) for price, size in snapshot[side]}
        for side in ("bids", "asks")
    ]
    while True:
        update = await websocket.receive_json()
        if update["u"] <= snapshot["lastUpdateId"]:
            continue
        for side, key in zip(sides, ("b", "a"), strict=True):
            side.update((Decimal(price), Decimal(size)) for price, size in update[key])
        await connector.until(lambda last=update["u"]: book.last_sequence >= last)
        if book.last_sequence == update["u"]:
            break
    bids, asks = (sorted(level for level in side.items() if level[1]) for side in sides)
    assert levels_of(book) == [bids[::-1], asks]
    await websocket.close()


async def test_every_channel_delivers_and_books_equal_the_exchanges(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    channels = [channel for wire in connector.venue.feed_protocols for channel in wire.channels]
    await connector.until(lambda: all(connector.count(channel) > 3 for channel in channels))
    for symbol in SYMBOLS:
        await check_book(connector, raw, symbol)
    assert connector.all_gaps == []


async def test_each_trade_is_published_once_in_order(connector: ConnectorUnderTest) -> None:
    await connector.until(lambda: len(connector.trade_ids("BTCUSDT")) > 100)
    for ids in map(connector.trade_ids, SYMBOLS):
        assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_aggregate_trades_are_chosen_by_an_option(base: str) -> None:
    async with connected(base, SYMBOLS, trades="aggregate") as connector:
        await connector.until(lambda: len(connector.trade_ids("BTCUSDT")) > 20)
        ids = connector.trade_ids("BTCUSDT")
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        (found,) = await connector.venue.history.trades("BTCUSDT", ids[5], 0, 1)
        assert int(found.trade_id) == ids[5]
        sent = [
            name for wire in connector.venue.feed_protocols for name in wire.subscribe(["X"], 1)
        ]
        assert "x@aggTrade" in "".join(sent)
        assert "x@trade" not in "".join(sent)


def test_another_option_is_rejected() -> None:
    for factory in VENUES.values():
        with pytest.raises(SettingError):
            factory(Environment("live", "", {"trades": "some"}))


@pytest.mark.parametrize("fault", ["drop", "hole"])
async def test_a_broken_book_is_a_gap_and_recovers(
    connector: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    venue = connector.venue.venue_id
    own = {"binance": "first_id_gap", "binance_futures": "previous_mismatch"}
    order = {"fault": own[venue] if fault == "hole" else fault, "symbol": "BTCUSDT"}
    await raw.order(venue=venue, channel="book", count=1, **order)
    await connector.until(lambda: connector.all_gaps)
    await connector.until(connector.synchronized)
    (gap,) = connector.all_gaps
    assert (gap.symbol, gap.reason) == ("BTCUSDT", types_pb2.GAP_REASON_SEQUENCE)
    assert [connector.book(symbol).epoch for symbol in SYMBOLS] == [2, 1, 1]
    for symbol in SYMBOLS:
        await check_book(connector, raw, symbol)


async def test_a_snapshot_older_than_the_hole_does_not_prove_the_book(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    order = {"venue": connector.venue.venue_id, "symbol": "BTCUSDT"}
    await raw.order(**order, fault="stale_snapshot", path="depth")
    await raw.order(**order, fault="drop", channel="book")
    await connector.until(lambda: connector.all_gaps)
    await connector.until(connector.synchronized)
    await check_book(connector, raw, "BTCUSDT")
    assert connector.book("BTCUSDT").epoch == 2


@pytest.mark.parametrize("fault", ["duplicate", "malformed", "unknown_event"])
async def test_harmless_faults_are_no_gaps(
    connector: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    order = {"venue": connector.venue.venue_id, "fault": fault, "symbol": "BTCUSDT"}
    await raw.order(**order, channel="book", count=3)
    started = connector.count(types_pb2.CHANNEL_BOOK)
    await connector.until(lambda: connector.count(types_pb2.CHANNEL_BOOK) > started + 30)
    await check_book(connector, raw, "BTCUSDT")
    assert connector.all_gaps == []


async def test_updates_in_the_wrong_order_heal_without_a_snapshot(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    order = {"venue": connector.venue.venue_id, "fault": "reorder", "symbol": "BTCUSDT"}
    await raw.order(**order, channel="book")
    await raw.order(venue=order["venue"], fault="rest_500", path="depth", count=0)
    await connector.until(lambda: connector.all_gaps)
    await connector.until(connector.synchronized)
    await raw.clear_faults()
    await check_book(connector, raw, "BTCUSDT")
    assert len(connector.all_gaps) == 1


async def test_after_a_lost_connection_books_are_new_and_others_undisturbed(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    await connector.until(lambda: all(map(connector.trade_ids, SYMBOLS)))
    order = {"venue": connector.venue.venue_id, "fault": "disconnect", "symbol": "BTCUSDT"}
    await raw.order(**order, channel="book")
    await connector.until(lambda: not connector.synchronized())
    await connector.until(connector.synchronized)
    for symbol in SYMBOLS:
        await check_book(connector, raw, symbol)
    assert {gap.reason for gap in connector.all_gaps} == {types_pb2.GAP_REASON_RECONNECT}


@pytest.mark.parametrize("base", ["binance_futures"], indirect=True)
@pytest.mark.parametrize("fault", ["spent_trade_id", "insurance_fund"])
async def test_trades_outside_the_market_are_omitted(
    connector: ConnectorUnderTest, raw: RawClient, fault: str
) -> None:
    await connector.until(lambda: all(map(connector.trade_ids, SYMBOLS)))
    await raw.order(venue="binance_futures", fault=fault, symbol="BTCUSDT", count=3)

    def jumps() -> bool:
        ids = connector.trade_ids("BTCUSDT")
        return len(ids) > 50 and ids[-1] - ids[0] > len(ids) + 1

    await connector.until(jumps)
    ids = connector.trade_ids("BTCUSDT")
    assert ids == sorted(set(ids))
    assert len(ids) == ids[-1] - ids[0] + 1 - 3
    assert connector.all_gaps == []


async def test_a_server_that_will_go_is_left_without_a_gap(
    connector: ConnectorUnderTest, raw: RawClient
) -> None:
    order = {"venue": connector.venue.venue_id, "fault": "server_shutdown", "symbol": "BTCUSDT"}
    await raw.order(**order, channel="book", seconds=WAIT_SECONDS_MAX)
    await connector.until(lambda: connector.meter.counters.get("moved_connections_total"))
    trades = len(connector.trade_ids("BTCUSDT"))
    await connector.until(lambda: len(connector.trade_ids("BTCUSDT")) > trades + 20)
    await check_book(connector, raw, "BTCUSDT")
    assert connector.all_gaps == []
    for ids in map(connector.trade_ids, SYMBOLS):
        assert ids == list(range(ids[0], ids[0] + len(ids)))
