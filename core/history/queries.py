"""What History asks the database.

Pages go by key, not by number of rows: a page begins after the key of the last row of the page
before. So it costs the same wherever it is, and rows that are added meanwhile move nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit import paging
from kit.database import Connection, Database
from kit.errors import BadPageToken, BadRequest, UnknownInstrument, UnknownService

PAGE_SIZE = 1_000
PAGE_SIZE_MAX = 10_000
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
INTERVALS = ("1s", "5s", "15s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w")

Row = tuple[Any, ...]
ListRequest = (
    history_pb2.ListTradesRequest | history_pb2.ListBarsRequest | history_pb2.ListGapsRequest
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that comes in pages."""

    columns: str
    source: str
    """Table and condition. Values stand in it as ``%(name)s``."""
    key: Mapping[str, type]
    """Expressions that order the list and are unlike in any two rows, with their types."""

    def statement(self, newest_first: bool, later_page: bool) -> bytes:
        """The rows, each with its key at the end."""
        order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        keys = ", ".join(self.key)
        after = ", ".join(f"%(after_{place})s" for place in range(len(self.key)))
        rest = f"AND ({keys}) {beyond} ({after})" if later_page else ""
        orders = ", ".join(f"{key} {order}" for key in self.key)
        return (
            f"SELECT {self.columns}, {keys} FROM {self.source} {rest} "
            f"ORDER BY {orders} LIMIT %(limit)s"
        ).encode()

    def after(self, request: ListRequest) -> dict[str, int | str] | None:
        """Where the page begins, None for the first. Raises BadPageToken."""
        position = paging.read_token(request)
        if position is None:
            return None
        if len(position) != len(self.key) or not all(map(_fits, position, self.key.values())):
            raise BadPageToken("not a page token", page_token=request.page_token)
        return {f"after_{place}": value for place, value in enumerate(position)}


TRADES = Listing(
    "coalesce(trade_id_text, trade_id::text), trim_scale(price)::text, trim_scale(size)::text,"
    " side, received_time_ns",
    "trade_rows WHERE instrument_id = %(instrument_id)s"
    " AND venue_time_ns >= %(start_ns)s AND venue_time_ns < %(end_ns)s",
    {
        "venue_time_ns": int,
        "coalesce(trade_id, 0)": int,
        "coalesce(trade_id_text, '') COLLATE \"C\"": str,
    },
)

BAR_NUMBERS = ("open", "high", "low", "close", "volume", "buy_volume", "quote_volume")
BAR_FIELDS = (*BAR_NUMBERS, "trade_count", "covered_ns", "revision", "final")
BARS = Listing(
    ", ".join(
        f"trim_scale({field})::text" if field in BAR_NUMBERS else field for field in BAR_FIELDS
    ),
    "bars WHERE venue = %(venue)s AND symbol = %(symbol)s AND interval = %(interval)s"
    " AND open_time_ns >= %(start_ns)s AND open_time_ns < %(end_ns)s",
    {"open_time_ns": int},
)

GAP_FIELDS = (
    "symbol",
    "reason",
    "last_id_before",
    "first_id_after",
    "last_time_ns",
    "first_time_ns",
    "detected_time_ns",
    "detail",
)
GAPS = Listing(
    ", ".join(GAP_FIELDS),
    "gap_rows WHERE venue = %(venue)s"
    " AND (%(symbol)s = '' OR symbol IS NULL OR symbol = %(symbol)s)"
    " AND (%(channel)s = 0 OR channel = %(channel)s)"
    " AND detected_time_ns >= %(start_ns)s AND detected_time_ns < %(end_ns)s",
    {"channel": int, "epoch": int, "sequence": int, "ordinal": int},
)


