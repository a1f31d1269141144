import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2

from core.history.coverage_store import DAY_NS, CoverageStore
from core.history.service import HistoryServicer
from core.history.tests.book_market import EPOCH, Update, record_book
from core.history.tests.recorded import (
    SYMBOL,
    VENUE,
    Quote,
    instrument_id,
    record_gaps,
    record_quotes,
)
from kit.base.database import Database
from kit.base.errors import BadRequest

FIRST_NS = 20_000 * DAY_NS
HOUR_NS = 3600 * 10**9
BOOK = types_pb2.CHANNEL_BOOK
OTHER = "ETHUSDT"


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    async with database.transaction() as connection:
        await instrument_id(connection)
    yield database
    await database.close()


def at(hours):
    return FIRST_NS + round(hours * HOUR_NS)


def update(hours, symbol=SYMBOL, *, snapshot=False, book_epoch=1):
    return Update(symbol, [(100, 1)], [(102, 1)], at(hours), snapshot, book_epoch)


async def record_gap(database, hours, sequence, channel=BOOK, **fields):
    gap = types_pb2.Gap(detected_time_ns=at(hours), **fields)
    await record_gaps(database, [gap], channel, (EPOCH, sequence))


async def hours(database, channel=BOOK):
    """Of each day: covered and expected hours, open gaps and gaps that left nothing uncovered."""
    request = history_pb2.ListCoverageRequest(venue=VENUE, symbol=SYMBOL, channel=channel)
    return [
        (
            day.covered_ns / HOUR_NS,
            day.expected_ns / HOUR_NS,
            day.open_gap_count,
            day.filled_gap_count,
        )
        for day in await CoverageStore(database).days(request)
    ]


async def test_gap_of_a_book_lasts_until_its_next_snapshot(database):
    await record_book(
        database,
        [
            (1, [update(0, snapshot=True), update(0, OTHER, snapshot=True)]),
            (2, [update(3)]),
            # Unproven updates and the snapshot of another book end nothing.
            (4, [update(5, book_epoch=0), update(6, OTHER, snapshot=True)]),
            (5, [update(7, book_epoch=0), update(8, snapshot=True, book_epoch=2), update(9)]),
            (6, [update(30)]),
        ],
    )
    await record_gap(database, 4, 4, symbol=SYMBOL)
    await record_gap(database, 4.5, 5, symbol=OTHER)
    assert await hours(database) == [(20, 24, 1, 0), (6, 6, 0, 0)]


async def test_unproven_updates_alone_cover_nothing(database):
    await record_book(
        database,
        [
            (1, [update(0, OTHER, snapshot=True)]),
            (2, [update(1, book_epoch=0)]),
            (3, [update(25, book_epoch=0)]),
        ],
    )
    await record_gap(database, 1, 2, symbol=SYMBOL, reason=types_pb2.GAP_REASON_UNPROVEN)
    assert await hours(database) == [(0, 23, 1, 0), (0, 1, 1, 0)]


async def test_book_that_was_never_recorded_has_no_days(database):
    await record_book(database, [(1, [update(0, OTHER, snapshot=True)]), (2, [update(9, OTHER)])])
    await record_gap(database, 1, 2)
    assert await hours(database) == []


async def test_gap_of_the_whole_channel_begins_with_the_last_event_before_it(database):
    """A process that was down detects its gap when it is back."""
    await record_book(
        database,
        [
            (1, [update(0, snapshot=True)]),
            (2, [update(2, OTHER, snapshot=True)]),
            (3, [update(11, snapshot=True, book_epoch=2), update(12)]),
        ],
    )
    await record_gap(database, 10, 3, reason=types_pb2.GAP_REASON_RESTART)
    assert await hours(database) == [(3, 12, 1, 0)]


async def test_book_that_is_replaced_at_once_stays_covered(database):
    rows = [
        (1, [update(0, snapshot=True)]),
        (2, [update(4, snapshot=True, book_epoch=2), update(6)]),
    ]
    await record_book(database, rows)
    await record_gap(database, 4, 2, symbol=SYMBOL, reason=types_pb2.GAP_REASON_VENUE_RESET)
    assert await hours(database) == [(6, 6, 0, 1)]


async def test_gap_of_quotes_lasts_until_the_next_quote(database):
    await record_quotes(database, [Quote(at(number)) for number in (0, 1, 5, 6, 9, 12)])
    channel = types_pb2.CHANNEL_QUOTES
    await record_gap(database, 2, 1, channel, symbol=SYMBOL)
    await record_gap(database, 8, 2, channel)
    await record_gap(database, 3, 3, channel, symbol=OTHER)
    assert await hours(database, channel) == [(6, 12, 2, 0)]
    assert await hours(database, types_pb2.CHANNEL_TICKERS) == []


async def test_response_names_the_channel_which_is_trades_by_default(database):
    servicer = HistoryServicer(None, None, CoverageStore(database), None, None)
    request = history_pb2.ListCoverageRequest(venue=VENUE, symbol=SYMBOL)
    response = await servicer.ListCoverage(request, None)
    assert response.channel == types_pb2.CHANNEL_TRADES
    request.channel = types_pb2.CHANNEL_STATUS
    with pytest.raises(BadRequest) as caught:
        await servicer.ListCoverage(request, None)
    assert caught.value.metadata["field"] == "channel"
