"""A real capture, played as fast as it is read: everything arrives once, exact, without a gap."""

from decimal import Decimal
from urllib.parse import urlencode

import pytest
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration import capture, recorded
from tests.integration.capture import Bar, Book
from tests.integration.mesh import SYMBOL, VENUE, metadata

pytestmark = pytest.mark.integration

SECONDS = {"1s": 1, "1m": 60, "5m": 300}
LATENESS_NS = 2 * capture.NANOSECONDS_PER_SECOND
"""A bar is final when the newest trade is this much later than its end."""


def test_every_trade_is_recorded_once_and_exactly(replayed, truth):
    assert recorded.trades(replayed) == truth.trades
    assert recorded.trade_count(replayed) == len(truth.trades)


def test_every_quote_is_recorded_once_in_order(replayed, truth):
    assert recorded.quotes(replayed) == truth.quotes


def test_book_updates_are_consecutive(replayed, truth):
    first, *rest = recorded.book_updates(replayed)
    assert first.snapshot
    assert not any(found.snapshot for found in rest)
    assert {found.book_epoch for found in rest} == {first.book_epoch}
    assert [found.update for found in rest] == truth.joining_updates


def test_the_book_of_the_record_is_the_book_of_the_file(replayed, truth):
    expected = Book(truth.snapshots[0])
    for update in truth.joining_updates:
        expected.apply(update)
    first, *rest = recorded.book_updates(replayed)
    rebuilt = Book(first.update)
    for found in rest:
        rebuilt.apply(found.update)
    assert rebuilt.snapshot() == expected.snapshot()


def test_the_served_book_is_proven_and_correct(replayed, truth):
    expected = Book(truth.snapshots[0])
    for update in truth.joining_updates:
        expected.apply(update)
    stub = market_data_pb2_grpc.MarketDataStub(replayed.channel)
    request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=SYMBOL, depth=1000)
    served = stub.GetOrderBook(request, metadata=metadata())
    assert served.state == market_data_pb2.BOOK_STATE_PROVEN
    whole = expected.snapshot()
    assert served.last_sequence == whole.last
    for levels, side in ((served.bids, whole.bids), (served.asks, whole.asks)):
        assert [(Decimal(one.price), Decimal(one.size)) for one in levels] == side[:1000]


@pytest.mark.parametrize("interval", SECONDS)
def test_bars_in_the_database_equal_bars_of_the_trades(interval, replayed, truth):
    assert recorded.bars(replayed, interval) == capture.bars(truth.trades, SECONDS[interval])


@pytest.mark.parametrize("interval", SECONDS)
def test_bars_of_history_equal_bars_of_the_trades(interval, replayed, truth):
    length_ns = SECONDS[interval] * capture.NANOSECONDS_PER_SECOND
    listed = list_all(replayed, f"{SYMBOL}/bars", interval=interval, page_size=100)
    found = {int(bar["open_time_ns"]): as_bar(bar) for bar in listed}
    assert found == capture.bars(truth.trades, SECONDS[interval])
    assert len(found) == len(listed)
    over_ns = truth.trades[-1].time_ns - LATENESS_NS
    final = [bar for bar in listed if bar["final"]]
    assert len(final) == sum(open_ns + length_ns <= over_ns for open_ns in found)
    # All time since the first trade is covered.
    assert all(int(bar["covered_ns"]) == length_ns for bar in final[1:])


def test_trades_of_history_equal_trades_of_the_file(replayed, truth):
    listed = list_all(replayed, f"{SYMBOL}/trades", page_size=777)
    found = [(trade["trade_id"], Decimal(trade["price"]), trade["side"]) for trade in listed]
    assert found == [
        (str(trade.trade_id), trade.price, f"SIDE_{trade.side.upper()}") for trade in truth.trades
    ]


def test_no_gap_is_recorded(replayed):
    assert recorded.gaps(replayed) == []
    listed = list_all(replayed, "gaps")
    assert {one["gap"]["reason"] for one in listed} <= {"GAP_REASON_UNPROVEN"}


def test_no_process_was_restarted(replayed):
    restarts = {name: child["restarts"] for name, child in replayed.children().items()}
    assert set(restarts.values()) == {0}


def list_all(mesh, path, **query):
    """All pages of a list of History, over REST."""
    noun = path.rpartition("/")[2]
    found, token = [], ""
    while True:
        asked = urlencode(query | {"page_token": token})
        status, page = mesh.get(f"/v1/history/{VENUE}/{path}?{asked}")
        assert status == 200, page
        found += page[noun]
        token = page["next_page_token"]
        if not token:
            return found


def as_bar(bar):
    """A bar of the JSON."""
    return Bar(
        *(Decimal(bar[name]) for name in Bar._fields[:-1]), trade_count=int(bar["trade_count"])
    )
