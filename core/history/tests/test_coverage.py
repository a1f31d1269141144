import json

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.repair.v1 import repair_pb2

from core.history.coverage_store import DAY_NS, CoverageStore
from core.history.tests.recorded import (
    SYMBOL,
    VENUE,
    Bar,
    Trade,
    instrument_id,
    record_bars,
    record_gaps,
    record_trades,
)
from kit.base.database import Database
from kit.base.errors import BadRequest, UnknownInstrument

FIRST_NS = 20_000 * DAY_NS
HOUR_NS = 3600 * 10**9
BARS_KNOW = (
    "INSERT INTO bar_instruments (venue, symbol, price_scale, size_scale, since_time_ns,"
    " newest_time_ns, trade_ids, holes) VALUES (%s, %s, 2, 2, %s, %s, '[]', %s)"
)


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    async with database.transaction() as connection:
        await instrument_id(connection)
    yield database
    await database.close()


async def watch(database, since_ns, newest_ns, holes=()):
    """As the bar aggregator keeps it."""
    async with database.transaction() as connection:
        known = [[*hole, 0, 0, False] for hole in holes]
        await connection.execute(BARS_KNOW, [VENUE, SYMBOL, since_ns, newest_ns, json.dumps(known)])
        await connection.execute(
            "INSERT INTO bar_positions SELECT shard, 'md:{binance}:trades', 1, 1, %s"
            " FROM generate_series(0, 15) AS shard",
            [newest_ns],
        )


async def days(database, **times):
    """Day, covered and expected hours, trades, open and filled gaps."""
    request = history_pb2.ListCoverageRequest(venue=VENUE, symbol=SYMBOL)
    for name, value in times.items():
        setattr(request.range, name, value)
    return [
        (
            (day.day_start_ns - FIRST_NS) // DAY_NS,
            day.covered_ns / HOUR_NS,
            day.expected_ns / HOUR_NS,
            day.trade_count,
            day.open_gap_count,
            day.filled_gap_count,
        )
        for day in await CoverageStore(database).days(request)
    ]


async def test_days_state_their_watched_time(database):
    hole = FIRST_NS + 2 * DAY_NS - HOUR_NS, FIRST_NS + 2 * DAY_NS + 2 * HOUR_NS
    await watch(database, FIRST_NS + 6 * HOUR_NS, FIRST_NS + 3 * DAY_NS + 12 * HOUR_NS, [hole])
    await record_bars(database, [Bar("1d", FIRST_NS), Bar("1d", FIRST_NS + DAY_NS)])
    gaps = [
        types_pb2.Gap(symbol=SYMBOL, last_time_ns=hole[0], first_time_ns=hole[1]),
        types_pb2.Gap(last_time_ns=FIRST_NS + DAY_NS, first_time_ns=FIRST_NS + DAY_NS + HOUR_NS),
        types_pb2.Gap(symbol="ETHUSDT", last_time_ns=hole[0], first_time_ns=hole[1]),
        types_pb2.Gap(
            reason=types_pb2.GAP_REASON_OUT_OF_ORDER, last_time_ns=hole[0], first_time_ns=hole[1]
        ),
    ]
    for gap in gaps:
        gap.detected_time_ns = gap.first_time_ns
    await record_gaps(database, gaps)
    expected = [
        (0, 18, 18, 3, 0, 0),
        (1, 23, 24, 3, 1, 1),
        (2, 22, 24, 0, 1, 0),
        (3, 12, 12, 0, 0, 0),
    ]
    assert await days(database) == expected
    found = await days(database, start_time_ns=FIRST_NS + 1, end_time_ns=FIRST_NS + 2 * DAY_NS + 1)
    assert found == expected[1:3]


async def test_open_hole_has_no_coverage(database):
    await watch(database, FIRST_NS, FIRST_NS + 2 * DAY_NS, [(FIRST_NS + 6 * HOUR_NS, None)])
    assert await days(database) == [(0, 6, 24, 0, 0, 0), (1, 0, 24, 0, 0, 0)]


async def test_hole_found_by_repair_counts_until_it_is_filled(database):
    await watch(database, FIRST_NS, FIRST_NS + DAY_NS)
    async with database.transaction() as connection:
        for name, state in (("a", "OPEN"), ("b", "FILLED"), ("c", "UNAVAILABLE")):
            start_ns = FIRST_NS + ord(name) % 8 * HOUR_NS
            await connection.execute(
                "INSERT INTO holes (hole_id, venue, symbol, source, state, start_time_ns,"
                " end_time_ns, last_id_before, first_id_after, reason, found_time_ns, detail)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, 0, 0, 0, 0, '')",
                [
                    *(name, VENUE, SYMBOL, repair_pb2.HOLE_SOURCE_TRADE_IDS),
                    repair_pb2.HoleState.Value(f"HOLE_STATE_{state}"),
                    *(start_ns, start_ns + HOUR_NS),
                ],
            )
    assert await days(database) == [(0, 22, 24, 0, 2, 0)]


async def test_imported_days_count_and_so_do_their_trades(database):
    await watch(database, FIRST_NS + DAY_NS, FIRST_NS + 2 * DAY_NS, [(FIRST_NS + DAY_NS, None)])
    await record_bars(database, [Bar("1d", FIRST_NS + DAY_NS)])
    await record_trades(
        database, [Trade(number, venue_time_ns=FIRST_NS + DAY_NS) for number in range(1, 6)]
    )
    async with database.transaction() as connection:
        number = await instrument_id(connection)
        for start_ns, hours, count in ((FIRST_NS, 3, 7), (FIRST_NS + DAY_NS, 4, 2)):
            await connection.execute(
                "INSERT INTO imported_spans VALUES (%s, %s, %s, 1, 9, %s, 'file')",
                [number, start_ns, start_ns + hours * HOUR_NS, count],
            )
    # The second day was watched, too: there its trades are counted.
    assert await days(database) == [(0, 3, 3, 7, 0, 0), (1, 4, 24, 5, 0, 0)]


async def test_unwatched_instrument_has_no_days(database):
    assert await days(database) == []
    with pytest.raises(UnknownInstrument):
        await CoverageStore(database).days(
            history_pb2.ListCoverageRequest(venue=VENUE, symbol="NONE")
        )


async def test_too_many_days_are_rejected(database):
    await watch(database, 0, FIRST_NS)
    with pytest.raises(BadRequest) as caught:
        await days(database)
    assert caught.value.metadata["field"] == "range"