class Queries:
    """Reads what was recorded. Every list comes with the token of its next page.

    Methods raise BadRequest, BadPageToken, UnknownInstrument and StoreUnavailable.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trades(
        self, request: history_pb2.ListTradesRequest
    ) -> tuple[list[market_data_pb2.Trade], str]:
        """Trades by venue time, those of one time by id."""
        values = _times(request)
        async with self._database.transaction() as connection:
            values["instrument_id"] = await _instrument_id(connection, request)
            rows, token = await _page(connection, TRADES, request, values, _newest_first(request))
        return [_trade(row) for row in rows], token

    async def bars(self, request: history_pb2.ListBarsRequest) -> tuple[list[bars_pb2.Bar], str]:
        """Bars of one interval by open time."""
        if request.interval not in INTERVALS:
            raise _bad("interval", request.interval, " ".join(INTERVALS))
        values = _times(request) | _names(request) | {"interval": request.interval}
        async with self._database.transaction() as connection:
            rows, token = await _page(connection, BARS, request, values, _newest_first(request))
            if not rows:
                await _instrument_id(connection, request)
        return [_bar(request, row) for row in rows], token

    async def gaps(
        self, request: history_pb2.ListGapsRequest
    ) -> tuple[list[history_pb2.RecordedGap], str]:
        """Gaps by channel and cursor. Raises UnknownService for a venue never recorded."""
        if request.channel not in types_pb2.Channel.values():
            raise _bad("channel", request.channel, " ".join(types_pb2.Channel.keys()))
        values = _times(request) | _names(request) | {"channel": int(request.channel)}
        async with self._database.transaction() as connection:
            rows, token = await _page(connection, GAPS, request, values, newest_first=False)
            if not rows and request.symbol:
                await _instrument_id(connection, request)
            elif not rows:
                await _check_venue(connection, request.venue)
        return [_gap(row) for row in rows], token


async def _page(
    connection: Connection,
    listing: Listing,
    request: ListRequest,
    values: Mapping[str, object],
    newest_first: bool,
) -> tuple[list[Row], str]:
    after = listing.after(request)
    size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
    statement = listing.statement(newest_first, after is not None)
    found = await connection.execute(statement, {**values, **(after or {}), "limit": size + 1})
    rows = await found.fetchall()
    if len(rows) <= size:
        return rows, ""
    rows = rows[:size]
    return rows, paging.make_token(request, list(rows[-1][-len(listing.key) :]))


async def _instrument_id(connection: Connection, request: ListRequest) -> int:
    names = _names(request)
    found = await connection.execute(
        "SELECT instrument_id FROM instruments WHERE venue = %(venue)s AND symbol = %(symbol)s",
        names,
    )
    row = await found.fetchone()
    if row is None:
        raise UnknownInstrument(f"nothing was recorded of {request.symbol!r}", **names)
    instrument_id: int = row[0]
    return instrument_id


async def _check_venue(connection: Connection, venue: str) -> None:
    found = await connection.execute("SELECT 1 FROM instruments WHERE venue = %s LIMIT 1", [venue])
    if await found.fetchone() is None:
        raise UnknownService(f"nothing was recorded of {venue!r}", name=venue)


def _names(request: ListRequest) -> dict[str, object]:
    """Venue and symbol. PostgreSQL holds no text with a zero in it, nor can it be asked for one."""
    if "\0" in request.venue + request.symbol:
        raise UnknownInstrument("no such name", venue=request.venue, symbol=request.symbol)
    return {"venue": request.venue, "symbol": request.symbol}


def _times(request: ListRequest) -> dict[str, object]:
    start_ns, end_ns = request.range.start_time_ns, request.range.end_time_ns
    if end_ns and start_ns > end_ns:
        raise _bad("range", f"{start_ns} to {end_ns}", "start_time_ns <= end_time_ns")
    return {"start_ns": start_ns or INT64_MIN, "end_ns": end_ns or INT64_MAX}


def _newest_first(request: history_pb2.ListTradesRequest | history_pb2.ListBarsRequest) -> bool:
    if request.order not in history_pb2.Order.values():
        raise _bad("order", request.order, " ".join(history_pb2.Order.keys()))
    return request.order == history_pb2.ORDER_NEWEST_FIRST


def _bad(field: str, value: object, allowed: str) -> BadRequest:
    return BadRequest(
        f"{field} is not one of those allowed", field=field, value=value, allowed=allowed
    )


def _fits(value: object, kind: type) -> bool:
    """Whether it can be compared with a key of this kind."""
    if kind is int:
        return type(value) is int and INT64_MIN <= value <= INT64_MAX
    return isinstance(value, str) and "\0" not in value


def _trade(row: Row) -> market_data_pb2.Trade:
    trade_id, price, size, side, received_time_ns, venue_time_ns = row[:6]
    return market_data_pb2.Trade(
        trade_id=trade_id,
        price=price,
        size=size,
        side=side,
        venue_time_ns=venue_time_ns,
        received_time_ns=received_time_ns,
    )


def _bar(request: history_pb2.ListBarsRequest, row: Row) -> bars_pb2.Bar:
    *values, open_time_ns = row
    numbers: dict[str, Any] = dict(zip(BAR_FIELDS, values, strict=True))
    return bars_pb2.Bar(
        venue=request.venue,
        symbol=request.symbol,
        interval=request.interval,
        open_time_ns=open_time_ns,
        **numbers,
    )


def _gap(row: Row) -> history_pb2.RecordedGap:
    *values, channel, epoch, sequence, _ = row
    fields: dict[str, Any] = dict(zip(GAP_FIELDS, values, strict=True))
    return history_pb2.RecordedGap(
        channel=channel,
        cursor=types_pb2.Cursor(epoch=epoch, sequence=sequence),
        gap=types_pb2.Gap(**fields),
    )
