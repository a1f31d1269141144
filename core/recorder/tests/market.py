"""Batches as a venue process publishes them, and what should be in the database afterwards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import NamedTuple

import psycopg
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Cursor, StreamKey
from kit.base.numbers import to_decimal
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.model.batches import Batch
from kit.storage.archive import codec

VENUE = "binance"
TRADES = StreamKey(VENUE, types_pb2.CHANNEL_TRADES)
QUOTES = StreamKey(VENUE, types_pb2.CHANNEL_QUOTES)
BOOK = StreamKey(VENUE, types_pb2.CHANNEL_BOOK)
START_NS = 1_723_100_000_000_000_000


class Instrument(NamedTuple):
    """One entry of a batch's dictionary."""

    symbol: str
    price_scale: int = 2
    size_scale: int = 5


BTC = Instrument("BTCUSDT")
ETH = Instrument("ETHUSDT", 4, 8)


@dataclass(frozen=True)
class Trade:
    """One trade of a batch, in scaled numbers."""

    trade_id: int | str
    instrument: Instrument = BTC
    price: int = 6_183_763
    size: int = 12_345
    side: int = types_pb2.SIDE_BUY
    venue_time_ns: int = START_NS

    def row(self) -> tuple:
        """As the view "trades" shows it."""
        with localcontext(prec=100):
            price = to_decimal(self.price, self.instrument.price_scale)
            size = to_decimal(self.size, self.instrument.size_scale)
        side = {1: "buy", 2: "sell"}.get(self.side)
        symbol = self.instrument.symbol
        return (symbol, self.trade_id, price, size, side, self.venue_time_ns)


def trades(first_id: int, count: int, instrument: Instrument = BTC) -> list[Trade]:
    """Consecutive trades, each different from the others."""
    return [
        Trade(
            number,
            instrument,
            price=6_000_000 + number * 7 % 10_007,
            size=1 + number * 31 % 100_003,
            side=1 + number % 2,
            venue_time_ns=START_NS + number * 1_000_000,
        )
        for number in range(first_id, first_id + count)
    ]


def batch(
    key: StreamKey, cursor: Cursor, gaps: Iterable[types_pb2.Gap] = (), published_ns: int = START_NS
) -> Batch:
    """A batch without rows."""
    return Batch(
        venue=key.venue,
        channel=key.channel,
        cursor=cursor.message(),
        gaps=gaps,
        published_time_ns=published_ns,
    )


def trade_batch(cursor: Cursor, rows: Sequence[Trade], gaps: Iterable[types_pb2.Gap] = ()) -> Batch:
    """A batch of trades of any instruments."""
    message = batch(TRADES, cursor, gaps)
    places = _add_instruments(message, [row.instrument for row in rows])
    columns = message.trades
    for row in rows:
        columns.instrument.append(places[row.instrument])
        columns.price.append(row.price)
        columns.size.append(row.size)
        columns.side.append(row.side)
        columns.venue_time_ns.append(row.venue_time_ns)
        columns.received_time_ns.append(row.venue_time_ns + 5_000_000)
        columns.trade_id.append(row.trade_id if isinstance(row.trade_id, int) else 0)
        if isinstance(row.trade_id, str):
            columns.trade_id_text.append(row.trade_id)
    return message


def quote_batch(cursor: Cursor, numbers: Sequence[int], instrument: Instrument = BTC) -> Batch:
    """A batch of quotes whose prices and sizes follow from these numbers."""
    message = batch(QUOTES, cursor)
    _add_instruments(message, [instrument])
    columns = message.quotes
    for number in numbers:
        columns.instrument.append(0)
        columns.bid_price.append(number)
        columns.bid_size.append(number + 1)
        columns.ask_price.append(number + 2)
        columns.ask_size.append(number + 3)
        columns.venue_time_ns.append(0)
        columns.received_time_ns.append(START_NS + number)
        columns.sequence.append(number)
    return message


def book_batch(
    cursor: Cursor, instruments: Sequence[Instrument] = (BTC,), snapshot: bool = False
) -> Batch:
    """A batch with one update of each instrument, of two bids and one ask."""
    message = batch(BOOK, cursor)
    places = _add_instruments(message, instruments)
    columns = message.book
    for number, instrument in enumerate(instruments):
        columns.instrument.append(places[instrument])
        columns.first_sequence.append(number)
        columns.last_sequence.append(number)
        columns.snapshot.append(snapshot)
        columns.book_epoch.append(1)
        columns.venue_time_ns.append(START_NS)
        columns.received_time_ns.append(START_NS + number)
        columns.bid_count.append(2)
        columns.ask_count.append(1)
        columns.price.extend([10, 9, 11])
        columns.size.extend([1, 2, 3])
    return message


def entry(key: StreamKey, message: Batch | bytes, cursor: Cursor | None = None) -> StreamEntry:
    """A batch as an entry of its stream."""
    if isinstance(message, bytes):
        return StreamEntry(key, cursor or Cursor(1, 1), message)
    return StreamEntry(key, Cursor.of(message.cursor), message.SerializeToString())


def recorded_trades(url: str) -> list[tuple]:
    """Every trade in the database, by symbol and id."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT symbol, coalesce(trade_id_text, trade_id::text), price, size, side,"
            " venue_time_ns FROM trades ORDER BY symbol, trade_id, trade_id_text"
        ).fetchall()


def expected_trades(rows: Iterable[Trade]) -> list[tuple]:
    """What recorded_trades should return for these, each once."""
    once = {(row.instrument.symbol, row.trade_id): row for row in reversed(list(rows))}
    return [
        (symbol, str(trade_id), *row.row()[2:]) for (symbol, trade_id), row in sorted(once.items())
    ]


def recorded_gaps(url: str) -> list[tuple]:
    """Channel, symbol, reason, cursor of every gap."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT channel, symbol, reason, epoch, sequence FROM gaps"
            " ORDER BY channel, epoch, sequence, reason"
        ).fetchall()


def recorded_updates(url: str) -> int:
    """Book updates in the database, as the blocks have them."""
    with psycopg.connect(url) as connection:
        blocks = connection.execute("SELECT codec, batch FROM book_batch_rows").fetchall()
    return sum(len(codec.unpack_book(number, data)[1]) for number, data in blocks)


def count(url: str, table: str) -> int:
    """Rows of a table or view."""
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return row[0]


def _add_instruments(message: Batch, wanted: Sequence[Instrument]) -> dict[Instrument, int]:
    places = {instrument: place for place, instrument in enumerate(dict.fromkeys(wanted))}
    for instrument in places:
        message.instruments.add(
            symbol=instrument.symbol,
            price_scale=instrument.price_scale,
            size_scale=instrument.size_scale,
        )
    return places


def exact(unscaled: int, scale: int) -> Decimal:
    """The value, however many digits it has."""
    with localcontext(prec=100):
        return to_decimal(unscaled, scale)
