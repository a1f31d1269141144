"""The past through the gateway: the same books and rows as the venue had and the file holds."""

import asyncio
from decimal import Decimal

import numpy as np
import pytest

from kit.base.access.credentials import TOKEN_VARIABLE
from kit.storage.reader import read_bars, read_book, read_trades
from tests.integration.mesh import SYMBOL, VENUE

pytestmark = pytest.mark.integration

BOOK = f"/v1/history/{VENUE}/{SYMBOL}/book?depth=5000"
BID = 1


@pytest.fixture(autouse=True)
def token_of_programs(replayed, monkeypatch):
    """Programs that read the record find their token in the environment."""
    monkeypatch.setenv(TOKEN_VARIABLE, replayed.token)


def get(mesh, path):
    status, answer = mesh.get(path)
    assert status == 200, answer
    return answer


def levels(side):
    return {Decimal(level["price"]): Decimal(level["size"]) for level in side}


def test_the_newest_recorded_book_equals_the_venues_book(replayed):
    live = get(replayed, f"/v1/venues/{VENUE}/instruments/{SYMBOL}/book?depth=5000")
    past = get(replayed, BOOK)["book"]
    assert past["state"] == "BOOK_STATE_PROVEN"
    for name in ("book_epoch", "last_sequence", "venue_time_ns", "bids", "asks", "checksum"):
        assert past[name] == live[name], name


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_book_of_any_moment_equals_its_applied_updates(replayed, part):
    rows = asyncio.run(read_book(replayed.gateway, VENUE, SYMBOL))
    times_ns = np.maximum.accumulate(rows["received_time_ns"])
    # Updates before the first snapshot belong to no book: their epoch is 0.
    proven = np.flatnonzero(rows["book_epoch"])
    moment_ns = int(times_ns[proven[int(len(proven) * part)]])
    past = get(replayed, f"{BOOK}&time_ns={moment_ns}")["book"]
    assert past["state"] == "BOOK_STATE_PROVEN"
    bids, asks = book_of(rows, proven[times_ns[proven] <= moment_ns])
    assert levels(past["bids"]) == {price: bids[price] for price in sorted(bids)[-5000:]}
    assert levels(past["asks"]) == {price: asks[price] for price in sorted(asks)[:5000]}


def book_of(rows, positions):
    """The sizes by price of bids and asks after the rows at these positions."""
    price_unit, size_unit = (Decimal(1).scaleb(-rows.scales[name]) for name in ("price", "size"))
    bids, asks, epoch = {}, {}, None
    for row in positions.tolist():
        if rows["book_epoch"][row] != epoch:
            epoch = rows["book_epoch"][row]
            bids, asks = {}, {}
        side = bids if rows["side"][row] == BID else asks
        side[int(rows["price"][row]) * price_unit] = int(rows["size"][row]) * size_unit
    return [{price: size for price, size in side.items() if size} for side in (bids, asks)]


def test_coverage_of_a_book_leaves_out_gaps_up_to_the_next_snapshot(replayed):
    rows = asyncio.run(read_book(replayed.gateway, VENUE, SYMBOL))
    times_ns = np.maximum.accumulate(rows["received_time_ns"])
    snapshots_ns = times_ns[(rows["snapshot"] != 0) & (rows["book_epoch"] != 0)].tolist()
    query = "SELECT detected_time_ns FROM gaps WHERE channel = 'book' AND symbol = %s"
    gaps_ns = [detected_ns for (detected_ns,) in replayed.sql(query, SYMBOL)]
    assert gaps_ns
    missing = {}
    for gap_ns in gaps_ns:
        end_ns = min(time_ns for time_ns in snapshots_ns if time_ns >= gap_ns)
        missing[end_ns] = max(missing.get(end_ns, 0), end_ns - gap_ns)
    answer = get(replayed, f"/v1/history/{VENUE}/{SYMBOL}/coverage?channel=CHANNEL_BOOK")
    assert answer["channel"] == "CHANNEL_BOOK"
    expected_ns = sum(int(day["expected_ns"]) for day in answer["days"])
    covered_ns = sum(int(day["covered_ns"]) for day in answer["days"])
    assert expected_ns - covered_ns == sum(missing.values()) > 0


def test_a_client_program_reads_the_events_of_the_file(replayed, truth):
    trades = asyncio.run(read_trades(replayed.gateway, VENUE, SYMBOL))
    unit = Decimal(1).scaleb(-trades.scales["price"])
    found = {
        trade_id: price * unit
        for trade_id, price in zip(
            trades["trade_id"].tolist(), trades["price"].tolist(), strict=True
        )
    }
    assert found == {trade.trade_id: trade.price for trade in truth.trades}
    assert len(trades) == len(truth.trades)
    bars = asyncio.run(read_bars(replayed.gateway, VENUE, SYMBOL, "1s"))
    assert int(bars["trade_count"].sum()) == len(truth.trades)


def test_the_calendar_counts_the_trades(replayed, truth):
    days = get(replayed, f"/v1/history/{VENUE}/{SYMBOL}/coverage")["days"]
    assert sum(int(day["trade_count"]) for day in days) == len(truth.trades)
    assert all(day["covered_ns"] == day["expected_ns"] for day in days)
