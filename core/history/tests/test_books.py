import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.history.book_store import HistoricalBookStore
from core.history.tests.book_market import EPOCH, Update, record_book
from core.history.tests.recorded import (
    START_NS,
    SYMBOL,
    VENUE,
    Trade,
    record_gaps,
    record_trades,
)
from kit.base.database import Database
from kit.base.errors import BadRequest, UnknownInstrument

HOUR_NS = 3600 * 10**9
FIRST_NS = START_NS
QUIET_NS = START_NS + 100 * 24 * HOUR_NS


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    yield database
    await database.close()


@pytest.fixture
async def recorded(database):
    """A snapshot and updates, then long nothing, a gap, and another snapshot."""
    rows = [
        (1, [Update(SYMBOL, [(100, 1)], [(102, 1)], FIRST_NS, snapshot=True)]),
        (2, [Update("ETHUSDT", [(5, 5)], [], FIRST_NS + 1, snapshot=True)]),
        (
            3,
            [
                Update(SYMBOL, [(99, 2)], [], FIRST_NS + 2),
                Update(SYMBOL, [(100, 0)], [], FIRST_NS + 4),
            ],
        ),
        (4, [Update("ETHUSDT", [(6, 5)], [], QUIET_NS)]),
        (9, [Update(SYMBOL, [(50, 1)], [], QUIET_NS + 20, snapshot=True, book_epoch=2)]),
    ]
    await record_book(database, rows)
    gap = types_pb2.Gap(symbol=SYMBOL, detected_time_ns=QUIET_NS + 10)
    await record_gaps(database, [gap], types_pb2.CHANNEL_BOOK, (EPOCH, 9))
    return HistoricalBookStore(database)


def asked(time_ns=0, **fields):
    return history_pb2.GetOrderBookAtRequest(
        **{"venue": VENUE, "symbol": SYMBOL, "time_ns": time_ns, **fields}
    )


@pytest.mark.parametrize(
    ("time_ns", "bids", "state", "sequence"),
    [
        (FIRST_NS - 1, [], "EMPTY", 0),
        (FIRST_NS, ["1"], "PROVEN", 1),
        (FIRST_NS + 2, ["1", "0.99"], "PROVEN", 3),
        (FIRST_NS + 3, ["1", "0.99"], "PROVEN", 3),
        (FIRST_NS + 4, ["0.99"], "PROVEN", 3),
        # The snapshot is found over a hundred quiet days.
        (QUIET_NS + 9, ["0.99"], "PROVEN", 3),
        (QUIET_NS + 10, ["0.99"], "IN_DOUBT", 3),
        (QUIET_NS + 20, ["0.5"], "PROVEN", 9),
        (QUIET_NS + 10**12, ["0.5"], "PROVEN", 9),
        (0, ["0.5"], "PROVEN", 9),
    ],
)
async def test_book_is_rebuilt_at_a_time(recorded, time_ns, bids, state, sequence):
    answer = await recorded.at(asked(time_ns))
    assert (answer.book.venue, answer.book.symbol) == (VENUE, SYMBOL)
    assert [level.price for level in answer.book.bids] == bids
    assert market_data_pb2.BookState.Name(answer.book.state) == f"BOOK_STATE_{state}"
    assert answer.book.cursor.sequence == sequence
    assert answer.HasField("doubt") == (state == "IN_DOUBT")


async def test_depth_is_per_side_and_bounded(recorded):
    answer = await recorded.at(asked(FIRST_NS + 2, depth=1))
    assert [level.price for level in answer.book.bids] == ["1"]
    with pytest.raises(BadRequest) as caught:
        await recorded.at(asked(depth=5001))
    assert caught.value.metadata["field"] == "depth"


async def test_time_before_1970_is_rejected(recorded):
    with pytest.raises(BadRequest) as caught:
        await recorded.at(asked(-1))
    assert caught.value.metadata["field"] == "time_ns"


async def test_an_instrument_without_books_is_empty(database):
    await record_trades(database, [Trade(1)])
    answer = await HistoricalBookStore(database).at(asked())
    assert answer.book.state == market_data_pb2.BOOK_STATE_EMPTY
    with pytest.raises(UnknownInstrument):
        await HistoricalBookStore(database).at(asked(symbol="NONE"))
