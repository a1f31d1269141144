"""Captures through the simulator and the connector: what is published is what is in the file."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.numbers import to_decimal
from kit.conformance.connector_under_test import ConnectorUnderTest
from kit.connector.books.synchronized_book import BookState
from venues.binance.simulator.tests.running import running
from venues.binance.tests.connecting import connected
from venues.binance.tests.test_book import Reading, levels_of
from venues.binance.tests.test_parse import captured

Row = tuple[object, ...]


def data_of(lines: list[bytes], stream: str) -> list[dict]:
    return [json.loads(line)["data"] for line in lines if stream.encode() in line[:64]]


def published(
    connector: ConnectorUnderTest, kind: str, number: str, *columns: tuple[str, str]
) -> Iterator[Row]:
    """The rows of a channel: symbol, number, and columns of prices and sizes."""
    for batch in connector.batches:
        if batch.WhichOneof("columns") == kind:
            yield from rows_of(batch, getattr(batch, kind), number, columns)


def rows_of(
    batch: batch_pb2.MarketDataBatch, found: object, number: str, columns: tuple
) -> Iterator[Row]:
    for row, index in enumerate(found.instrument):
        entry = batch.instruments[index]
        values = (
            to_decimal(getattr(found, name)[row], getattr(entry, scale)) for name, scale in columns
        )
        yield entry.symbol, getattr(found, number)[row], *values


PRICE, SIZE = "price_scale", "size_scale"


@pytest.mark.parametrize("venue", ["binance", "binance_futures"])
async def test_all_of_a_capture_is_published(captures: Path, venue: str) -> None:
    folder = captures / venue / "btcusdt_first30s"
    lines, reading = captured(folder), Reading.of(folder)
    capture_file = f"{venue}={folder / 'frames.jsonl'}"
    async with (
        running("replay", venue, replay=[capture_file], speed="max") as base,
        connected(base, ["BTCUSDT"]) as connector,
    ):
        trades, quotes = data_of(lines, "@trade"), data_of(lines, "@bookTicker")
        book, last = connector.book("BTCUSDT"), reading.updates["BTCUSDT"][-1]["u"]
        await connector.until(
            lambda: (
                book.last_sequence == last
                and len(connector.trade_ids("BTCUSDT")) == len(trades)
                and sum(1 for _ in published(connector, "quotes", "sequence")) == len(quotes)
            )
        )
        assert (book.state, book.epoch, connector.all_gaps) == (BookState.SYNCHRONIZED, 1, [])
        assert levels_of(book) == reading.book("BTCUSDT")
    columns = (("price", PRICE), ("size", SIZE))
    assert list(published(connector, "trades", "trade_id", *columns)) == [
        ("BTCUSDT", one["t"], Decimal(one["p"]), Decimal(one["q"])) for one in trades
    ]
    columns = (("bid_price", PRICE), ("bid_size", SIZE), ("ask_price", PRICE), ("ask_size", SIZE))
    assert list(published(connector, "quotes", "sequence", *columns)) == [
        ("BTCUSDT", one["u"], *(Decimal(one[key]) for key in ("b", "B", "a", "A")))
        for one in quotes
    ]


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        ("binance", "binance_us_2021"),
        ("binance", "binance_tr_2023"),
        ("binance_futures", "sushi_akro_2021"),
    ],
)
async def test_each_symbol_of_a_capture_has_its_own_book(
    captures: Path, venue: str, name: str
) -> None:
    folder = captures / venue / name
    reading = Reading.of(folder)
    capture_file = f"{venue}={folder / 'frames.jsonl'}"
    async with (
        running("replay", venue, replay=[capture_file], speed="max") as base,
        connected(base, list(reading.updates), trades="aggregate") as connector,
    ):
        for symbol, updates in reading.updates.items():
            book, last = connector.book(symbol), updates[-1]["u"]
            await connector.until(lambda book=book, last=last: book.last_sequence == last)
            assert levels_of(book) == reading.book(symbol)
        prints = data_of(captured(folder), "@aggTrade")
        await connector.until(lambda: connector.count(types_pb2.CHANNEL_TRADES) == len(prints))
        assert connector.all_gaps == []
    columns = (("price", PRICE), ("size", SIZE))
    assert list(published(connector, "trades", "trade_id", *columns)) == [
        (one["s"], one["a"], Decimal(one["p"]), Decimal(one["q"])) for one in prints
    ]
