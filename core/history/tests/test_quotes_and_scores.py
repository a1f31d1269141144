import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venuemesh.history.v1 import history_pb2

from core.history.list_store import ListStore
from core.history.tests.paging import pages
from core.history.tests.recorded import (
    ETH,
    START_NS,
    VENUE,
    Quote,
    Trade,
    record_quotes,
    record_scores,
    record_trades,
)
from kit.base.database import Database

OLDEST, NEWEST = history_pb2.SORT_ORDER_OLDEST_FIRST, history_pb2.SORT_ORDER_NEWEST_FIRST
SECOND_NS = 1_000_000_000
PATIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    yield database
    await database.close()


@settings(max_examples=15, deadline=None, suppress_health_check=PATIENT)
@given(
    times=st.lists(st.sampled_from([0, 1, 59, 60, 61, 3600, 86_400 * 3]), max_size=40),
    size=st.integers(1, 12),
    order=st.sampled_from([OLDEST, NEWEST]),
    start=st.sampled_from([None, 0, 60, 4000]),
    length=st.sampled_from([None, 1, 60, 86_400 * 4]),
)
async def test_pages_of_quotes_join_without_hole_or_overlap(
    postgres_url, times, size, order, start, length
):
    database = Database(postgres_url)
    async with database.transaction() as connection:
        await connection.execute("TRUNCATE quote_rows")
    # Prices repeat: two of them may be equal in all they say.
    rows = [
        Quote(START_NS + second * SECOND_NS, price=number % 3)
        for number, second in enumerate(times)
    ]
    await record_quotes(database, rows)
    request = history_pb2.ListQuotesRequest(
        venue=VENUE, symbol="BTCUSDT", page_size=size, order=order
    )
    start_ns = 0 if start is None else START_NS + start * SECOND_NS
    end_ns = 0 if length is None else max(start_ns, START_NS) + length * SECOND_NS
    request.range.start_time_ns, request.range.end_time_ns = start_ns, end_ns
    found = await pages(ListStore(database).quotes, request)
    await database.close()
    chosen = [row for row in rows if start_ns <= row.received_time_ns < (end_ns or 2**62)]
    expected = sorted((row.received_time_ns, row.price) for row in chosen)
    assert [(quote.received_time_ns, int(quote.bid_price)) for quote in found] == (
        expected if order == OLDEST else expected[::-1]
    )


async def test_a_quote_has_all_its_fields(database):
    await record_quotes(database, [Quote(START_NS, price=100, sequence=9)])
    (found,), token = await ListStore(database).quotes(
        history_pb2.ListQuotesRequest(venue=VENUE, symbol="BTCUSDT")
    )
    assert token == ""
    assert found == history_pb2.Quote(
        bid_price="100",
        bid_size="1.5",
        ask_price="101",
        ask_size="2",
        venue_time_ns=START_NS - 3,
        received_time_ns=START_NS,
        sequence=9,
    )


async def test_quotes_of_a_wrong_clock_are_found_too(database):
    await record_quotes(database, [Quote(5), Quote(2**62)])
    for order in (OLDEST, NEWEST):
        found, _ = await ListStore(database).quotes(
            history_pb2.ListQuotesRequest(venue=VENUE, symbol="BTCUSDT", order=order)
        )
        assert sorted(quote.received_time_ns for quote in found) == [5, 2**62]


async def test_scores_come_newest_first(database):
    await record_trades(database, [Trade(1), Trade(1, ETH)])
    scores = [(time_ns, symbol) for time_ns in (10, 20) for symbol in ("BTCUSDT", "ETHUSDT")]
    await record_scores(database, scores)
    request = history_pb2.ListQualityRequest(venue=VENUE, page_size=1)
    found = await pages(ListStore(database).quality, request)
    expected = sorted(scores, key=lambda score: (-score[0], score[1]))
    assert [(score.computed_time_ns, score.symbol) for score in found] == expected
    assert found[0] == history_pb2.Quality(
        symbol="BTCUSDT",
        computed_time_ns=20,
        window_start_ns=10,
        window_end_ns=20,
        score=0.5,
        coverage=0.5,
        freshness=1,
        agreement=1,
        open_hole_count=3,
    )
    request = history_pb2.ListQualityRequest(venue=VENUE, symbol="ETHUSDT", page_size=1)
    assert len(await pages(ListStore(database).quality, request)) == 2
