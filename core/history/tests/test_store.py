import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2

from core.history.list_store import ListStore
from core.history.tests.paging import pages
from core.history.tests.recorded import (
    BTC,
    ETH,
    START_NS,
    VENUE,
    Bar,
    Candle,
    Instrument,
    Trade,
    instrument_id,
    record_bars,
    record_candles,
    record_gaps,
    record_trades,
)
from kit.base.database import Database
from kit.base.errors import BadPageToken, BadRequest, UnknownInstrument, UnknownService
from kit.base.numbers import format_scaled

OLDEST, NEWEST = history_pb2.SORT_ORDER_OLDEST_FIRST, history_pb2.SORT_ORDER_NEWEST_FIRST
PATIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    yield database
    await database.close()


async def forget(database):
    async with database.transaction() as connection:
        await connection.execute("TRUNCATE trade_rows, quote_rows")


def trades_request(**fields):
    return history_pb2.ListTradesRequest(venue=VENUE, symbol="BTCUSDT", **fields)


@settings(max_examples=25, deadline=None, suppress_health_check=PATIENT)
@given(
    rows=st.lists(
        st.builds(
            Trade,
            trade_id=st.integers(1, 10**6) | st.text("abcß", min_size=1, max_size=3),
            price=st.integers(-(2**63), 2**63 - 1),
            instrument=st.sampled_from([BTC, BTC._replace(price_scale=11), ETH]),
            venue_time_ns=st.integers(START_NS, START_NS + 5),
        ),
        max_size=60,
        unique_by=lambda trade: (trade.instrument.symbol, trade.trade_id),
    ),
    size=st.integers(1, 20),
    start=st.integers(START_NS, START_NS + 6) | st.just(0),
    length=st.integers(0, 6),
    order=st.sampled_from([OLDEST, NEWEST]),
)
async def test_pages_of_trades_join_without_hole_or_overlap(
    postgres_url, rows, size, start, length, order
):
    database = Database(postgres_url)
    await forget(database)
    await record_trades(database, [Trade(0, venue_time_ns=1), *rows])

    end = max(start, START_NS) + length
    request = trades_request(page_size=size, order=order)
    request.range.start_time_ns, request.range.end_time_ns = max(start, 2), end
    found = await pages(ListStore(database).trades, request)
    await database.close()

    expected = [
        (trade.venue_time_ns, str(trade.trade_id), format_scaled(trade.price, trade.instrument[1]))
        for trade in sorted(
            (trade for trade in rows if trade.instrument.symbol == "BTCUSDT"),
            key=lambda trade: (
                trade.venue_time_ns,
                trade.trade_id if isinstance(trade.trade_id, int) else 0,
                trade.trade_id.encode() if isinstance(trade.trade_id, str) else b"",
            ),
            reverse=order == NEWEST,
        )
        if start <= trade.venue_time_ns < end
    ]
    assert [(row.venue_time_ns, row.trade_id, row.price) for row in found] == expected


async def test_numbers_are_short_and_exact(database):
    scales = {
        "A": (6_183_763_000_000, 8),
        "B": (1_000, 0),
        "C": (1, 18),
        "D": (0, 9),
        "E": (500, 3),
    }
    rows = [Trade(1, Instrument(name, scale), price) for name, (price, scale) in scales.items()]
    await record_trades(database, rows)
    found = {
        name: (
            await ListStore(database).trades(
                history_pb2.ListTradesRequest(venue=VENUE, symbol=name)
            )
        )[0][0].price
        for name in scales
    }
    assert found == {
        "A": "61837.63",
        "B": "1000",
        "C": "0.000000000000000001",
        "D": "0",
        "E": "0.5",
    }


async def test_a_trade_has_all_its_fields(database):
    await record_trades(database, [Trade(77, venue_time_ns=5, side=types_pb2.SIDE_SELL)])
    (trade,), token = await ListStore(database).trades(trades_request())
    assert (trade.trade_id, trade.price, trade.size) == ("77", "61837.63", "0.12345")
    assert (trade.side, trade.venue_time_ns, trade.received_time_ns) == (2, 5, 5_000_005)
    assert token == ""


async def test_a_page_token_serves_its_own_request_only(database):
    await record_trades(database, [Trade(number) for number in range(1, 5)])
    queries = ListStore(database)
    _, token = await queries.trades(trades_request(page_size=2))
    for request in (
        trades_request(page_token=token, order=NEWEST),
        trades_request(page_token=token, range=history_pb2.TimeRange(start_time_ns=1)),
        trades_request(page_token=token[:-2]),
        trades_request(page_token="nonsense"),
        trades_request(page_token="é"),
        history_pb2.ListTradesRequest(venue=VENUE, symbol="ETHUSDT", page_token=token),
    ):
        with pytest.raises((BadPageToken, UnknownInstrument)):
            await queries.trades(request)
    with pytest.raises(BadPageToken):
        await queries.gaps(
            history_pb2.ListGapsRequest(venue=VENUE, symbol="BTCUSDT", page_token=token)
        )
    rows, _ = await queries.trades(trades_request(page_token=token, page_size=1))
    assert [row.trade_id for row in rows] == ["3"]


