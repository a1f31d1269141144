"""Expected fills of an order that is alone at its price, computed from a record."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from venuemesh.marketdata.v1 import batch_pb2

from kit.storage.archive import codec
from tests.integration import recorded
from tests.integration.capture import BookUpdate
from tests.integration.mesh import Mesh


class Traded(NamedTuple):
    """A trade with the side of its taker."""

    price: Decimal
    size: Decimal
    is_sold: bool


Event = Traded | BookUpdate


def events(mesh: Mesh, since_ns: int) -> list[Event]:
    """Trades and updates of the book that were received since a time, in that order; of the same
    time trades first."""
    found: list[tuple[int, int, Event]] = [
        (received_ns, 0, Traded(price, size, side == 2))
        for received_ns, price, size, side in mesh.sql(
            "SELECT received_time_ns, price, size, side FROM trade_rows ORDER BY trade_id"
        )
    ]
    found += [(received_ns, 1, update) for received_ns, update in _updates(mesh)]
    found.sort(key=lambda event: event[:2])
    return [event for received_ns, _, event in found if received_ns >= since_ns]


def prices(happened: Sequence[Event]) -> list[Decimal]:
    """The prices of the trades."""
    return [event.price for event in happened if isinstance(event, Traded)]


def bought(price: Decimal, size: Decimal, happened: Sequence[Event]) -> list[Decimal]:
    """Fill sizes of a buy order at the front of its queue: by trades at its price or below, and by
    newly offered sizes there."""
    offered: dict[Decimal, Decimal] = {}
    sizes = (part for event in happened for part in _parts(price, event, offered))
    found = []
    for part in sizes:
        taken = min(part, size)
        size -= taken
        if taken:
            found.append(taken)
    return found


def untouched_price(wanted: Decimal, tick: Decimal, happened: Sequence[Event]) -> Decimal:
    """The highest price up to this one without bids in the whole time."""
    busy = {
        price
        for event in happened
        if isinstance(event, BookUpdate)
        for price, size in event.bids
        if size
    }
    while wanted in busy:
        wanted -= tick
    return wanted


def _parts(price: Decimal, event: Event, offered: dict[Decimal, Decimal]) -> Iterator[Decimal]:
    if isinstance(event, Traded):
        if event.price < price or (event.price == price and event.is_sold):
            yield event.size
        return
    for at, size in sorted(event.asks):
        if at <= price:
            yield max(size - offered.get(at, Decimal()), Decimal())
            offered[at] = size


def _updates(mesh: Mesh) -> Iterator[tuple[int, BookUpdate]]:
    newest_ns = 0
    rows = mesh.sql("SELECT codec, batch FROM book_batch_rows ORDER BY epoch, sequence")
    for kind, packed in rows:
        batch = batch_pb2.MarketDataBatch.FromString(codec.unpack(kind, packed))
        columns = batch.book
        # Updates of epoch 0 belong to no book.
        times = zip(columns.received_time_ns, columns.book_epoch, strict=True)
        proven_ns = [received_ns for received_ns, book_epoch in times if book_epoch]
        for received_ns, one in zip(proven_ns, recorded.updates_of(batch), strict=True):
            newest_ns = max(newest_ns, received_ns)
            yield newest_ns, one.update
