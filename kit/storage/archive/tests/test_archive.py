"""Reading typed rows: all of them, in order, in equal bytes."""

from decimal import Decimal

import numpy as np
import psycopg
import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.errors import NotSupported, UnknownInstrument, UnknownVenue
from kit.marketdata.model.batches import Batch
from kit.storage.archive import archive as archives
from kit.storage.archive import slices
from kit.storage.archive.archive import Archive
from kit.storage.archive.slices import TimeSlices

TRADES, QUOTES = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES
START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


@pytest.fixture
async def store(postgres_url):
    """An archive of a database with two instruments, and a connection to it."""
    archive = Archive(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for symbol in ("ETHUSDT", "BTCUSDT"):
            connection.execute(
                "INSERT INTO instruments (venue, symbol) VALUES ('binance', %s)", [symbol]
            )
        yield archive, connection
    await archive.close()


def add_trades(connection, *rows):
    """(symbol, received s, trade id or text, price)."""
    for symbol, received_s, trade_id, price in rows:
        number, text = (trade_id, None) if isinstance(trade_id, int) else (None, trade_id)
        connection.execute(
            "INSERT INTO trade_rows (instrument_id, venue_time_ns, received_time_ns, side, price,"
            " size, trade_id, trade_id_text) SELECT instrument_id, %s, %s, 1, %s, 2, %s, %s"
            " FROM instruments WHERE symbol = %s",
            [START_NS, START_NS + int(received_s * SECOND_NS), price, number, text, symbol],
        )


async def read(archive, channel=TRADES, *rest, **options):
    return [batch async for batch in archive.batches("binance", channel, *rest, **options)]


def trades_of(batches):
    """(symbol, trade id, price) of each."""
    found = []
    for batch in map(Batch.FromString, batches):
        columns = batch.trades
        for row, place in enumerate(columns.instrument):
            entry = batch.instruments[place]
            price = Decimal(columns.price[row]).scaleb(-entry.price_scale)
            texts = columns.trade_id_text
            trade_id = texts[row] if texts else columns.trade_id[row]
            found.append((entry.symbol, trade_id, price))
    return found


async def test_trades_come_in_the_order_of_receipt_then_symbol_time_and_id(store):
    archive, connection = store
    add_trades(
        connection,
        ("ETHUSDT", 2, 8, "1.10"),
        ("BTCUSDT", 1, 7, "61837.63"),
        ("ETHUSDT", 1, 6, "1.5"),
        ("ETHUSDT", 1, 5, "1.25"),
        ("BTCUSDT", 3, 9, "0.00000001"),
    )
    assert trades_of(await read(archive)) == [
        ("BTCUSDT", 7, Decimal("61837.63")),
        ("ETHUSDT", 5, Decimal("1.25")),
        ("ETHUSDT", 6, Decimal("1.5")),
        ("ETHUSDT", 8, Decimal("1.10")),
        ("BTCUSDT", 9, Decimal("0.00000001")),
    ]


async def test_batches_have_so_many_rows_and_numbers_without_a_hole(store):
    archive, connection = store
    add_trades(connection, *(("BTCUSDT", number, number, 1) for number in range(1, 8)))
    found = list(map(Batch.FromString, await read(archive, rows_max=3)))
    assert [len(batch.trades.instrument) for batch in found] == [3, 3, 1]
    assert [(one.cursor.epoch, one.cursor.sequence) for one in found] == [(1, 1), (1, 2), (1, 3)]
    assert found[0].published_time_ns == START_NS + 3 * SECOND_NS
    assert {(batch.venue, batch.channel) for batch in found} == {("binance", TRADES)}


async def test_range_includes_its_start_and_not_its_end(store):
    archive, connection = store
    add_trades(connection, *(("BTCUSDT", number, number, 1) for number in range(5)))
    some = await read(archive, TRADES, (), START_NS + SECOND_NS, START_NS + 3 * SECOND_NS)
    assert [trade_id for _, trade_id, _ in trades_of(some)] == [1, 2]
    later = await read(archive, TRADES, (), START_NS + 3 * SECOND_NS)
    assert [trade_id for _, trade_id, _ in trades_of(later)] == [3, 4]


async def test_only_the_named_symbols_are_read(store):
    archive, connection = store
    add_trades(connection, ("ETHUSDT", 1, 1, 1), ("BTCUSDT", 2, 2, 1))
    assert trades_of(await read(archive, TRADES, ["BTCUSDT"])) == [("BTCUSDT", 2, 1)]


async def test_ids_that_are_texts_and_ids_that_are_numbers_are_not_in_one_batch(store):
    archive, connection = store
    add_trades(connection, *(("BTCUSDT", at, at or "a", 1) for at in range(3)))
    found = await read(archive)
    assert [len(Batch.FromString(batch).trades.trade_id_text) for batch in found] == [1, 0]
    assert [trade_id for _, trade_id, _ in trades_of(found)] == ["a", 1, 2]


async def test_the_same_bytes_however_the_range_is_cut(store, monkeypatch):
    archive, connection = store
    add_trades(connection, *(("BTCUSDT", number / 7, number, number) for number in range(1, 200)))
    whole = await read(archive, rows_max=17)
    monkeypatch.setattr(TimeSlices.__init__, "__defaults__", (slices.ROWS_USUAL, SECOND_NS // 3))
    monkeypatch.setattr(slices, "GROWTH_MAX", 2)
    assert await read(archive, rows_max=17) == whole
    monkeypatch.setattr(slices, "SLICE_BYTES_MAX", 1000)
    assert await read(archive, rows_max=17) == whole
    assert len(trades_of(whole)) == 199


async def test_quotes_and_tickers_are_read(store):
    archive, connection = store
    connection.execute(
        "INSERT INTO quote_rows (instrument_id, venue_time_ns, received_time_ns, sequence,"
        " bid_price, bid_size, ask_price, ask_size) VALUES (1, 0, 5, 77, 1.25, 3, 1.5, 0.001)"
    )
    connection.execute(
        "INSERT INTO ticker_rows (instrument_id, venue_time_ns, received_time_ns, last_price)"
        " VALUES (1, 4, 6, 1.25)"
    )
    quote = Batch.FromString((await read(archive, QUOTES))[0])
    assert list(quote.quotes.sequence) == [77]
    assert [*quote.quotes.bid_price, *quote.quotes.ask_size] == [125, 1]
    assert (quote.instruments[0].price_scale, quote.instruments[0].size_scale) == (2, 3)
    ticker = Batch.FromString((await read(archive, types_pb2.CHANNEL_TICKERS))[0])
    assert [*ticker.tickers.last_price, *ticker.tickers.high_price] == [125, 0]


async def test_empty_record_reads_as_empty(store):
    archive, _ = store
    assert await read(archive) == []


async def test_unknown_names_are_errors(store):
    archive, _ = store
    with pytest.raises(UnknownVenue):
        await anext(archive.batches("kraken", TRADES))
    with pytest.raises(UnknownInstrument):
        await anext(archive.batches("binance", TRADES, ["XRPUSDT"]))
    with pytest.raises(NotSupported):
        await anext(archive.batches("binance", types_pb2.CHANNEL_REPAIRS))


async def test_a_reader_that_stops_leaves_nothing_behind(store):
    archive, connection = store
    add_trades(connection, *(("BTCUSDT", number * 61, number, 1) for number in range(1, 10)))
    reading = archive.batches("binance", TRADES, rows_max=1)
    await anext(reading)
    await reading.aclose()
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    busy = connection.execute(f"{others} AND state = 'active' AND pid <> pg_backend_pid()")
    assert busy.fetchone() == (0,)
    assert len(await read(archive)) == 1


async def test_slices_are_taken_in_order_whatever_they_hold():
    async def read_slice(start_ns, end_ns, bytes_max):
        times = [time_ns for time_ns in (3, 5, 100, 101) if start_ns <= time_ns < end_ns]
        if len(times) * 10 > bytes_max:
            raise slices.ResponseTooLarge
        return times, len(times)

    found = [time_ns async for times in TimeSlices(read_slice, 0, 1000).all() for time_ns in times]
    assert found == [3, 5, 100, 101]


def test_ranks_follow_the_names():
    instruments = archives.RecordedInstruments("binance", ["A", "B", "C"], [7, 3, 9])
    assert instruments.ranks(np.array([3, 9, 7])).tolist() == [1, 2, 0]