@pytest.mark.parametrize(
    "position", [[], [1, 2], [1, 2, 3], ["1", 2, ""], [2**63, 1, ""], [True, 1, ""], [1, 1, "\0"]]
)
async def test_a_made_up_position_is_a_bad_page_token(database, monkeypatch, position):
    await record_trades(database, [Trade(1)])
    monkeypatch.setattr("kit.base.paging.read_token", lambda request: position)
    with pytest.raises(BadPageToken):
        await ListStore(database).trades(trades_request(page_token="any"))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"page_size": 10_001}, "page_size"),
        ({"order": 9}, "order"),
        ({"range": history_pb2.TimeRange(start_time_ns=2, end_time_ns=1)}, "range"),
    ],
)
async def test_wrong_fields_are_named(database, fields, field):
    await record_trades(database, [Trade(1)])
    with pytest.raises(BadRequest) as caught:
        await ListStore(database).trades(trades_request(**fields))
    assert caught.value.metadata["field"] == field


async def test_unrecorded_names_are_unknown(database):
    await record_trades(database, [Trade(1)])
    queries = ListStore(database)
    for venue, symbol in (("binance", "ETHUSDT"), ("kraken", "BTCUSDT"), ("binance", "BTC\0")):
        with pytest.raises(UnknownInstrument):
            await queries.trades(history_pb2.ListTradesRequest(venue=venue, symbol=symbol))
        with pytest.raises(UnknownInstrument):
            await queries.bars(
                history_pb2.ListBarsRequest(venue=venue, symbol=symbol, interval="1m")
            )
        with pytest.raises(UnknownInstrument):
            await queries.gaps(history_pb2.ListGapsRequest(venue=venue, symbol=symbol))
    with pytest.raises(UnknownService):
        await queries.gaps(history_pb2.ListGapsRequest(venue="kraken"))


async def test_a_known_instrument_without_rows_is_an_empty_list(database):
    await record_trades(database, [Trade(1)])
    queries = ListStore(database)
    bars = history_pb2.ListBarsRequest(venue=VENUE, symbol="BTCUSDT", interval="1m")
    assert await queries.bars(bars) == ([], "")
    assert await queries.gaps(history_pb2.ListGapsRequest(venue=VENUE)) == ([], "")


async def test_bars_come_by_interval_in_pages(database):
    await record_trades(database, [Trade(1)])
    bars = [Bar("1m" if number < 5 else "5m", number * 60) for number in range(7)]
    await record_bars(database, bars)
    request = history_pb2.ListBarsRequest(
        venue=VENUE, symbol="BTCUSDT", interval="1m", page_size=2, order=NEWEST
    )
    request.range.end_time_ns = 240
    found = await pages(ListStore(database).bars, request)
    assert [bar.open_time_ns for bar in found] == [180, 120, 60, 0]
    assert found[0] == bars_pb2.Bar(
        venue=VENUE,
        symbol="BTCUSDT",
        interval="1m",
        open_time_ns=180,
        close_time_ns=240,
        open="1.5",
        high="2",
        low="1",
        close="1.7",
        volume="10",
        buy_volume="4",
        quote_volume="15.1",
        trade_count=3,
        covered_ns=60,
        revision=0,
        final=True,
        source=bars_pb2.BAR_SOURCE_TRADES,
    )


