from decimal import Decimal

import pytest

from ops.data_files.tests.files import (
    DAY_MS,
    START_MS,
    aggregate_lines,
    csv_file,
    kline_lines,
    rows,
    take_file,
    trade_lines,
    zip_file,
)
from ops.errors import OperationsError

TRADES = (
    "SELECT trade_id, price, size, side, venue_time_ns FROM trades"
    " WHERE venue = 'binance' AND symbol = 'BTCUSDT' ORDER BY trade_id"
)
SPANS = "SELECT start_time_ns, end_time_ns, trade_count FROM imported_spans ORDER BY 1"
FUTURES_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker"


@pytest.fixture
async def url(postgres_url):
    return postgres_url


async def test_trades_are_taken_once_and_exactly(url, tmp_path):
    file = zip_file(tmp_path, trade_lines(5, 300))
    outcome = await take_file(url, file)
    assert (outcome.read, outcome.added) == (300, 300)
    found = rows(url, TRADES)
    assert found[1] == (6, Decimal("60006.5"), Decimal("0.07"), "sell", (START_MS + 1000) * 10**6)
    assert [row[0] for row in found] == list(range(5, 305))
    assert {row[3] for row in found if row[0] % 2} == {"buy"}
    # No zeros that the venue did not mean.
    assert str(found[1][1]) == "60006.5"
    (span,) = rows(url, SPANS)
    assert span == (START_MS * 10**6, (START_MS + 299_000) * 10**6 + 1, 300)

    again = await take_file(url, file)
    assert (again.added, again.recorded_already) == (0, 300)
    assert rows(url, TRADES) == found
    assert rows(url, SPANS) == [span]


async def test_a_header_is_no_row(url, tmp_path):
    lines = [line.rpartition(",")[0] for line in trade_lines(1, 5)]
    outcome = await take_file(url, csv_file(tmp_path, [FUTURES_HEADER, *lines]))
    assert outcome.added == 5


async def test_a_time_in_us_names_the_same_trade_as_one_in_ms(url, tmp_path):
    await take_file(url, csv_file(tmp_path, trade_lines(1, 5)))
    lines = [line.replace("000,True", "123,True") for line in trade_lines(1, 7, scale=1000)]
    lines = [line.replace("000,False", "123,False") for line in lines]
    outcome = await take_file(url, csv_file(tmp_path, lines))
    assert (outcome.added, outcome.recorded_already) == (2, 5)
    assert len(rows(url, TRADES)) == 7


async def test_a_run_goes_on_over_midnight_and_not_over_a_missing_trade(url, tmp_path):
    lines = [
        *trade_lines(1, 200, START_MS + DAY_MS - 100_000),
        *trade_lines(500, 200, START_MS + DAY_MS + 10_000_000),
        *trade_lines(900, 5, START_MS + DAY_MS + 20_000_000),
    ]
    await take_file(url, csv_file(tmp_path, lines))
    midnight_ns = (START_MS + DAY_MS) * 10**6
    later_ns = midnight_ns + 10_000_000 * 10**6
    assert rows(url, SPANS) == [
        (midnight_ns - 100_000 * 10**6, midnight_ns, 100),
        (midnight_ns, midnight_ns + 99_000 * 10**6 + 1, 100),
        (later_ns, later_ns + 199_000 * 10**6 + 1, 200),
    ]


async def test_disorder_and_repetition_are_counted(url, tmp_path):
    lines = trade_lines(1, 10)
    outcome = await take_file(url, csv_file(tmp_path, [*lines[5:], *lines[:7]]))
    assert (outcome.read, outcome.added, outcome.twice_in_the_file) == (12, 10, 2)
    assert outcome.out_of_order == 1


async def test_what_is_recorded_stays_when_a_file_differs(url, tmp_path):
    await take_file(url, csv_file(tmp_path, trade_lines(1, 3)))
    before = rows(url, TRADES)
    other = [line.replace(".50,", ".75,") for line in trade_lines(1, 3)]
    outcome = await take_file(url, csv_file(tmp_path, other))
    assert (outcome.added, outcome.other_than_recorded, outcome.recorded_already) == (0, 3, 0)
    assert rows(url, TRADES) == before


async def test_aggregates_do_not_stand_beside_their_trades(url, tmp_path):
    assert (await take_file(url, csv_file(tmp_path, aggregate_lines(150)))).added == 150
    names = "SELECT trade_id_text FROM trades ORDER BY venue_time_ns LIMIT 1"
    assert rows(url, names) == [("aggregate:0",)]
    ((start_ns, _, count),) = rows(url, SPANS)
    assert (start_ns, count) == (START_MS * 10**6, 150)
    outcome = await take_file(url, csv_file(tmp_path, trade_lines(1, 5)))
    assert (outcome.added, outcome.left_out) == (0, 5)
    next_day = trade_lines(1, 5, START_MS + DAY_MS)
    assert (await take_file(url, csv_file(tmp_path, next_day))).added == 5
    outcome = await take_file(url, csv_file(tmp_path, aggregate_lines(3, START_MS + DAY_MS)))
    assert (outcome.added, outcome.left_out) == (0, 3)


async def test_klines_become_candles(url, tmp_path):
    file = csv_file(tmp_path, kline_lines(10, minutes=5))
    assert (await take_file(url, file)).added == 10
    query = "SELECT interval_s, open, high, low, close, volume, closed FROM candles LIMIT 1"
    numbers = map(Decimal, ("1.5", "2.5", "1", "2", "10.5"))
    assert rows(url, query) == [(300, *numbers, True)]
    assert (await take_file(url, file)).recorded_already == 10


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["1,2,3"], "3 columns"),
        (["1,2,3,4,5", "1,2,3,4,5"], "5 columns"),
        ([*trade_lines(1, 3), "4,1.0"], "Expected 7 columns"),
        (["1,expensive,0.1,1,1722470400000,True,True"], "not a valid decimal"),
        (["1,1.5,0.1,1,yesterday,True,True"], "invalid value"),
        (["1,1.5,0.1,1,17224704,True,True"], "no times in ms, us or ns"),
        (["1,0,0.1,1,1722470400000,True,True"], "price of 0"),
        (["1,1.5,-0.1,1,1722470400000,True,True"], "size of -0.1"),
        (["1,1.5,0.1,1,2722470400000,True,True"], "in the future"),
        ([*trade_lines(1, 2), trade_lines(1, 1)[0].replace(".50", ".75")], "different values"),
        ([*kline_lines(2), kline_lines(9, 5)[8]], "different lengths"),
        ([""], "is empty"),
        ([], "is empty"),
    ],
)
async def test_a_wrong_file_changes_nothing(url, tmp_path, lines, words):
    with pytest.raises(OperationsError) as caught:
        await take_file(url, csv_file(tmp_path, lines))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert rows(url, TRADES) == []
    assert rows(url, "SELECT 1 FROM candle_rows") == []


async def test_a_damaged_zip_is_refused(url, tmp_path):
    file = zip_file(tmp_path, trade_lines(1, 500))
    damaged = bytearray(file.read_bytes())
    damaged[200:260] = bytes(60)
    file.write_bytes(damaged)
    with pytest.raises(OperationsError):
        await take_file(url, file)
    assert rows(url, TRADES) == []
