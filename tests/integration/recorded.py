"""The record of a mesh, read from its database with SQL."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from venuemesh.marketdata.v1 import batch_pb2

from kit.storage.archive import codec
from tests.integration.capture import Bar, BookUpdate, Levels, Quote, Trade
from tests.integration.mesh import SYMBOL, VENUE, Mesh

BAR_COLUMNS = ", ".join(Bar._fields)
TRADES = (
    "SELECT trade_id, price, size, side, venue_time_ns FROM trades"
    " WHERE venue = %s AND symbol = %s ORDER BY trade_id"
)
QUOTES = (
    "SELECT sequence, bid_price, bid_size, ask_price, ask_size FROM quote_rows"
    " ORDER BY (received_time_ns, sequence)"
)
NEWEST = " DESC LIMIT 1"
"""Suffix of the queries above: only the newest row, for repeated reads while waiting."""


class Gap(NamedTuple):
    """A row of the view gaps."""

    channel: str
    symbol: str | None
    reason: str
    last_id_before: int
    first_id_after: int
    detected_time_ns: int

    @property
    def missing(self) -> range:
        """The missing ids of the gap."""
        if not self.last_id_before or not self.first_id_after:
            return range(0)
        return range(self.last_id_before + 1, self.first_id_after)


class RecordedUpdate(NamedTuple):
    """A row of a book batch."""

    symbol: str
    snapshot: bool
    book_epoch: int
    update: BookUpdate


def trades(mesh: Mesh) -> list[Trade]:
    """All trades, by id."""
    return [Trade(*row) for row in mesh.sql(TRADES, VENUE, SYMBOL)]


def last_trade(mesh: Mesh) -> Trade:
    """The one with the greatest id. Raises LookupError while there is none."""
    return Trade(*mesh.sql(TRADES + NEWEST, VENUE, SYMBOL)[0])


def trades_after(mesh: Mesh, trade_id: int) -> int:
    """Number of trades with a greater id."""
    rows = mesh.sql(
        "SELECT count(*) FROM trades WHERE venue = %s AND symbol = %s AND trade_id > %s",
        *(VENUE, SYMBOL, trade_id),
    )
    return int(rows[0][0])


def trade_count(mesh: Mesh) -> int:
    """Number of recorded trades of all instruments."""
    return int(mesh.sql("SELECT count(*) FROM trade_rows")[0][0])


def quotes(mesh: Mesh) -> list[Quote]:
    """All quotes, in the order in which they were received."""
    return [Quote(*row) for row in mesh.sql(QUOTES)]


def last_quote(mesh: Mesh) -> Quote:
    """The one that was written last. Raises LookupError while there is none."""
    return Quote(*mesh.sql(QUOTES + NEWEST)[0])


def gaps(mesh: Mesh) -> list[Gap]:
    """Gaps in stream order, without gaps of books before their first snapshot."""
    rows = mesh.sql(
        "SELECT channel, symbol, reason, last_id_before, first_id_after, detected_time_ns"
        " FROM gaps WHERE reason <> 'unproven' ORDER BY channel, epoch, sequence"
    )
    return [Gap(*row) for row in rows]


def bars(mesh: Mesh, interval: str) -> dict[int, Bar]:
    """The bars of one interval by open time, ns."""
    rows = mesh.sql(
        f"SELECT open_time_ns, {BAR_COLUMNS} FROM bars"
        " WHERE venue = %s AND symbol = %s AND interval = %s ORDER BY open_time_ns",
        *(VENUE, SYMBOL, interval),
    )
    return {row[0]: Bar(*row[1:]) for row in rows}


def book_updates(mesh: Mesh) -> list[RecordedUpdate]:
    """The rows of all book batches."""
    rows = mesh.sql(
        "SELECT codec, batch FROM book_batch_rows WHERE venue = %s ORDER BY epoch, sequence", VENUE
    )
    return [update for row in rows for update in _unpacked(*row)]


def last_book_update(mesh: Mesh) -> RecordedUpdate:
    """The last update of the newest batch. Raises LookupError without one."""
    rows = mesh.sql(
        "SELECT codec, batch FROM book_batch_rows WHERE venue = %s AND update_count > 0"
        " ORDER BY epoch DESC, sequence DESC LIMIT 1",
        VENUE,
    )
    return list(_unpacked(*rows[0]))[-1]


def _unpacked(kind: int, packed: bytes) -> Iterator[RecordedUpdate]:
    return updates_of(batch_pb2.MarketDataBatch.FromString(codec.unpack(kind, packed)))


def updates_of(batch: batch_pb2.MarketDataBatch) -> Iterator[RecordedUpdate]:
    """The rows of one book batch, without those that belong to no book."""
    columns = batch.book
    start = 0
    for row, place in enumerate(columns.instrument):
        middle = start + columns.bid_count[row]
        stop = middle + columns.ask_count[row]
        instrument = batch.instruments[place]
        price = [
            Decimal(number).scaleb(-instrument.price_scale) for number in columns.price[start:stop]
        ]
        size = [
            Decimal(number).scaleb(-instrument.size_scale) for number in columns.size[start:stop]
        ]
        levels = list(zip(price, size, strict=True))
        bids: Levels = levels[: middle - start]
        asks: Levels = levels[middle - start :]
        start = stop
        if not columns.book_epoch[row]:
            continue
        yield RecordedUpdate(
            instrument.symbol,
            columns.snapshot[row],
            columns.book_epoch[row],
            BookUpdate(columns.first_sequence[row], columns.last_sequence[row], bids, asks),
        )


def missing_ids(recorded: Iterable[Gap], channel: str) -> set[int]:
    """The ids that the gaps of a channel say are missing."""
    return {id_ for gap in recorded if gap.channel == channel for id_ in gap.missing}
