"""Two processes of one venue: what dies, hangs or is cut on one of them is lost nowhere."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration import recorded
from tests.integration.mesh import SYMBOL, VENUE, Mesh, metadata
from tests.integration.replicas import (
    ELDER,
    NAMES,
    YOUNGER,
    StreamBooks,
    StreamReader,
    TrueBooks,
    exchange_ids,
    is_consecutive,
    pause,
    resume,
    streamed_ids,
    two,
    wait_until_covered,
    watched,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

KILLS = 4
TRADES_MORE = 40
COMPARED_MIN = 3


@pytest.fixture(scope="module")
def mesh():
    """Both processes run, and cover each other."""
    with two() as running:
        yield running


@pytest.fixture(scope="module")
def books(mesh):
    """Books of the stream and of the exchange, since the start."""
    with watched(mesh) as both:
        yield both


@pytest.fixture(autouse=True)
def covered(mesh, books):
    """Each test begins with both."""
    wait_until_covered(mesh)


def epochs(mesh: Mesh) -> dict[str, int]:
    """The epoch of each registered process of the venue."""
    status, found = mesh.get("/v1/services?kind=venue")
    assert status == 200
    instances = [service["instance"] for service in found["services"]]
    return {one["service_id"]: int(one.get("epoch", 0)) for one in instances}


def read_process(mesh: Mesh) -> str:
    """The process whose batches are in the streams now."""
    epoch = StreamReader(mesh).epoch()
    return next(name for name, own_epoch in epochs(mesh).items() if own_epoch == epoch)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """SIGSTOP for as long as this is open."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def wait_for_other(mesh: Mesh, epoch: int) -> float:
    """Wait until the streams continue in another epoch. Returns the time in s."""
    began = time.monotonic()
    streams = StreamReader(mesh)
    mesh.wait_until(lambda: streams.epoch() != epoch, "the streams go on")
    return time.monotonic() - began


def wait_for_more(mesh: Mesh) -> None:
    """Wait until more trades are recorded."""
    last = recorded.last_trade(mesh).trade_id
    mesh.wait_until(lambda: recorded.trades_after(mesh, last) > TRADES_MORE, "more trades")


def gaps(mesh: Mesh) -> list[recorded.Gap]:
    """The recorded gaps."""
    return recorded.gaps(mesh)


def check_books(followed: StreamBooks, true: TrueBooks) -> None:
    """Check that proven best prices equal the exchange's."""
    assert followed.wrong == []
    both = followed.best.keys() & true.best.keys()
    assert len(both) >= COMPARED_MIN
    for last in both:
        assert followed.best[last] == true.best[last], last


def test_kill_9_of_either_loses_nothing(mesh, books, record_property):
    chance = random.Random(7)
    streams = StreamReader(mesh)
    before = gaps(mesh)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.5))  # Any moment will do.
        epoch = streams.epoch()
        mesh.kill(read_process(mesh))
        record_property("switch_seconds", round(wait_for_other(mesh, epoch), 2))
        wait_until_covered(mesh)
    wait_for_more(mesh)
    assert gaps(mesh) == before
    ids = [trade.trade_id for trade in recorded.trades(mesh)]
    assert ids == exchange_ids(mesh, ids[0], ids[-1])
    assert is_consecutive(streamed_ids(mesh))
    assert books[0].handovers == KILLS
    check_books(*books)


def test_quotes_never_step_back(mesh):
    sequences = [
        row[0]
        for row in mesh.sql(
            "SELECT sequence FROM quotes WHERE venue = %s AND symbol = %s",
            VENUE,
            SYMBOL,
        )
    ]
    assert len(sequences) == len(set(sequences))


@pytest.mark.parametrize("place", [0, 1])
def test_a_cut_connection_of_one_is_no_gap(mesh, books, place):
    before = gaps(mesh)
    epoch = StreamReader(mesh).epoch()
    read = read_process(mesh)
    cut = read if place == 0 else next(name for name in NAMES if name != read)
    reported = len(books[0].gaps)
    pause(mesh, cut)
    wait_for_more(mesh)
    resume(mesh, cut)
    wait_until_covered(mesh)
    wait_for_more(mesh)
    assert StreamReader(mesh).epoch() == epoch
    assert gaps(mesh) == before
    ids = [trade.trade_id for trade in recorded.trades(mesh)]
    assert ids == exchange_ids(mesh, ids[0], ids[-1])
    assert books[0].gaps[reported:] == []
    check_books(*books)
    if place == 0:
        page = mesh.metrics(cut)
        assert 'venuemesh_merged_events_total{channel="trades",origin="peer"}' in page


def test_a_hanging_process_is_replaced_and_cannot_write_afterwards(mesh, books):
    before = gaps(mesh)
    streams = StreamReader(mesh)
    epoch = streams.epoch()
    hung = read_process(mesh)
    pid = mesh.children()[hung]["pid"]
    with stopped(pid):
        wait_for_other(mesh, epoch)
        wait_for_more(mesh)
    after = streams.epoch()
    wait_until_covered(mesh)
    wait_for_more(mesh)
    assert mesh.children()[hung]["pid"] == pid
    assert streams.epoch() == after > epoch
    assert gaps(mesh) == before
    check_books(*books)
    ids = [trade.trade_id for trade in recorded.trades(mesh)]
    assert ids == exchange_ids(mesh, ids[0], ids[-1])


def test_the_gateway_calls_a_live_process(mesh):
    stub = market_data_pb2_grpc.MarketDataStub(mesh.channel)
    request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=SYMBOL)

    def book() -> market_data_pb2.GetOrderBookResponse:
        return stub.GetOrderBook(request, metadata=metadata(), timeout=10)

    assert book().cursor.epoch == StreamReader(mesh).epoch()
    before = epochs(mesh)
    killed = read_process(mesh)
    other_epoch = before[ELDER if killed == YOUNGER else YOUNGER]
    # Envoy finds the other one by itself: the registry cannot report the loss, and the supervisor
    # cannot replace the killed process.
    with stopped(mesh.process.pid, mesh.children()["registry"]["pid"]):
        mesh.kill(killed)
        # A call that is on its way to the killed process may be lost.
        mesh.wait_until(lambda: book().cursor.epoch == other_epoch, "an answer")
    wait_until_covered(mesh)
    assert epochs(mesh).keys() == {ELDER, YOUNGER}


def test_the_death_of_both_is_a_gap(mesh):
    for name in NAMES:
        mesh.kill(name)
    wait_until_covered(mesh)
    wait_for_more(mesh)
    reasons = [gap.reason for gap in gaps(mesh) if gap.channel == "trades" and not gap.symbol]
    assert reasons
    assert set(reasons) <= {"restart", "cursor_expired"}
    ids = {trade.trade_id for trade in recorded.trades(mesh)}
    assert ids <= set(exchange_ids(mesh, min(ids), max(ids)))