BARS, CANDLES = bars_pb2.BAR_SOURCE_TRADES, bars_pb2.BAR_SOURCE_VENUE_CANDLE
MINUTE_NS = 60_000_000_000


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("order", [OLDEST, NEWEST])
async def test_candles_of_the_venue_stand_where_no_trade_was_recorded(database, order, size):
    await record_trades(database, [Trade(1)])
    await record_bars(database, [Bar("1m", place * MINUTE_NS) for place in (3, 4, 7)])
    candles = [Candle(place * MINUTE_NS) for place in (0, 1, 2, 3, 5, 8)]
    not_shown = [
        Candle(6 * MINUTE_NS, volume="0"),
        Candle(9 * MINUTE_NS, closed=False),
        Candle(10 * MINUTE_NS, interval_s=300),
    ]
    await record_candles(database, [*candles, *not_shown])
    request = history_pb2.ListBarsRequest(
        venue=VENUE,
        symbol="BTCUSDT",
        interval="1m",
        order=order,
        page_size=size,
        include_venue_candles=True,
    )
    found = await pages(ListStore(database).bars, request)
    expected = [*[(place, CANDLES) for place in (0, 1, 2)], (3, BARS), (4, BARS)]
    expected += [(5, CANDLES), (7, BARS), (8, CANDLES)]
    if order == NEWEST:
        expected.reverse()
    assert [(bar.open_time_ns // MINUTE_NS, bar.source) for bar in found] == expected
    request.include_venue_candles, request.page_token = False, ""
    found = await pages(ListStore(database).bars, request)
    assert {bar.source for bar in found} == {BARS}
    assert len(found) == 3


async def test_a_candle_of_the_venue_says_what_is_known_of_it(database):
    await record_trades(database, [Trade(1)])
    await record_candles(database, [Candle(MINUTE_NS)])
    request = history_pb2.ListBarsRequest(
        venue=VENUE, symbol="BTCUSDT", interval="1m", include_venue_candles=True
    )
    (found,), _ = await ListStore(database).bars(request)
    assert found == bars_pb2.Bar(
        venue=VENUE,
        symbol="BTCUSDT",
        interval="1m",
        open_time_ns=MINUTE_NS,
        close_time_ns=2 * MINUTE_NS,
        open="1.5",
        high="2",
        low="1",
        close="1.7",
        volume="10",
        final=True,
        source=CANDLES,
    )


async def test_candles_of_the_venue_do_not_say_what_was_known_at_a_time(database):
    request = history_pb2.ListBarsRequest(
        venue=VENUE, symbol="BTCUSDT", interval="1m", include_venue_candles=True, as_of_time_ns=1
    )
    with pytest.raises(BadRequest) as caught:
        await ListStore(database).bars(request)
    assert caught.value.metadata["field"] == "include_venue_candles"


async def test_bars_of_a_kind_that_share_a_time_come_by_number(database):
    await record_trades(database, [Trade(1)])
    await record_bars(database, [Bar("tick:100", 7, number) for number in (0, 1, 2, 10)])
    request = history_pb2.ListBarsRequest(
        venue=VENUE, symbol="BTCUSDT", interval="tick:100", page_size=1
    )
    found = await pages(ListStore(database).bars, request)
    assert [bar.number for bar in found] == [0, 1, 2, 10]


@pytest.mark.parametrize(
    ("as_of_ns", "expected"),
    [
        (99, []),
        (100, [(0, "1.7")]),
        (199, [(0, "1.7")]),
        (200, [(1, "1.8"), (0, "1.7")]),
        (300, [(2, "1.9"), (0, "1.7")]),
        (0, [(2, "1.9"), (0, "1.7")]),
    ],
)
@pytest.mark.parametrize("order", [OLDEST, NEWEST])
async def test_bars_as_of_a_time(database, as_of_ns, expected, order):
    await record_trades(database, [Trade(1)])
    await record_bars(
        database,
        [
            Bar("1m", 60, revision=2, close="1.9", written_time_ns=300),
            Bar("1m", 120, written_time_ns=200),
        ],
    )
    await record_bars(
        database,
        [
            Bar("1m", 60, revision=1, close="1.8", written_time_ns=200, superseded_time_ns=300),
            Bar("1m", 60, revision=0, close="1.7", written_time_ns=100, superseded_time_ns=200),
        ],
    )
    request = history_pb2.ListBarsRequest(
        venue=VENUE,
        symbol="BTCUSDT",
        interval="1m",
        page_size=1,
        order=order,
        as_of_time_ns=as_of_ns,
    )
    found = await pages(ListStore(database).bars, request)
    found.sort(key=lambda bar: bar.open_time_ns)
    assert [(bar.revision, bar.close) for bar in found] == expected


async def test_unknown_interval_is_rejected(database):
    with pytest.raises(BadRequest) as caught:
        await ListStore(database).bars(
            history_pb2.ListBarsRequest(venue=VENUE, symbol="BTCUSDT", interval="7m")
        )
    assert caught.value.metadata["field"] == "interval"


async def test_gaps_are_ordered_by_cursor_with_gaps_of_the_channel(database, postgres_url):
    gaps = [
        types_pb2.Gap(symbol=symbol, reason=reason, detected_time_ns=time_ns, detail="x")
        for symbol, reason, time_ns in [
            ("BTCUSDT", types_pb2.GAP_REASON_SEQUENCE, 10),
            ("ETHUSDT", types_pb2.GAP_REASON_SEQUENCE, 20),
            ("", types_pb2.GAP_REASON_RESTART, 30),
        ]
    ]
    async with database.transaction() as connection:
        await instrument_id(connection)
    await record_gaps(database, gaps)
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "INSERT INTO gap_rows"
            " SELECT venue, 3, 1, 1, ordinal, symbol, reason, 0, 0, 0, 0, 40, '' FROM gap_rows"
            " WHERE symbol IS NULL"
        )
    queries = ListStore(database)

    async def found(**fields):
        request = history_pb2.ListGapsRequest(venue=VENUE, page_size=1, **fields)
        return [
            (gap.channel, gap.gap.detected_time_ns) for gap in await pages(queries.gaps, request)
        ]

    assert await found() == [(1, 10), (1, 20), (1, 30), (3, 40)]
    assert await found(symbol="BTCUSDT") == [(1, 10), (1, 30), (3, 40)]
    assert await found(channel=types_pb2.CHANNEL_BOOK) == [(3, 40)]
    assert await found(range=history_pb2.TimeRange(start_time_ns=20, end_time_ns=40)) == [
        (1, 20),
        (1, 30),
    ]
    (first, *_), _ = await queries.gaps(history_pb2.ListGapsRequest(venue=VENUE))
    assert first.gap == gaps[0]
    assert (first.cursor.epoch, first.cursor.sequence) == (1, 1)
