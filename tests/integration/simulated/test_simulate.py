"""The simulated market: from the first tick to Ctrl-C, and on from there with a second start."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration import recorded
from tests.integration.mesh import ROOT, SERVICES, SYMBOL, VENUE, metadata
from tests.integration.simulation import exchange_trades

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

COMMAND_SECONDS_MAX = 120.0
"""A command of the shell imports much, which takes long on a busy machine."""
RESTART_IDS = 1_000
"""Ids of the exchange restart from the time, ten per ms."""


def test_a_subscriber_receives_each_trade_once(first_run):
    assert set(first_run.live_counts.values()) == {1}


def test_ctrl_c_ends_everything(first_run):
    assert first_run.exit_code == 0
    assert first_run.leftovers == {}
    assert not first_run.left_a_state


def test_a_second_start_loses_and_doubles_nothing(first_run, simulated):
    last_before = first_run.trades[-1].trade_id
    first_now = min(
        trade.trade_id
        for trade in recorded.trades(simulated)
        if trade.trade_id > last_before + RESTART_IDS
    )
    now = exchange_trades(simulated, first_now)
    simulated.wait_until(
        lambda: recorded.last_trade(simulated).trade_id >= now[-1].trade_id, "the newest trade"
    )
    found = recorded.trades(simulated)
    assert [trade for trade in found if trade.trade_id <= last_before] == first_run.trades
    assert [t for t in found if first_now <= t.trade_id <= now[-1].trade_id] == now
    # Between them only the few that came between the look at the exchange and Ctrl-C.
    rest = [trade.trade_id for trade in found if last_before < trade.trade_id < first_now]
    assert rest == list(range(last_before + 1, last_before + 1 + len(rest)))


@pytest.mark.parametrize("channel", ["trades", "quotes", "book"])
def test_the_restart_is_a_gap_of_each_channel(channel, simulated):
    def reported():
        return [gap for gap in recorded.gaps(simulated) if gap.channel == channel]

    # Books are recorded some seconds after trades.
    simulated.wait_until(reported, "the gap is recorded")
    assert [(gap.symbol, gap.reason) for gap in reported()] == [(None, "restart")]


def test_books_become_proven(simulated):
    listed = simulated.get(f"/v1/venues/{VENUE}/instruments")[1]["instruments"]
    assert SYMBOL in [instrument["symbol"] for instrument in listed]

    def books():
        paths = [f"/v1/venues/{VENUE}/instruments/{each['symbol']}/book" for each in listed]
        return [simulated.get(path)[1] for path in paths]

    simulated.wait_until(
        lambda: {book["state"] for book in books()} == {"BOOK_STATE_PROVEN"}, "books are proven"
    )
    for book in books():
        assert Decimal(book["bids"][0]["price"]) < Decimal(book["asks"][0]["price"])


def test_a_book_equals_the_exchanges_book(simulated):
    path = f"/v1/venues/{VENUE}/instruments/{SYMBOL}/book:verify"
    status, found = simulated.get(path)
    assert (status, found["verdict"]) == (200, "BOOK_VERDICT_AGREES"), found
    assert found["levels_compared"] > 0
    assert int(found["venue_sequence"]) > 0


def test_readers_get_all_listed_instruments(simulated):
    listed = simulated.get(f"/v1/venues/{VENUE}/instruments")[1]["instruments"]
    request = market_data_pb2.SubscribeRequest(
        venue=VENUE,
        channels=[types_pb2.CHANNEL_STATUS],
        start_at=market_data_pb2.START_AT_EARLIEST,
    )
    stub = market_data_pb2_grpc.MarketDataStub(simulated.channel)
    call = stub.Subscribe(request, metadata=metadata(), timeout=COMMAND_SECONDS_MAX)
    reported = []
    while len(reported) < len(listed):
        reported += [row for batch in next(call).batches for row in batch.status.definition]
    call.cancel()
    assert [row.symbol for row in reported] == [row["symbol"] for row in listed]


def test_status_in_another_shell_is_correct(simulated):
    done = venuemesh("status", "--json", "--data", str(simulated.data))
    status = json.loads(done.stdout)
    assert (done.returncode, status["running"], status["world"]) == (0, True, "simulate")
    assert status["gateway"] == f"http://{simulated.gateway}"
    assert status["supervisor_pid"] == simulated.process.pid
    rows = {row["service"]: row for row in status["services"]}
    assert rows.keys() == SERVICES
    reported = {name: row["pid"] for name, row in rows.items()}
    assert reported == {name: child["pid"] for name, child in simulated.children().items()}
    assert all(is_alive(pid) for pid in reported.values())
    for name in (VENUE, "ingest", "recorder", "bars", "bridge"):
        assert rows[name]["events_per_second"] > 0, name
        assert rows[name]["state"] == "serving"


def test_a_second_mesh_on_the_same_folder_is_rejected(simulated):
    done = venuemesh("up", "--data", str(simulated.data))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "already" in done.stderr


def venuemesh(*arguments):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "PATH": "/nowhere"},
        check=False,
    )


def is_alive(pid):
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
