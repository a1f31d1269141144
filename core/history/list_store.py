"""The lists of History, page by page, from PostgreSQL."""

from typing import TypeVar

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.history import list_queries, request_checks
from core.history.paged_list import PagedList, page
from core.history.request_checks import InstrumentRequest
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection, Database
from kit.base.errors import UnknownInstrument, UnknownService
from kit.base.intervals import BY_NAME

Message = TypeVar("Message")
Page = tuple[list[Message], str]
"""The messages of a page, and the token of the next page."""


class ListStore:
    """Reads the lists.

    Methods raise BadRequest, BadPageToken, UnknownInstrument and StoreUnavailable.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trades(self, request: history_pb2.ListTradesRequest) -> Page[market_data_pb2.Trade]:
        """Trades by venue time and id."""
        values, newest_first = _times(request), request_checks.newest_first(request)
        async with self._database.transaction() as connection:
            values["instrument_id"] = await instrument_id(connection, request)
            rows, token = await page(connection, list_queries.TRADES, request, values, newest_first)
        return list(map(list_queries.trade, rows)), token

    async def quotes(self, request: history_pb2.ListQuotesRequest) -> Page[history_pb2.Quote]:
        values, newest_first = _times(request), request_checks.newest_first(request)
        async with self._database.transaction() as connection:
            values["instrument_id"] = await instrument_id(connection, request)
            rows, token = await page(connection, list_queries.QUOTES, request, values, newest_first)
        return list(map(list_queries.quote, rows)), token

    async def bars(self, request: history_pb2.ListBarsRequest) -> Page[bars_pb2.Bar]:
        """Bars of one interval by open time and number."""
        as_of_ns = request_checks.not_negative("as_of_time_ns", request.as_of_time_ns)
        if as_of_ns and request.include_venue_candles:
            raise request_checks.bad(
                "include_venue_candles", True, "false together with as_of_time_ns"
            )
        interval = request_checks.interval(request.interval)
        values = _times(request) | request_checks.names(request)
        values |= {"interval": interval, "as_of_ns": as_of_ns}
        listing: PagedList = list_queries.BARS_AS_OF if as_of_ns else list_queries.BARS
        newest_first = request_checks.newest_first(request)
        async with self._database.transaction() as connection:
            if request.include_venue_candles and interval in BY_NAME:
                listing = list_queries.BARS_AND_CANDLES
                values["interval_s"] = BY_NAME[interval].length_ns // NANOSECONDS_PER_SECOND
                values["instrument_id"] = await instrument_id(connection, request)
            rows, token = await page(connection, listing, request, values, newest_first)
            if not rows:
                await instrument_id(connection, request)
        return [list_queries.bar(request, row) for row in rows], token

    async def gaps(self, request: history_pb2.ListGapsRequest) -> Page[history_pb2.RecordedGap]:
        """Gaps by channel and cursor. Raises UnknownService for a venue never recorded."""
        if request.channel not in types_pb2.Channel.values():
            raise request_checks.bad("channel", request.channel, " ".join(types_pb2.Channel.keys()))
        values = _times(request) | request_checks.names(request) | {"channel": int(request.channel)}
        async with self._database.transaction() as connection:
            rows, token = await page(
                connection, list_queries.GAPS, request, values, newest_first=False
            )
            if not rows:
                await _check_known(connection, request)
        return list(map(list_queries.gap, rows)), token

    async def quality(self, request: history_pb2.ListQualityRequest) -> Page[history_pb2.Quality]:
        """Scores, newest first. Raises UnknownService for a venue never recorded."""
        values = _times(request) | request_checks.names(request)
        async with self._database.transaction() as connection:
            rows, token = await page(
                connection, list_queries.QUALITY, request, values, newest_first=False
            )
            if not rows:
                await _check_known(connection, request)
        return list(map(list_queries.quality, rows)), token


async def instrument_id(connection: Connection, request: InstrumentRequest) -> int:
    """The instrument_id of an instrument. Raises UnknownInstrument."""
    names = request_checks.names(request)
    found = await connection.execute(
        "SELECT instrument_id FROM instruments WHERE venue = %(venue)s AND symbol = %(symbol)s",
        names,
    )
    row = await found.fetchone()
    if row is None:
        raise UnknownInstrument(f"no data of {request.symbol!r} are recorded", **names)
    number: int = row[0]
    return number


async def check_venue(connection: Connection, venue: str) -> None:
    """Raises UnknownService for a venue without any recorded data."""
    found = await connection.execute("SELECT 1 FROM instruments WHERE venue = %s LIMIT 1", [venue])
    if await found.fetchone() is None:
        raise UnknownService(f"nothing was recorded of {venue!r}", name=venue)


async def _check_known(connection: Connection, request: InstrumentRequest) -> None:
    if request.symbol:
        await instrument_id(connection, request)
    else:
        await check_venue(connection, request.venue)


def _times(request: request_checks.RangeRequest) -> dict[str, object]:
    start_ns, end_ns = request_checks.times(request)
    return {"start_ns": start_ns, "end_ns": end_ns}
