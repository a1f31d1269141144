"""Columns of every channel, from a database over a server of History to arrays and tables."""

import asyncio
from decimal import Decimal

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from venuemesh.common.v1 import types_pb2

from core.history.tests.book_market import Update, record_book
from core.history.tests.process import history_process
from core.history.tests.recorded import (
    ETH,
    START_NS,
    SYMBOL,
    VENUE,
    Bar,
    Quote,
    Trade,
    record_bars,
    record_quotes,
    record_trades,
)
from kit.base import rpc
from kit.base.database import Database
from kit.storage import reader
from kit.storage.reader.columns import no_rows

OTHERS = """
    INSERT INTO ticker_rows (instrument_id, venue_time_ns, received_time_ns, last_price, open_price,
        high_price, low_price, volume) VALUES (1, 0, 5000, 1.5, 1, 2, 0.5, 1000);
    INSERT INTO mark_rows (instrument_id, venue_time_ns, received_time_ns, mark_price, index_price,
        funding_rate, next_funding_time_ns) VALUES (1, 4000, 5000, 1.5, 1.25, -0.0001, 9000);
    INSERT INTO candle_rows (instrument_id, interval_s, open_time_ns, open, high, low, close,
        volume, closed, venue_time_ns, received_time_ns)
    VALUES (1, 60, 60000, 1, 2, 0.5, 1.5, 7, true, 4000, 5000);
"""


@pytest.fixture(scope="module")
def trades():
    """Of two instruments with other scales, and ids of both kinds."""
    return [
        Trade(1, price=6_183_763, venue_time_ns=START_NS),
        Trade(2, ETH, price=25_000, venue_time_ns=START_NS + 10, side=types_pb2.SIDE_SELL),
        Trade("x-3", price=-5, venue_time_ns=START_NS + 20, side=0),
    ]


@pytest.fixture
async def address(postgres_url, trades):
    database = Database(postgres_url)
    await record_trades(database, trades)
    await record_quotes(database, [Quote(START_NS + 1), Quote(START_NS + 2, price=7)])
    await record_bars(database, [Bar("1m", number * 60) for number in range(1, 4)])
    rows = [
        Update(SYMBOL, [(100, 5), (99, 1)], [(101, 2)], START_NS, snapshot=True),
        Update(SYMBOL, [], [(101, 0)], START_NS + 1),
    ]
    await record_book(database, [(1, rows)])
    await database.close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute(OTHERS)
    process = history_process(postgres_url)
    process.start()
    async with rpc.channel(process.address) as channel, asyncio.timeout(60):
        await channel.channel_ready()
    yield process.address
    process.kill()


async def test_every_channel_is_read(address):
    trades = await reader.read_trades(address, VENUE)
    assert [trades.symbols[place] for place in trades["symbol"]] == [SYMBOL, "ETHUSDT", SYMBOL]
    assert trades["price"].dtype == np.int64
    prices = [Decimal(int(price)).scaleb(-trades.scales["price"]) for price in trades["price"]]
    assert prices == [Decimal("61837.63"), Decimal("2.5"), Decimal("-0.05")]
    assert trades["trade_id"].tolist() == [1, 2, 0]
    assert trades["trade_id_text"].tolist() == ["", "", "x-3"]

    found = (await reader.read_trades(address, VENUE, SYMBOL, START_NS + 6_000_000)).to_arrow()
    assert found.num_rows == 0
    table = trades.to_arrow()
    assert table["price"].to_pylist() == prices
    assert table["side"].to_pylist() == ["buy", "sell", None]
    assert table["trade_id_text"].to_pylist() == [None, None, "x-3"]
    assert table["venue_time"].cast(pa.int64()).to_pylist() == [
        START_NS,
        START_NS + 10,
        START_NS + 20,
    ]

    quotes = await reader.read_quotes(address, VENUE, SYMBOL)
    assert quotes.to_arrow()["bid_price"].to_pylist() == [100, 7]
    book = await reader.read_book(address, VENUE, SYMBOL)
    levels = book.to_arrow().select(["side", "price", "size", "snapshot"]).to_pylist()
    assert [tuple(level.values()) for level in levels] == [
        ("bid", 1, Decimal("0.005"), True),
        ("bid", Decimal("0.99"), Decimal("0.001"), True),
        ("ask", Decimal("1.01"), Decimal("0.002"), True),
        ("ask", Decimal("1.01"), 0, False),
    ]
    (ticker,) = (await reader.read_tickers(address, VENUE, SYMBOL)).to_arrow().to_pylist()
    assert (ticker["last_price"], ticker["volume"]) == (Decimal("1.5"), 1000)
    assert ticker["venue_time"] is None
    (mark,) = (await reader.read_marks(address, VENUE, SYMBOL)).to_arrow().to_pylist()
    assert mark["funding_rate"] == Decimal("-0.0001")
    (candle,) = (await reader.read_candles(address, VENUE, SYMBOL)).to_arrow().to_pylist()
    assert (candle["interval_s"], candle["close"]) == (60, Decimal("1.5"))

    bars = await reader.read_bars(address, VENUE, SYMBOL, "1m", 60, 180)
    assert bars["open_time_ns"].tolist() == [60, 120]
    assert bars.to_arrow()["quote_volume"].to_pylist() == [Decimal("15.1")] * 2
    assert len(await reader.read_bars(address, VENUE, SYMBOL, "5m")) == 0


async def test_parts_join_at_the_larger_scale():
    def prices(symbol, scale, values):
        part = no_rows(types_pb2.CHANNEL_TRADES)
        columns = {name: np.zeros(len(values), dtype=np.int64) for name in part.values}
        columns["price"] = np.array(values, dtype=np.int64)
        columns["trade_id_text"] = np.full(len(values), "", dtype=object)
        return reader.Columns("trades", [symbol], columns, {"price": scale, "size": 0})

    parts = [prices("A", 1, [15]), prices("B", 3, [2500]), prices("A", 0, [7])]
    whole = reader.Columns.joined(parts)
    assert whole.scales["price"] == 3
    assert whole["price"].tolist() == [1500, 2500, 7000]
    assert [whole.symbols[place] for place in whole["symbol"]] == ["A", "B", "A"]
    assert whole.to_arrow()["price"].to_pylist() == [Decimal("1.5"), Decimal("2.5"), 7]


@pytest.mark.parametrize("channel", [None, 1, 2, 3, 4, 5, 6])
def test_empty_result_has_all_columns(channel):
    table = no_rows(channel).to_arrow()
    assert table.num_rows == 0
    assert "symbol" in table.column_names
